package feature

import (
	"sync"

	"rawstatus/internal/stats/kernel"
)

// lanes is feature 6 in vectors. While frames come in, only the planes of their windows are found, and
// raw values are brought to where those of 16 neighbouring pixels of a window lie side by side, frame
// after frame. Residuals are made of them when all frames are in, of 16 pixels at a time: they take twice
// the memory of raw values, and never leave the second-level cache.
type lanes struct {
	px    []uint16 // [window][vector of its columns][row][frame][kernel.Lanes]
	plane []int32  // [window][of the first pixel, more per column, more per row][frame]
	at    []int    // where the windows begin in px

	sum, moment []int32 // of columns
	values      []int32 // of 16 pixels
	scratch     []byte
	first       []int32
}

// lanePool keeps the memory of bands that are done for those that come: filling memory that is new to the
// process takes longer than computing what goes there.
var lanePool = sync.Pool{New: func() any { return new(lanes) }}

// vectors returns the number of vectors of a row of so many pixels.
func vectors(width int) int { return (width + kernel.Lanes - 1) / kernel.Lanes }

// laneBytes returns the memory that lanes of these windows need, for each frame.
func laneBytes(rows int, keep []Span) int64 {
	words := 0
	for _, k := range keep {
		words += vectors(k.Hi-k.Lo) * rows * kernel.Lanes
	}
	return int64(2*words + 12*len(keep) + 5*kernel.Lanes + 4)
}

func newLanes(rows int, read, keep []Span, frames int) *lanes {
	l := lanePool.Get().(*lanes)
	l.at = l.at[:0]
	size := 0
	for _, k := range keep {
		l.at = append(l.at, size)
		size += vectors(k.Hi-k.Lo) * rows * frames * kernel.Lanes
	}
	width := read[len(read)-1].Hi - read[0].Lo
	room := kernel.Room(frames) * kernel.Lanes
	l.px, l.plane = ofSize(l.px, size), ofSize(l.plane, 3*len(keep)*frames)
	l.sum, l.moment = ofSize(l.sum, width), ofSize(l.moment, width)
	l.values, l.scratch, l.first = ofSize(l.values, room), ofSize(l.scratch, room), ofSize(l.first, frames)
	return l
}

// ofSize returns n elements of unknown value, those of s if it has so many.
func ofSize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// planes returns the planes of a window: of its first pixel, what a column adds, and what a row adds.
func (l *lanes) planes(w, frames int) (first, col, row []int32) {
	p := l.plane[3*w*frames:]
	return p[:frames], p[frames : 2*frames], p[2*frames : 3*frames]
}

// addLanes takes frames, as many at a time as stay in the second-level cache until their values are
// where they belong.
//
// All sums fit into 32 bits: Flatness.wide is false, so Den*Mask is less than 2^29, and Den is at least
// Sum(v*v) over the window, which is more than the factors of the moment.
func (r *Residuals) addLanes(frames [][]uint16) {
	f, l := r.f, r.lanes
	from := r.read[0].Lo
	for n := r.n; len(frames) > 0; {
		batch := frames[:min(kernel.MaxFrames, len(frames))]
		frames = frames[len(batch):]
		for k, frame := range batch {
			kernel.ColumnSums(l.sum, l.moment, frame[from:], f.Cols, f.WR, f.Mask)
			for w, read := range r.read {
				first, col, row := l.planes(w, r.frames)
				first[n+k], col[n+k], row[n+k] = f.fit(l.sum[read.Lo-from:read.Hi-from], l.moment[read.Lo-from:read.Hi-from])
			}
		}
		for w := range r.read {
			r.collect(batch, w, n)
		}
		n += len(batch)
	}
}

// collect brings the values of a window in some frames, the first of which is frame n, to their places.
func (r *Residuals) collect(batch [][]uint16, w, n int) {
	keep, rows, stride := r.keep[w], r.band.Keep.Hi-r.band.Keep.Lo, r.frames*kernel.Lanes
	at := r.lanes.at[w] + n*kernel.Lanes
	for x := keep.Lo; x < keep.Hi; x += kernel.Lanes {
		dst := r.lanes.px[at:]
		at += rows * stride
		whole := rows // rows that have a whole vector of pixels behind x
		for whole > 0 && x+(whole-1)*r.f.Cols+kernel.Lanes > len(batch[0]) {
			whole--
		}
		kernel.Collect(dst, stride, batch, x, r.f.Cols, whole)
		for y := whole; y < rows; y++ {
			for k, frame := range batch {
				copy(dst[y*stride+k*kernel.Lanes:][:kernel.Lanes], frame[x+y*r.f.Cols:])
			}
		}
	}
}

// fit finds the plane of a window from its column sums: at the first pixel, what a column adds, and what
// a row adds.
func (f *Flatness) fit(sum, moment []int32) (first, col, row int32) {
	var s, su, m int64
	u := f.u0
	moment = moment[:len(sum)]
	for x, c := range sum {
		s += int64(c)
		su += u * int64(c)
		m += int64(moment[x])
		u += f.du
	}
	sv := f.v0*s + f.dv*(m-s) // the moment counts rows from 1
	return int32(f.kn*s + f.ku*su*f.u0 + f.kv*sv*f.v0), int32(f.ku * su * f.du), int32(f.kv * sv * f.dv)
}

// laneMedians is medians for the order of vectors.
func (r *Residuals) laneMedians(med2, mad4 []int64) {
	l, n := r.lanes, r.n
	l.first = l.first[:n]
	rows, width := r.band.Keep.Hi-r.band.Keep.Lo, r.Cols().Hi-r.Cols().Lo
	for w, keep := range r.keep {
		if n == 0 {
			break
		}
		first, col, row := l.planes(w, r.frames)
		first, col, row = first[:n], col[:n], row[:n]
		px := l.px[l.at[w]:]
		for x := keep.Lo; x < keep.Hi; x += kernel.Lanes {
			for k := range l.first {
				l.first[k] = first[k] + int32(x-keep.Lo)*col[k]
			}
			for y := range rows {
				kernel.Residuals(l.values, px, r.f.Mask, int32(r.f.Den), l.first, col, row)
				px = px[r.frames*kernel.Lanes:]
				twice, lower, upper := l.medians(n)
				at := y*width + x - r.Cols().Lo
				for i := range min(kernel.Lanes, keep.Hi-x) {
					med2[at+i] = int64(twice[i])
					mad4[at+i] = int64(lower[i]) + int64(upper[i])
				}
			}
		}
	}
	lanePool.Put(l)
}

// medians returns twice the medians of the values, and the two middle distances of 2*values from that.
func (l *lanes) medians(n int) (twice, lower, upper [kernel.Lanes]int32) {
	values := l.values[:kernel.Room(n)*kernel.Lanes] // fewer than there is room for where frames were lost
	twice, upper = kernel.Middles(values, n, l.scratch)
	for i := range twice {
		twice[i] += upper[i]
	}
	kernel.Distances(values[:n*kernel.Lanes], &twice)
	lower, upper = kernel.Middles(values, n, l.scratch)
	return twice, lower, upper
}
