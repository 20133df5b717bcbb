package feature

import (
	"fmt"
	"math"

	"rawstatus/internal/stats/kernel"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/quantile"
)

// Residuals collects the residuals of one band, or of some neighbouring windows of it, over the good
// frames of a run, and finds medians and spreads when all frames are in. Its memory is Flatness.Bytes and
// does not grow; frames may come in any number of calls, in any order.
type Residuals struct {
	f      *Flatness
	band   Band
	read   []Span // columns of the windows
	keep   []Span
	frames int // how many may come
	n      int // how many came

	// Residuals*Den of the kept pixels, [pixel][frame]; narrow or wide by Flatness.wide. Where there are
	// vectors lanes takes the place of the narrow ones.
	narrow []int32
	wide   []int64
	lanes  *lanes
}

// NewResiduals makes room for the residuals of frames frames in the windows first..last-1 of a band.
func NewResiduals(f *Flatness, band Band, first, last, frames int) *Residuals {
	read, keep := windows(f.Cols, f.WC)
	if first < 0 || last > len(read) || first >= last || frames < 0 {
		panic(fmt.Sprintf("stats/feature: windows %d..%d of %d, %d frames", first, last, len(read), frames))
	}
	r := &Residuals{f: f, band: band, read: read[first:last], keep: keep[first:last], frames: frames}
	size := frames * r.pixels()
	switch {
	case f.wide:
		r.wide = make([]int64, size)
	case kernel.Vectors():
		r.lanes = newLanes(band.Keep.Hi-band.Keep.Lo, r.read, r.keep, frames)
	default:
		r.narrow = make([]int32, size)
	}
	return r
}

// Cols returns the range of columns whose results are kept.
func (r *Residuals) Cols() Span {
	return Span{r.keep[0].Lo, r.keep[len(r.keep)-1].Hi}
}

func (r *Residuals) pixels() int {
	return (r.band.Keep.Hi - r.band.Keep.Lo) * (r.Cols().Hi - r.Cols().Lo)
}

// Add takes frames: frames[k] holds the raw values of the rows Band.Read, full width, row-major.
func (r *Residuals) Add(frames [][]uint16) {
	if r.n+len(frames) > r.frames {
		panic(fmt.Sprintf("stats/feature: more than %d frames", r.frames))
	}
	for _, f := range frames {
		if len(f) != r.f.WR*r.f.Cols {
			panic(fmt.Sprintf("stats/feature: a band of %d values, wanted %d x %d", len(f), r.f.WR, r.f.Cols))
		}
	}
	if r.lanes != nil {
		r.addLanes(frames)
		r.n += len(frames)
		return
	}
	// Window by window, so that the places written by consecutive frames lie together.
	for w := range r.read {
		if r.f.wide {
			addWindow(r, r.wide, w, frames)
		} else {
			addWindow(r, r.narrow, w, frames)
		}
	}
	r.n += len(frames)
}

// addWindow fits one window in each frame and stores the residuals of the pixels it keeps, which begin with
// its first row and column.
func addWindow[T quantile.Integer](r *Residuals, store []T, w int, frames [][]uint16) {
	f := r.f
	rows := r.band.Keep.Hi - r.band.Keep.Lo
	width := r.Cols().Hi - r.Cols().Lo
	cols := r.keep[w].Hi - r.keep[w].Lo
	for k, frame := range frames {
		s, su, sv := f.sums(frame[r.read[w].Lo:])
		at := (r.keep[w].Lo-r.Cols().Lo)*r.frames + r.n + k
		for y := range rows {
			plane := f.kn*s + f.ku*su*f.u0 + f.kv*sv*(f.v0+int64(y)*f.dv)
			row := frame[y*f.Cols+r.keep[w].Lo:]
			storeResiduals(store[at+y*width*r.frames:], row[:cols], r.frames, f.Mask, f.Den, plane, f.ku*su*f.du)
		}
	}
}

// sums returns Sum(z), Sum(u*z) and Sum(v*z) of the window whose first pixel is z[0].
func (f *Flatness) sums(z []uint16) (s, su, sv int64) {
	for y := range f.WR {
		rs, ru := rowSums(z[y*f.Cols:y*f.Cols+f.WC], f.Mask, f.u0, f.du)
		s += rs
		su += ru
		sv += rs * (f.v0 + int64(y)*f.dv)
	}
	return s, su, sv
}

// rowSums returns Sum(z) and Sum(u*z) of a row, u = u0, u0+du, ...
func rowSums(row []uint16, mask uint16, u0, du int64) (s, su int64) {
	u := u0
	for _, raw := range row {
		z := int64(raw & mask)
		s += z
		su += u * z
		u += du
	}
	return s, su
}

// storeResiduals puts den*z - plane at every stride-th place of dst; plane grows by slope per column.
func storeResiduals[T quantile.Integer](dst []T, row []uint16, stride int, mask uint16, den, plane, slope int64) {
	p := 0
	for _, raw := range row {
		dst[p] = T(den*int64(raw&mask) - plane)
		plane += slope
		p += stride
	}
}

// Names of the planes of feature 6.
const (
	PlaneMed2 = "f6_med2" // int64 same: 2*Den times the median residual
	PlaneMad4 = "f6_mad4" // int64 same: 4*Den times the median distance from it
)

// Finish returns the planes of the kept rows and columns, row-major, once all frames are in, which may be fewer than
// there is room for. It may be called once: the residuals are used up. Without frames the planes are 0 and Frames says so.
func (r *Residuals) Finish() *plane.Set {
	med2, mad4 := make([]int64, r.pixels()), make([]int64, r.pixels())
	switch {
	case r.wide != nil:
		medians(med2, mad4, r.wide, r.frames, r.n)
	case r.lanes != nil:
		r.laneMedians(med2, mad4)
	default:
		medians(med2, mad4, r.narrow, r.frames, r.n)
	}
	r.wide, r.narrow, r.lanes = nil, nil, nil
	return &plane.Set{Frames: uint64(r.n), Planes: []plane.Plane{
		{Name: PlaneMed2, Op: plane.Same, Data: med2}, {Name: PlaneMad4, Op: plane.Same, Data: mad4}}}
}

// medians finds, per pixel, twice the median m of its n residuals r, and twice the median of |2*r - 2*m|,
// which is 4 times the median of |r - m|. It overwrites the residuals, which have room for so many frames.
func medians[T quantile.Integer](med2, mad4 []int64, residuals []T, room, n int) {
	if n == 0 {
		return
	}
	scratch := make([]T, n)
	for i := range med2 {
		v := residuals[i*room : i*room+n]
		a, b := quantile.MiddleOf(v, scratch)
		twice := a + b
		for k, x := range v {
			if d := 2*x - twice; d < 0 {
				v[k] = -d
			} else {
				v[k] = d
			}
		}
		med2[i] = int64(twice)
		a, b = quantile.MiddleOf(v, scratch)
		mad4[i] = int64(a) + int64(b)
	}
}

// Resid holds the planes of feature 6 of a whole panel.
type Resid struct {
	Frames     uint64
	Den        int64
	Med2, Mad4 []int64
}

// JoinWindows puts sets of the windows of one band side by side: parts from left to right, each with rows
// rows, as Finish gave them.
func JoinWindows(parts []*plane.Set, rows int) (*plane.Set, error) {
	joined := &plane.Set{}
	for _, name := range []string{PlaneMed2, PlaneMad4} {
		var data []int64
		for y := range rows {
			for i, s := range parts {
				d, err := plane.Get[int64](s, name)
				if err != nil {
					return nil, fmt.Errorf("part %d: %w", i, err)
				}
				if len(d)%rows != 0 || s.Frames != parts[0].Frames {
					return nil, fmt.Errorf("part %d: %d pixels in %d rows, %d frames and not %d", i, len(d), rows, s.Frames, parts[0].Frames)
				}
				w := len(d) / rows
				data = append(data, d[y*w:(y+1)*w]...)
			}
		}
		joined.Frames = parts[0].Frames
		joined.Planes = append(joined.Planes, plane.Plane{Name: name, Op: plane.Same, Data: data})
	}
	return joined, nil
}

// ResidFromSet takes the planes of the joined bands (plane.Concat) of a panel.
func (f *Flatness) ResidFromSet(s *plane.Set) (*Resid, error) {
	med2, err := plane.Get[int64](s, PlaneMed2)
	if err != nil {
		return nil, err
	}
	mad4, err := plane.Get[int64](s, PlaneMad4)
	if err != nil {
		return nil, err
	}
	if len(med2) != f.Rows*f.Cols || len(mad4) != len(med2) {
		return nil, fmt.Errorf("planes of feature 6 have %d and %d pixels, the panel %d x %d", len(med2), len(mad4), f.Rows, f.Cols)
	}
	return &Resid{Frames: s.Frames, Den: f.Den, Med2: med2, Mad4: mad4}, nil
}

// Values returns the median residual and the median distance from it in ADU, each division rounded once.
// NaN without frames.
func (r *Resid) Values() (med, spr []float64) {
	med, spr = make([]float64, len(r.Med2)), make([]float64, len(r.Mad4))
	none := 0.
	if r.Frames == 0 {
		none = math.NaN()
	}
	for i := range med {
		med[i] = float64(r.Med2[i])/float64(2*r.Den) + none
		spr[i] = float64(r.Mad4[i])/float64(4*r.Den) + none
	}
	return med, spr
}
