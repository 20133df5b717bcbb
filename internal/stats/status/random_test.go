package status_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/refstat"
)

// randomParams draws parameters of a profile.
func randomParams(r *rand.Rand) (quantile.GateParams, status.DarkParams) {
	pick := func(v ...float64) float64 { return v[r.IntN(len(v))] }
	g := quantile.GateParams{DataBits: []uint16{0x3fff, 0xffff, 0x0fff}[r.IntN(3)], FracLo: pick(0, 0.05, 0.29), FracHi: pick(1, 0.95, 0.55),
		IntLo: pick(0, 1, 1.5, 100), IntHi: pick(16000, 16000.5, 65535, 4000)}
	p := status.DarkParams{
		Profile: []status.Profile{status.ProfileDark, status.ProfileData}[r.IntN(2)],
		Scope:   []status.Scope{status.PerDetector, status.PerPanel}[r.IntN(2)],
		Method:  status.MeanStd,
		IntLo:   g.IntLo, IntHi: g.IntHi, IntNLo: pick(0, 1, 6), IntNHi: pick(0, 2, 6),
		RmsLo: pick(0.001, 1), RmsHi: pick(16000, 100), RmsNLo: pick(0, 1, 6), RmsNHi: pick(0, 2, 6),
		FracLm: pick(0, 0.1, 0.29, 1), MinFrames: uint64(r.IntN(5)),
	}
	p.GainRule = []status.GainRule{status.GainOff, status.GainOff, status.GainExpected, status.GainImpossible}[r.IntN(4)]
	return g, p
}

// production takes a panel's frames through windows, accumulators split by frames and pixels, sets, merge.
func production(t *testing.T, r *rand.Rand, frames [][]uint16, rows, cols, nrecs1 int, g quantile.GateParams, p status.DarkParams) status.PanelPlanes {
	t.Helper()
	n := rows * cols
	if len(frames) == 0 {
		return status.AbsentPanel(rows, cols)
	}
	lo, hi := make([]uint16, n), make([]uint16, n)
	for i := range hi {
		hi[i] = math.MaxUint16
	}
	if p.Profile == status.ProfileDark {
		seq := status.NewSequence(status.Sane, len(frames), 0, nrecs1)
		quantile.Gates(frames[:seq.Block], g, lo, hi)
	}
	var sets []*plane.Set
	for at := 0; at < len(frames); {
		next := min(len(frames), at+1+r.IntN(len(frames)))
		ap := accum.Params{DataBits: g.DataBits, LoBelow: g.Below(), HiAbove: g.Above()}
		if p.Profile == status.ProfileData {
			lo, hi, ap.GainBits, ap.Wanted = nil, nil, status.JungfrauGainMask, status.JungfrauGainWanted[1]
		}
		acc := accum.NewGated(n, ap, lo, hi)
		gain := accum.NewGain(n, status.JungfrauGainMask, status.JungfrauGainWanted[1], status.JungfrauGainNever)
		acc.Add(0, frames[at:next])
		gain.Add(0, frames[at:next])
		a := acc.Planes()
		odd, never := gain.Planes()
		set := &plane.Set{Frames: uint64(next - at), Planes: []plane.Plane{
			{Name: plane.Sum0, Op: plane.Sum, Data: a.Sum0}, {Name: plane.Sum1, Op: plane.Sum, Data: a.Sum1}, {Name: plane.Sum2, Op: plane.Sum, Data: a.Sum2},
			{Name: plane.NLo, Op: plane.Sum, Data: a.NLo}, {Name: plane.NHi, Op: plane.Sum, Data: a.NHi},
			{Name: plane.GainOdd, Op: plane.Sum, Data: odd}, {Name: plane.GainNever, Op: plane.Sum, Data: never}}}
		if lo != nil {
			set.Planes = append(set.Planes, plane.Plane{Name: plane.GateLo, Op: plane.Same, Data: a.GateLo})
		}
		sets = append(sets, set)
		at = next
	}
	r.Shuffle(len(sets), func(i, j int) { sets[i], sets[j] = sets[j], sets[i] })
	for _, s := range sets[1:] {
		if err := plane.Merge(sets[0], s); err != nil {
			t.Fatal(err)
		}
	}
	out, err := status.PanelFromSet(sets[0], rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAgainstReference compares both profiles with the slow reference on pathological frames, split into
// shards at random. Average and rms agree to the last bit; a bit may differ only where the value and the
// limit, which the two sum in different orders, differ by rounding.
func TestAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[uint64]int{}
	for range 400 {
		g, p := randomParams(r)
		rows, cols := 1+r.IntN(9), 1+r.IntN(9)
		nrecs1 := 1 + r.IntN(30)
		var frames [][][]uint16
		var panels []status.PanelPlanes
		for range 1 + r.IntN(3) {
			n := r.IntN(40)
			if r.IntN(4) == 0 {
				n = r.IntN(4)
			}
			frames = append(frames, refstat.Frames(r, n, rows*cols))
			panels = append(panels, production(t, r, frames[len(frames)-1], rows, cols, nrecs1, g, p))
		}
		got, err := status.EvalDark(panels, p)
		if err != nil {
			t.Fatal(err)
		}
		want := refstat.Dark(frames, rows*cols, g, nrecs1, nil, p, refstat.Gain{Mask: 0xc000, Wanted: 0x4000, Never: 0x8000})
		for i, w := range want {
			for k := range w.Status {
				g := got.Panels[i]
				if g.Ave[k] != w.Ave[k] || g.Rms[k] != w.Rms[k] {
					t.Fatalf("%+v: panel %d pixel %d: average %v rms %v, wanted %v %v", p, i, k, g.Ave[k], g.Rms[k], w.Ave[k], w.Rms[k])
				}
				different := g.Bad.Word(k) ^ w.Status[k]
				if close(w.Rms[k], w.RmsLim) {
					different &^= status.RmsHigh | status.RmsLow
				}
				if close(w.Ave[k], w.AveLim) {
					different &^= status.AveHigh | status.AveLow
				}
				if different != 0 {
					t.Fatalf("%+v: panel %d pixel %d: status %d, wanted %d (average %v in %+v, rms %v in %+v)",
						p, i, k, g.Bad.Word(k), w.Status[k], w.Ave[k], w.AveLim, w.Rms[k], w.RmsLim)
				}
				seen[g.Bad.Word(k)]++
			}
		}
	}
	for bit := uint64(1); bit <= status.LowStats; bit <<= 1 {
		if _, named := status.Lookup(status.Dark, bit); !named {
			continue
		}
		n := 0
		for s, c := range seen {
			if s&bit != 0 {
				n += c
			}
		}
		if n == 0 {
			t.Errorf("bit %d never occurred: the test says nothing about it", bit)
		}
	}
}

// close: the value is one of the limits but for rounding.
func close(v float64, l status.Limits) bool {
	return math.Abs(v-l.Lo) <= 1e-12*math.Abs(v) || math.Abs(v-l.Hi) <= 1e-12*math.Abs(v)
}
