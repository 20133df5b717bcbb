package feature_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/testenv/golden"
)

// TestFeaturesEqualTheGoldenCases computes every det_pixel_status result of the golden cases from its frames: status,
// good frames, medians and counts exactly, standard deviations and limits to 1e-12, feature 6 to 1e-9.
func TestFeaturesEqualTheGoldenCases(t *testing.T) {
	results := 0
	for _, c := range golden.Cases(t, "pixel_status") {
		for _, r := range c.Results {
			results++
			t.Run(c.Name+"/"+r.Dir, func(t *testing.T) { checkFeatures(t, c, r) })
		}
	}
	if results < 47 {
		t.Errorf("only %d results found", results)
	}
}

// cut returns the frames of the result's panel and slice.
func cut(t *testing.T, c *golden.Case, r *golden.Result) (frames [][]uint16, rows, cols int) {
	if len(c.Frames.Shape) == 4 {
		r.Panel = &r.Params.Segind
	}
	all, shape := c.FramesOf(r)
	rows, cols = shape[0], shape[1]
	rs, cs := feature.Span{Lo: 0, Hi: rows}, feature.Span{Lo: 0, Hi: cols}
	if s := r.Params.Slice; s != nil {
		if _, err := fmt.Sscanf(*s, "%d:%d,%d:%d", &rs.Lo, &rs.Hi, &cs.Lo, &cs.Hi); err != nil {
			t.Fatalf("slice %q: %v", *s, err)
		}
	}
	for _, f := range all[:min(len(all), r.Params.Nrecs)] {
		var part []uint16
		for y := rs.Lo; y < rs.Hi; y++ {
			part = append(part, f[y*cols+cs.Lo:y*cols+cs.Hi]...)
		}
		frames = append(frames, part)
	}
	return frames, rs.Hi - rs.Lo, cs.Hi - cs.Lo
}

func params(t *testing.T, r *golden.Result) feature.Params {
	p := feature.Params{SNR: r.Params.SnrMax, DataBits: r.Params.DataBits, Compat: true}
	for s := range strings.SplitSeq(r.Params.Features, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		p.Features = append(p.Features, n)
	}
	return p
}

func checkFeatures(t *testing.T, c *golden.Case, r *golden.Result) {
	frames, rows, cols := cut(t, c, r)
	p := params(t, r)
	if len(frames) != r.Summary.NRecords {
		t.Fatalf("%d frames, wanted %d", len(frames), r.Summary.NRecords)
	}
	in := &feature.Input{Rows: rows, Cols: cols, Frames: uint64(len(frames))}
	good := frames
	if slices.Contains(p.Features, 1) {
		good = checkGood(t, r, p, frames)
	}
	in.GoodFrames = uint64(len(good))
	fillSums(in, p, frames, good)
	if slices.Contains(p.Features, 6) {
		in.Resid = residuals(t, r.Params.ShWind, rows, cols, p.DataBits, good)
	}
	if r.Pedestals != nil {
		a := r.Array(t, "pedestals")
		in.Pedestals, in.Float32 = a.V, a.Type == "f4"
	}
	res, err := feature.Evaluate(in, p)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "status", r.Array(t, "status"), 0, func(i int) float64 { return float64(res.Status[i]) })
	if res.Mean2 != nil {
		near(t, "mean", r.Array(t, "mean"), 0, func(i int) float64 { return res.Mean[i] })
		checkSearch(t, r, "f2_mean", res.Mean2, 1e-12)
	}
	if res.Std3 != nil {
		near(t, "std", r.Array(t, "std"), 1e-12, func(i int) float64 { return res.Std[i] })
		checkSearch(t, r, "f3_std", res.Std3, 1e-12)
	}
	if res.Resid6 != nil {
		near(t, "med6", r.Array(t, "med6"), 1e-9, func(i int) float64 { return res.Med6[i] })
		near(t, "spr6", r.Array(t, "spr6"), 1e-9, func(i int) float64 { return res.Spr6[i] })
		checkSearch(t, r, "f6_med", res.Resid6, 1e-9)
		checkSearch(t, r, "f6_spr", res.Spread6, 1e-9)
	}
	if res.Max11 != nil {
		near(t, "max", r.Array(t, "max"), 0, func(i int) float64 { return float64(in.Max[i]) })
		near(t, "max_minus_peds", r.Array(t, "max_minus_peds"), 0, func(i int) float64 { return res.MaxPeds[i] })
		checkSearch(t, r, "f11_max_peds", res.Max11, 0)
		for key, got := range map[string]float64{"med": res.Input11.Med, "up": res.Input11.Up, "down": res.Input11.Down} {
			if want, ok := r.Summary.Number(t, "f11_input", key); !ok || !golden.Same(got, want) {
				t.Errorf("feature 11: %s is %v, wanted %v", key, got, want)
			}
		}
	}
}

func checkGood(t *testing.T, r *golden.Result, p feature.Params, frames [][]uint16) (good [][]uint16) {
	var hist [1 << 16]uint32
	twice := make([]uint32, len(frames))
	for k, f := range frames {
		twice[k] = quantile.FrameMedian(f, p.DataBits, &hist)
	}
	ok, s := feature.GoodFrames(twice, p)
	want := r.Array(t, "good_frames")
	for k := range frames {
		if ok[k] != (want.V[k] == 1) {
			t.Errorf("frame %d: good is %v", k, ok[k])
		}
		if ok[k] {
			good = append(good, frames[k])
		}
	}
	near(t, "frame_median", r.Array(t, "frame_median"), 0, func(i int) float64 { return float64(twice[i]) / 2 })
	checkSearch(t, r, "f1_intensity_med", &s, 1e-12)
	return good
}

// fillSums accumulates good frames for features 2 and 3 and the maximum of all frames for 11.
func fillSums(in *feature.Input, p feature.Params, frames, good [][]uint16) {
	ap := accum.Params{DataBits: p.DataBits, HiAbove: math.MaxUint16}
	sums, all := accum.NewGated(in.Rows*in.Cols, ap, nil, nil), accum.NewGated(in.Rows*in.Cols, ap, nil, nil)
	sums.Add(0, good)
	all.Add(0, frames)
	s := sums.Planes()
	in.Sum0, in.Sum1, in.Sum2, in.Max = s.Sum0, s.Sum1, s.Sum2, all.Planes().Max
}

// residuals runs feature 6 as tasks do: bands, halves of bands, frames in pieces.
func residuals(t *testing.T, window string, rows, cols int, mask uint16, good [][]uint16) *feature.Resid {
	var wr, wc int
	if _, err := fmt.Sscanf(window, "%d,%d", &wr, &wc); err != nil {
		t.Fatalf("window %q: %v", window, err)
	}
	f, err := feature.NewFlatness(rows, cols, wr, wc, mask)
	if err != nil {
		t.Fatal(err)
	}
	var bands []*plane.Set
	for i, b := range f.Bands() {
		cuts := []int{0, f.WindowCols()}
		if i%2 == 0 && f.WindowCols() > 1 {
			cuts = []int{0, f.WindowCols() / 2, f.WindowCols()}
		}
		var parts []*plane.Set
		for j := 1; j < len(cuts); j++ {
			acc := feature.NewResiduals(f, b, cuts[j-1], cuts[j], len(good))
			for piece := range slices.Chunk(good, 7) {
				var band [][]uint16
				for _, g := range piece {
					band = append(band, g[b.Read.Lo*cols:b.Read.Hi*cols])
				}
				acc.Add(band)
			}
			parts = append(parts, acc.Finish())
		}
		joined, err := feature.JoinWindows(parts, b.Keep.Hi-b.Keep.Lo)
		if err != nil {
			t.Fatal(err)
		}
		bands = append(bands, joined)
	}
	whole, err := plane.Concat(bands)
	if err != nil {
		t.Fatal(err)
	}
	resid, err := f.ResidFromSet(whole)
	if err != nil {
		t.Fatal(err)
	}
	return resid
}

// near compares an expected array; the tolerance is relative to numbers above 1, 0 means bit for bit.
func near(t *testing.T, name string, want *golden.Numbers, tol float64, got func(i int) float64) {
	t.Helper()
	different := 0
	example := ""
	for i, w := range want.V {
		if g := got(i); !golden.Same(g, w) && !(math.Abs(g-w) <= tol*max(1, math.Abs(w))) {
			if different++; different == 1 {
				example = fmt.Sprintf("element %d is %v, wanted %v", i, g, w)
			}
		}
	}
	if different > 0 || len(want.V) == 0 {
		t.Errorf("%s: %d of %d elements differ, first %s", name, different, len(want.V), example)
	}
}

func checkSearch(t *testing.T, r *golden.Result, name string, s *feature.Search, tol float64) {
	t.Helper()
	for key, got := range map[string]float64{"vmin": s.VMin, "vmax": s.VMax, "lo": s.Lo, "hi": s.Hi, "med": s.Med, "spr": s.Spr,
		"selected": float64(s.Selected), "n_lo": float64(s.NLo), "n_hi": float64(s.NHi)} {
		if want, ok := r.Summary.Number(t, name, key); ok && !golden.Same(got, want) && !(math.Abs(got-want) <= tol*max(1, math.Abs(want))) {
			t.Errorf("%s: %s is %v, wanted %v", name, key, got, want)
		}
	}
}
