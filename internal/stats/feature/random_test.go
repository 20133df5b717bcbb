package feature_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/golden"
	"rawstatus/internal/testenv/refstat"
)

// TestFeaturesEqualTheReference compares all features with the slow reference on pathological frames: values,
// good frames and status to the last bit.
func TestFeaturesEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[uint64]int{}
	for range 250 {
		p := refstat.FeatureParams{Features: [][]int{{1, 2, 3}, {2, 3, 11}, {1, 6}, {1, 2, 3, 6, 11}, {11}, {3}}[r.IntN(6)],
			SNR: []float64{8, 3, 1.5}[r.IntN(3)], DataBits: []uint16{0x3fff, 0xffff}[r.IntN(2)], MinFrames: r.IntN(4),
			WR: 2 + r.IntN(3), WC: 2 + r.IntN(3)}
		p.Rows, p.Cols = p.WR+r.IntN(6), p.WC+r.IntN(6)
		frames := refstat.Frames(r, r.IntN(9), p.Rows*p.Cols)
		p.Pedestals = pedestals(r, p.Rows*p.Cols)
		want := refstat.Features(frames, p)
		checkAgainst(t, p, frames, want)
		for _, s := range want.Status {
			seen[s]++
		}
	}
	for _, b := range status.Table {
		if b.Family != status.Features && b.Family != "" || b.Value&(status.Hints|status.User) != 0 {
			continue
		}
		n := 0
		for s, c := range seen {
			if s&b.Value != 0 {
				n += c
			}
		}
		if n == 0 {
			t.Errorf("bit %s never occurred: the test says nothing about it", b.Name)
		}
	}
}

// pedestals are noise around a level, all equal, or have NaN among them.
func pedestals(r *rand.Rand, n int) []float64 {
	ped := make([]float64, n)
	kind := r.IntN(3)
	for i := range ped {
		ped[i] = 1000
		if kind > 0 {
			ped[i] += r.NormFloat64()
		}
		if kind == 2 && r.IntN(10) == 0 {
			ped[i] = math.NaN()
		}
	}
	return ped
}

func checkAgainst(t *testing.T, p refstat.FeatureParams, frames [][]uint16, want *refstat.FeatureResult) {
	t.Helper()
	q := feature.Params{Features: p.Features, SNR: p.SNR, DataBits: p.DataBits, MinFrames: uint64(p.MinFrames)}
	in := &feature.Input{Rows: p.Rows, Cols: p.Cols, Frames: uint64(len(frames)), Pedestals: p.Pedestals}
	good := frames
	if slices.Contains(p.Features, 1) {
		var hist [1 << 16]uint32
		twice := make([]uint32, len(frames))
		for k, f := range frames {
			twice[k] = quantile.FrameMedian(f, p.DataBits, &hist)
		}
		ok, _ := feature.GoodFrames(twice, q)
		if !slices.Equal(ok, want.Good) {
			t.Fatalf("%+v: good frames %v, wanted %v", p, ok, want.Good)
		}
		good = nil
		for k := range frames {
			if ok[k] {
				good = append(good, frames[k])
			}
		}
	}
	in.GoodFrames = uint64(len(good))
	fillSums(in, q, frames, good)
	if slices.Contains(p.Features, 6) {
		in.Resid = residuals(t, fmt.Sprintf("%d,%d", p.WR, p.WC), p.Rows, p.Cols, p.DataBits, good)
	}
	got, err := feature.Evaluate(in, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		got, want []float64
	}{{"mean", got.Mean, want.Mean}, {"std", got.Std, want.Std}, {"med6", got.Med6, want.Med6}, {"spr6", got.Spr6, want.Spr6}, {"max", got.MaxPeds, want.MaxPeds}} {
		if !slices.EqualFunc(c.got, c.want, golden.Same) && c.want != nil && !(c.name == "max" && len(frames) == 0) {
			t.Fatalf("%+v: %s is %v, wanted %v", p, c.name, c.got, c.want)
		}
	}
	if !slices.Equal(got.Status, want.Status) {
		t.Fatalf("%+v, %d frames, %d good: status %v, wanted %v", p, len(frames), len(good), got.Status, want.Status)
	}
}

// TestResidualsOfWideWindowsDoNotOverflow uses windows of 15 x 15 on all 16 bits, where residuals need 64 bits, and on 14, where
// 32 suffice. The frames are the pattern in which the first pixel has its largest residual (it is bright, and
// so are those that pull the plane down there) and its negative.
func TestResidualsOfWideWindowsDoNotOverflow(t *testing.T) {
	for _, mask := range []uint16{0xffff, 0x3fff} {
		p := refstat.FeatureParams{Features: []int{6}, SNR: 8, DataBits: mask, MinFrames: 2, Rows: 16, Cols: 17, WR: 15, WC: 15}
		frames := make([][]uint16, 4)
		for k := range frames {
			frames[k] = make([]uint16, p.Rows*p.Cols)
			for i := range frames[k] {
				bright := i == 0 || i/p.Cols+i%p.Cols-14 >= 3
				if bright == (k%2 == 0) {
					frames[k][i] = mask
				}
			}
		}
		checkAgainst(t, p, frames, refstat.Features(frames, p))
	}
}

func TestImpossibleWindowsAreRefused(t *testing.T) {
	for _, c := range [][4]int{{10, 10, 11, 3}, {10, 10, 3, 11}, {10, 10, 1, 3}, {10, 10, 3, 1}, {9000, 9000, 8999, 8998}} {
		if _, err := feature.NewFlatness(c[0], c[1], c[2], c[3], 0xffff); err == nil {
			t.Errorf("window %d x %d on %d x %d: no error", c[2], c[3], c[0], c[1])
		}
	}
}

func TestBandsKeepEveryRowOnce(t *testing.T) {
	for rows := 2; rows < 60; rows++ {
		for wr := 2; wr <= min(rows, 16); wr++ {
			f, err := feature.NewFlatness(rows, 20, wr, 3, 0x3fff)
			if err != nil {
				t.Fatal(err)
			}
			next := 0
			for _, b := range f.Bands() {
				if b.Keep.Lo != next || b.Keep.Lo != b.Read.Lo || b.Keep.Hi > b.Read.Hi || b.Read.Hi-b.Read.Lo != wr || b.Read.Hi > rows {
					t.Fatalf("%d rows, window of %d: band %+v after row %d", rows, wr, b, next)
				}
				next = b.Keep.Hi
			}
			if next != rows {
				t.Fatalf("%d rows, window of %d: rows from %d are not kept", rows, wr, next)
			}
		}
	}
}

// TestDegenerateInputHasTheDocumentedOutcome is the table of outcomes that the package comment promises.
func TestDegenerateInputHasTheDocumentedOutcome(t *testing.T) {
	const rows, cols = 4, 5
	constant := func(frames int, v uint16) [][]uint16 {
		f := make([][]uint16, frames)
		for k := range f {
			f[k] = slices.Repeat([]uint16{v}, rows*cols)
		}
		return f
	}
	noisy := func(frames int) [][]uint16 {
		r := rand.New(rand.NewPCG(7, 8))
		f := constant(frames, 1000)
		for k := range f {
			for i := range f[k] {
				f[k][i] += uint16(r.IntN(50))
			}
		}
		return f
	}
	zeros, nan := make([]float64, rows*cols), make([]float64, rows*cols)
	for i := range nan {
		nan[i] = math.NaN()
	}
	for _, c := range []struct {
		name     string
		features []int
		frames   [][]uint16
		peds     []float64
		want     uint64 // of every pixel
	}{
		{"no frames", []int{2}, nil, nil, status.NoData},
		{"too few frames", []int{1, 2}, noisy(2), nil, status.LowStats},
		{"constant frames are good frames, equal means tell nothing", []int{1, 2}, constant(5, 1000), nil, status.EvalError},
		{"all dead", []int{2}, constant(5, 0), nil, status.MeanLow},
		{"all saturated", []int{2}, constant(5, 16383), nil, status.MeanHigh},
		{"no noise at all", []int{3}, constant(5, 1000), nil, status.StdLow},
		{"flat light without noise", []int{6}, constant(5, 1000), nil, status.EvalError},
		{"no pedestals", []int{11}, noisy(5), nil, status.EvalError},
		{"NaN pedestals", []int{11}, noisy(5), nan, status.EvalError},
		{"equal maxima", []int{11}, constant(5, 1000), zeros, status.EvalError},
		{"ordinary noise", []int{1, 2, 3, 6}, noisy(40), nil, 0},
	} {
		p := feature.Params{Features: c.features, SNR: 8, DataBits: 0x3fff, MinFrames: 3}
		in := &feature.Input{Rows: rows, Cols: cols, Frames: uint64(len(c.frames)), GoodFrames: uint64(len(c.frames)), Pedestals: c.peds}
		if slices.Contains(c.features, 1) && len(c.frames) > 0 {
			twice := make([]uint32, len(c.frames))
			var hist [1 << 16]uint32
			for k, f := range c.frames {
				twice[k] = quantile.FrameMedian(f, p.DataBits, &hist)
			}
			if good, s := feature.GoodFrames(twice, p); slices.Contains(good, false) {
				t.Errorf("%s: frames rejected by %+v", c.name, s)
			}
		}
		fillSums(in, p, c.frames, c.frames)
		if slices.Contains(c.features, 6) {
			in.Resid = residuals(t, "3,3", rows, cols, p.DataBits, c.frames)
		}
		res, err := feature.Evaluate(in, p)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for i, s := range res.Status {
			if s != c.want {
				t.Errorf("%s: pixel %d has status %s, wanted %s", c.name, i, status.Names(status.Features, s), status.Names(status.Features, c.want))
				break
			}
		}
	}
}

// TestPartsOfABandKeepToTheMemory: the windows of a band are cut into parts that keep to the memory, unless one window is more.
func TestPartsOfABandKeepToTheMemory(t *testing.T) {
	f, err := feature.NewFlatness(60, 200, 15, 15, 0x3fff)
	if err != nil {
		t.Fatal(err)
	}
	band := f.Bands()[0]
	all := f.Bytes(band, 0, f.WindowCols(), 100)
	for _, bytes := range []int64{0, all / 5, all / 2, all - 1, all} {
		parts := 0
		for first, last := 0, 0; first < f.WindowCols(); first = last {
			last = f.Part(band, first, 100, bytes)
			if last <= first || last > f.WindowCols() {
				t.Fatalf("%d bytes: part from %d to %d of %d", bytes, first, last, f.WindowCols())
			}
			if last > first+1 && f.Bytes(band, first, last, 100) > bytes {
				t.Errorf("%d bytes: windows %d to %d take %d", bytes, first, last, f.Bytes(band, first, last, 100))
			}
			if last < f.WindowCols() && f.Bytes(band, first, last+1, 100) <= bytes {
				t.Errorf("%d bytes: windows %d to %d could be more", bytes, first, last)
			}
			parts++
		}
		if want := map[int64]int{0: f.WindowCols(), all: 1}[bytes]; want != 0 && parts != want {
			t.Errorf("%d bytes: %d parts, want %d", bytes, parts, want)
		}
	}
}
