package kernel

import (
	"fmt"
	"slices"
)

// Lanes is the number of neighbouring pixels whose residuals are kept side by side: value k of pixel i of
// a group is element Lanes*k+i.
const Lanes = 16

// ColumnSums sets, for each column x of some rows z that lie stride pixels apart in px,
//
//	sum[x] = Sum(z),  moment[x] = Sum((y+1)*z)
//
// over the rows y = 0, 1, ..., with z masked. Sums must fit into 32 bits.
func ColumnSums(sum, moment []int32, px []uint16, stride, rows int, mask uint16) {
	if len(moment) != len(sum) || rows <= 0 || len(sum) > stride || len(px) < (rows-1)*stride+len(sum) {
		panic(fmt.Sprintf("stats/kernel: ColumnSums: %d and %d sums of %d rows %d apart in %d pixels", len(sum), len(moment), rows, stride, len(px)))
	}
	reads(px[:(rows-1)*stride+len(sum)])
	writes(sum)
	writes(moment)
	best.columnSums(sum, moment, px, stride, rows, mask)
}

func columnSumsRef(sum, moment []int32, px []uint16, stride, rows int, mask uint16) {
	for x := range sum {
		s, m := int32(0), int32(0)
		for y := range rows {
			z := int32(px[y*stride+x] & mask)
			s += z
			m += int32(y+1) * z
		}
		sum[x], moment[x] = s, m
	}
}

// Residuals sets, for each pixel x of a row, dst[x/Lanes*stride+x%Lanes] = den*z - plane[x] and moves the
// plane to the next row: plane[x] += slope[x]. All must fit into 32 bits.
func Residuals(dst []int32, stride int, row []uint16, mask uint16, den int32, plane, slope []int32) {
	n := len(row)
	if len(plane) != n || len(slope) != n || stride < Lanes || (n > 0 && len(dst) <= (n-1)/Lanes*stride+(n-1)%Lanes) {
		panic(fmt.Sprintf("stats/kernel: Residuals: %d results %d apart for %d pixels, planes of %d and %d", len(dst), stride, n, len(plane), len(slope)))
	}
	reads(row)
	reads(slope)
	writes(plane)
	for at := 0; at < n; at += Lanes {
		writes(dst[at/Lanes*stride : at/Lanes*stride+min(Lanes, n-at)])
	}
	best.residuals(dst, stride, row, mask, den, plane, slope)
}

func residualsRef(dst []int32, stride int, row []uint16, mask uint16, den int32, plane, slope []int32) {
	for x, raw := range row {
		dst[x/Lanes*stride+x%Lanes] = den*int32(raw&mask) - plane[x]
		plane[x] += slope[x]
	}
}

// Middles gives the two middle values of each of Lanes pixels, which are the same when their number is
// odd. In plain Go it is slow (see Vectors).
func Middles(values []int32) (lower, upper [Lanes]int32) {
	if len(values) == 0 || len(values)%Lanes != 0 {
		panic(fmt.Sprintf("stats/kernel: Middles: %d values in %d lanes", len(values), Lanes))
	}
	reads(values)
	best.middles(&lower, &upper, values)
	return lower, upper
}

func middlesRef(lower, upper *[Lanes]int32, values []int32) {
	n := len(values) / Lanes
	v := make([]int32, n)
	for i := range Lanes {
		for k := range v {
			v[k] = values[Lanes*k+i]
		}
		slices.Sort(v)
		lower[i], upper[i] = v[(n-1)/2], v[n/2]
	}
}

// Distances sets each value v of lane i to |2*v - twice[i]|, which must fit into 32 bits.
func Distances(values []int32, twice *[Lanes]int32) {
	if len(values)%Lanes != 0 {
		panic(fmt.Sprintf("stats/kernel: Distances: %d values in %d lanes", len(values), Lanes))
	}
	writes(values)
	if len(values) > 0 {
		best.distances(values, twice)
	}
}

func distancesRef(values []int32, twice *[Lanes]int32) {
	for k := range values {
		d := 2*values[k] - twice[k%Lanes]
		values[k] = max(d, -d)
	}
}
