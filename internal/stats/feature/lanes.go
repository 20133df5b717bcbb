package feature

import (
	"sync"

	"rawstatus/internal/stats/kernel"
)

// This file is feature 6 in vectors: residuals of 32 bits of 16 neighbouring pixels side by side, frame
// after frame, which is the order of the kernels. Residual k of column x of row y, of the kept ones, is
// element lane(y, x)+k*kernel.Lanes.

// lanePool keeps stores of bands that are done for those that come: filling memory that is new to the
// process takes longer than computing what goes there.
var lanePool sync.Pool

// laneStore gives a store of n residuals of unknown value.
func laneStore(n int) []int32 {
	if s, ok := lanePool.Get().(*[]int32); ok && cap(*s) >= n && cap(*s) <= 2*n {
		return (*s)[:n]
	}
	return make([]int32, n)
}

// groups gives the number of vectors of a row of so many pixels.
func groups(width int) int { return (width + kernel.Lanes - 1) / kernel.Lanes }

func (r *Residuals) lane(y, x int) int {
	width := r.Cols().Hi - r.Cols().Lo
	return (y*groups(width)+x/kernel.Lanes)*r.frames*kernel.Lanes + x%kernel.Lanes
}

// addLanes fits all windows in each frame, from sums over columns that the windows of a band share, and
// stores the residuals of all columns row by row.
//
// All sums fit into 32 bits: Flatness.wide is false, so Den*Mask is less than 2^29, and Den is at least
// Sum(v*v) over the window, which is more than the factors of the moment.
func (r *Residuals) addLanes(frames [][]uint16) {
	f, cols := r.f, r.Cols()
	from, to := r.read[0].Lo, r.read[len(r.read)-1].Hi
	sum, moment := make([]int32, to-from), make([]int32, to-from)
	plane, slope := make([]int32, cols.Hi-cols.Lo), make([]int32, cols.Hi-cols.Lo)
	rows := r.band.Keep.Hi - r.band.Keep.Lo
	for k, frame := range frames {
		kernel.ColumnSums(sum, moment, frame[from:], f.Cols, f.WR, f.Mask)
		for w, read := range r.read {
			keep := Span{r.keep[w].Lo - cols.Lo, r.keep[w].Hi - cols.Lo}
			f.fit(sum[read.Lo-from:read.Hi-from], moment[read.Lo-from:read.Hi-from], plane[keep.Lo:keep.Hi], slope[keep.Lo:keep.Hi])
		}
		for y := range rows {
			row := frame[y*f.Cols+cols.Lo : y*f.Cols+cols.Hi]
			at := r.lane(y, 0) + (r.n+k)*kernel.Lanes
			kernel.Residuals(r.lanes[at:], r.frames*kernel.Lanes, row, f.Mask, int32(f.Den), plane, slope)
		}
	}
}

// fit finds the plane of a window from its column sums: plane is that of the first row, slope what a row
// adds. The window's first column is the first of plane.
func (f *Flatness) fit(sum, moment, plane, slope []int32) {
	var s, su, m int64
	u := f.u0
	for x, c := range sum {
		s += int64(c)
		su += u * int64(c)
		m += int64(moment[x])
		u += f.du
	}
	sv := f.v0*s + f.dv*(m-s) // the moment counts rows from 1
	first, perCol, perRow := f.kn*s+f.ku*su*f.u0+f.kv*sv*f.v0, f.ku*su*f.du, f.kv*sv*f.dv
	for x := range plane {
		plane[x], slope[x] = int32(first), int32(perRow)
		first += perCol
	}
}

// laneMedians is medians for the order of vectors.
func (r *Residuals) laneMedians(med2, mad4 []int64) {
	if r.frames == 0 {
		return
	}
	width := r.Cols().Hi - r.Cols().Lo
	for at := 0; at < len(med2); at += width {
		for x := 0; x < width; x += kernel.Lanes {
			first := r.lane(at/width, x)
			v := r.lanes[first : first+r.frames*kernel.Lanes]
			a, b := kernel.Middles(v)
			for i := range a {
				a[i] += b[i]
			}
			kernel.Distances(v, &a)
			lower, upper := kernel.Middles(v)
			for i := range min(kernel.Lanes, width-x) {
				med2[at+x+i] = int64(a[i])
				mad4[at+x+i] = int64(lower[i]) + int64(upper[i])
			}
		}
	}
	done := r.lanes
	lanePool.Put(&done)
}
