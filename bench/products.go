package main

import (
	"math/rand/v2"

	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/stats/status"
)

// darkProducts compares the step from the sums of a panel to the text of pedestals, rms and status with the same in
// numpy.
func darkProducts(b *bench) error {
	const group, ours, theirs = "products of a dark run: sums of a panel to text", "pedestals, rms, status 1 core", "numpy, savetxt"
	planes := []status.PanelPlanes{status.AbsentPanel(rows, cols)}
	p, r := &planes[0], rand.New(rand.NewPCG(16, 1))
	p.Frames = 1000
	for i := range p.Sum0 {
		p.Sum0[i] = 900 + r.Uint32N(100)
		mean, n := 1000+float64(r.IntN(100_000))/100, float64(p.Sum0[i])
		p.Sum1[i] = uint64(mean * n)
		p.Sum2[i] = uint64((mean*mean + 9 + 9*r.Float64()) * n)
	}
	rules := status.DarkParams{Profile: status.ProfileDark, Scope: status.PerDetector, Method: status.MeanStd, IntLo: 1, IntHi: 16000, IntNLo: 6, IntNHi: 6,
		RmsLo: 0.001, RmsHi: 16000, RmsNLo: 6, RmsNHi: 6, FracLm: 0.1, MinFrames: 3}
	var text []byte
	write := func() error {
		res, err := status.EvalDark(planes, rules)
		if err != nil {
			return err
		}
		q := &res.Panels[0]
		text = calibtxt.AppendFixedRows(text[:0], q.Ave, cols)
		text = calibtxt.AppendFixedRows(text, q.Rms, cols)
		text = calibtxt.AppendIntRows(text, q.Bad.Dense(), cols, 0)
		return nil
	}
	if err := write(); err != nil {
		return err
	}
	bytes := int64(len(text))
	list := []variant{{name: ours, bytes: bytes, cores: 1, run: write}}
	compare := b.numpyHere()
	if compare {
		list = append(list, variant{name: theirs, bytes: bytes, cores: 1, clock: func() (float64, error) { return b.numpy("products", []frame.Extent{b.d.lanes[0].Extents[0]}) }})
	}
	if err := b.group(group, min(3, b.o.reps), list); err != nil || !compare {
		return err
	}
	ratio, _ := b.r.ratio(group, ours, theirs)
	b.r.value("products / numpy", ratio, "times", "sums of a panel of 512 x 1024 pixels to text, one core")
	return nil
}
