package kernel

import (
	"fmt"
	"math"
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

// Collect sets, for rows y and up to MaxFrames frames k,
//
//	dst[y*dstStride+Lanes*k+i] = frames[k][from+y*stride+i]    for i < Lanes
//
// so that values of the same pixels in consecutive frames lie together.
func Collect(dst []uint16, dstStride int, frames [][]uint16, from, stride, rows int) {
	n := len(frames)
	if n == 0 || rows <= 0 {
		return
	}
	if dstStride < n*Lanes || len(dst) < (rows-1)*dstStride+n*Lanes || from < 0 || stride < 0 {
		panic(fmt.Sprintf("stats/kernel: Collect: %d words, %d apart, for %d frames and %d rows", len(dst), dstStride, n, rows))
	}
	check("Collect", from+(rows-1)*stride+Lanes, frames)
	for y := range rows {
		writes(dst[y*dstStride:][:n*Lanes])
	}
	best.collect(dst, dstStride, frames, from, stride, rows)
}

func collectRef(dst []uint16, dstStride int, frames [][]uint16, from, stride, rows int) {
	for y := range rows {
		for k, f := range frames {
			copy(dst[y*dstStride+Lanes*k:][:Lanes], f[from+y*stride:])
		}
	}
}

// Residuals subtracts a plane of each frame from Lanes pixels of a row, and moves the planes one row on:
//
//	dst[Lanes*k+i] = den*(px[Lanes*k+i]&mask) - plane[k] - i*col[k]
//	plane[k] += row[k]
//
// for all frames k, in the arithmetic of int32.
func Residuals(dst []int32, px []uint16, mask uint16, den int32, plane, col, row []int32) {
	n := len(plane)
	if len(dst) < n*Lanes || len(px) < n*Lanes || len(col) != n || len(row) != n {
		panic(fmt.Sprintf("stats/kernel: Residuals: %d results for %d values of %d frames, slopes of %d and %d", len(dst), len(px), n, len(col), len(row)))
	}
	if n == 0 {
		return
	}
	reads(px[:n*Lanes])
	reads(col)
	reads(row)
	writes(plane)
	writes(dst[:n*Lanes])
	best.residuals(dst, px, mask, den, plane, col, row)
}

func residualsRef(dst []int32, px []uint16, mask uint16, den int32, plane, col, row []int32) {
	for k := range plane {
		for i := range Lanes {
			dst[Lanes*k+i] = den*int32(px[Lanes*k+i]&mask) - plane[k] - int32(i)*col[k]
		}
		plane[k] += row[k]
	}
}

// Room returns how many values of each lane Middles needs room for, when there are n.
func Room(n int) int { return (n + 7) / 8 * 8 }

// Middles returns the two middle values of the first n of each of Lanes pixels, which are the same when n
// is odd. There is room for Room(n) values, which is overwritten behind those; scratch has Lanes bytes
// for each. In plain Go it is slow (see Vectors).
func Middles(values []int32, n int, scratch []byte) (lower, upper [Lanes]int32) {
	if n <= 0 || len(values) != Room(n)*Lanes || len(scratch) < len(values) {
		panic(fmt.Sprintf("stats/kernel: Middles: %d values of %d in %d lanes, scratch of %d", n, len(values), Lanes, len(scratch)))
	}
	writes(values[n*Lanes:])
	reads(values)
	writes(scratch[:len(values)])
	for i := n * Lanes; i < len(values); i++ {
		values[i] = math.MaxInt32
	}
	best.middles(&lower, &upper, values, n, scratch)
	return lower, upper
}

func middlesRef(lower, upper *[Lanes]int32, values []int32, n int) {
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
