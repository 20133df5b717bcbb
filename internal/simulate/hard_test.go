package simulate

import (
	"encoding/binary"
	"math"
	"testing"

	"rawstatus/internal/stats/status"
)

// TestHardKindsAreWhatTheyAre measures each hard kind in the frames, beside the ordinary pixels.
func TestHardKindsAreWhatTheyAre(t *testing.T) {
	g, err := NewGenerator(Config{Panels: 1, Rows: 512, Cols: 256, Events: 160, CommonMode: -1, Seed: 5, Stuck: 20, Flickering: 20, NoisyColumns: 2, WrongGain: 20, Weak: 20})
	if err != nil {
		t.Fatal(err)
	}
	c := g.Config()
	n := c.Rows * c.Cols
	sum, sq, never := make([]float64, n), make([]float64, n), make([]int, n)
	dst := make([]byte, 2*n)
	for e := range c.Events {
		g.Frame(dst, e, 0)
		for i := range n {
			w := binary.LittleEndian.Uint16(dst[2*i:])
			v := float64(w & 0x3fff)
			sum[i] += v
			sq[i] += v * v
			if w&0xc000 == status.JungfrauGainNever {
				never[i]++
			}
		}
	}
	rms := func(i int) float64 {
		a := sum[i] / float64(c.Events)
		return math.Sqrt(max(0, sq[i]/float64(c.Events)-a*a))
	}
	kindOf := map[int]string{}
	for _, p := range g.Truth().Panels[0].Planted {
		if !p.Hard {
			t.Errorf("%s is not called hard", p.Kind)
		}
		for _, i := range p.Pixels {
			kindOf[i] = p.Kind
		}
	}
	// rms from, to in ADU, at sigma 15 and 160 frames.
	ranges := map[string][2]float64{"stuck": {0.40, 0.46}, "flickering": {21, 33}, "noisy column": {20, 31}, "wrong gain": {11, 19}, "weak": {1.5, 4.5}, "": {11, 19}}
	count := map[string]int{}
	for i := range n {
		kind := kindOf[i]
		count[kind]++
		if r := rms(i); r < ranges[kind][0] || r > ranges[kind][1] {
			t.Errorf("%q pixel %d has rms %.2f, wanted %v", kind, i, r, ranges[kind])
		}
		if want := map[bool]int{true: c.Events / 8}[kind == "wrong gain"]; never[i] != want {
			t.Errorf("%q pixel %d has wrong gain bits in %d frames, wanted %d", kind, i, never[i], want)
		}
	}
	if count["stuck"] != 20 || count["flickering"] != 20 || count["wrong gain"] != 20 || count["weak"] != 20 || count["noisy column"] < 450 || count["noisy column"] > 512 {
		t.Errorf("planted %v", count)
	}
	for name, cfg := range map[string]Config{"no such bits": {Type: "epix100", WrongGain: 1}, "too many columns": {Rows: 64, Cols: 64, NoisyColumns: 1}} {
		if _, err := NewGenerator(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
