package simulate

import (
	"math"
	"slices"
	"testing"

	"rawstatus/internal/detector"
)

// The rules of both profiles with their default numbers, plainly: a second opinion that shares nothing
// with the production code.
const (
	intLo  = 1
	nSigma = 6
	rmsLo  = 0.001
	fracLm = 0.1
	fracLo = 0.05
	fracHi = 0.95
	gateN  = 50
)

// pixelStat holds the statistics of a pixel that a rule uses.
type pixelStat struct {
	ave, rms  float64
	low, high int // frames out of range
}

// dataStat is the ungated statistics of a pixel's values.
func dataStat(values []int, intHi int) (s pixelStat) {
	return gatedStat(values, 0, math.MaxInt, intHi)
}

func gatedStat(values []int, lo, hi, intHi int) (s pixelStat) {
	n, sum, sq := 0.0, 0.0, 0.0
	for _, v := range values {
		if v >= lo && v <= hi {
			n++
			sum += float64(v)
			sq += float64(v) * float64(v)
		}
		if v < intLo {
			s.low++
		}
		if v > intHi {
			s.high++
		}
	}
	if n > 0 {
		s.ave = sum / n
		s.rms = math.Sqrt(sq/n - s.ave*s.ave)
	}
	return s
}

// darkStat is the statistics behind the gates that the first frames define.
func darkStat(values []int, intHi int) pixelStat {
	block := slices.Sorted(slices.Values(values[:min(gateN, len(values))]))
	last := float64(len(block) - 1)
	lo := max(block[int(math.Floor(fracLo*last))], intLo)
	hi := min(block[int(math.Ceil(fracHi*last))], intHi)
	if hi <= lo {
		hi++
	}
	return gatedStat(values, max(lo, intLo), min(hi, intHi), intHi)
}

// limits are mean +- 6 std over all pixels, within bounds.
func limits(v []float64, least, most float64) (lo, hi float64) {
	m, sq := 0.0, 0.0
	for _, x := range v {
		m += x / float64(len(v))
	}
	for _, x := range v {
		sq += (x - m) * (x - m) / float64(len(v))
	}
	return max(m-nSigma*math.Sqrt(sq), least), min(m+nSigma*math.Sqrt(sq), most)
}

func judge(stats []pixelStat, frames, intHi int) []uint64 {
	var aves, rmss []float64
	for _, s := range stats {
		aves = append(aves, s.ave)
		rmss = append(rmss, s.rms)
	}
	rmsMin, rmsMax := limits(rmss, rmsLo, float64(intHi))
	aveMin, aveMax := limits(aves, intLo, float64(intHi))
	most := int(fracLm * float64(frames-1))
	bits := make([]uint64, len(stats))
	for i, s := range stats {
		for bit, bad := range map[uint64]bool{1: s.rms > rmsMax, 2: s.rms < rmsMin, 4: s.high > most, 8: s.low > most,
			16: s.ave > aveMax, 32: s.ave < aveMin} {
			if bad {
				bits[i] |= bit
			}
		}
	}
	return bits
}

// TestPlantedAreFound: every planted pixel has its bit in both profiles, no ordinary pixel has any,
// with limits over all panels together, over each panel alone, and over all gain modes together.
func TestPlantedAreFound(t *testing.T) {
	full := func(cfg Config, rows, cols int) Config {
		cfg.Rows, cfg.Cols = rows, cols
		n := int(maxPlanted * float64(rows*cols))
		cfg.Dead, cfg.Hot, cfg.Noisy, cfg.Saturated, cfg.Cold = n, n, n, n, n
		return cfg
	}
	few := func(cfg Config, rows, cols int) Config {
		cfg.Rows, cfg.Cols = rows, cols
		cfg.Dead, cfg.Hot, cfg.Noisy, cfg.Saturated, cfg.Cold = 1, 1, 1, 1, 1
		return cfg
	}
	gains := []string{"g0", "g1", "g2"}
	for name, cfg := range map[string]Config{
		"64 x 64, full, 3 events":    full(Config{Events: 3}, 64, 64),
		"64 x 64, full, 8 events":    full(Config{Events: 8}, 64, 64),
		"64 x 64, full, 200 events":  full(Config{Events: 200, Seed: 3}, 64, 64),
		"64 x 64, one each":          few(Config{Events: 60, Seed: 4}, 64, 64),
		"16 x 16, one each":          few(Config{Events: 60, Seed: 5}, 16, 16),
		"64 x 64, 3 gains, full":     full(Config{Events: 30, GainModes: gains, Panels: 3, Seed: 6}, 64, 64),
		"64 x 64, 3 gains, one each": few(Config{Events: 52, GainModes: gains, Panels: 1, Seed: 7}, 64, 64),
		"16 bits, full":              full(Config{Events: 20, Type: "epix100", Seed: 8}, 64, 48),
		"15 bits, one each":          few(Config{Events: 20, Type: "epixm320", Seed: 9}, 32, 48),
		"epix10ka low gain, full":    full(Config{Events: 20, Type: "epix10ka", GainModes: []string{"FL"}, Seed: 10}, 44, 48),
		"quiet":                      full(Config{Events: 20, Sigma: 2, CommonMode: -1, Seed: 11}, 64, 64),
		"loud":                       full(Config{Events: 20, Sigma: 60, Pedestal: 3000, CommonMode: 30, Seed: 12}, 64, 64),
		"512 x 1024, one each":       few(Config{Events: 6, Panels: 1, Seed: 13}, 512, 1024),
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && cfg.Rows > 64 {
				t.Skip("large panels")
			}
			g, err := NewGenerator(cfg)
			if err != nil {
				t.Fatal(err)
			}
			c := g.Config()
			var all [2][]pixelStat
			var planted []map[int]uint64
			for step := range c.Steps {
				var ofStep [2][]pixelStat
				var plantedStep []map[int]uint64
				for p := range c.Panels {
					stats, marks := panelStats(g, step, p)
					for k := range stats {
						checkJudged(t, stats[k], []map[int]uint64{marks}, c)
						ofStep[k] = append(ofStep[k], stats[k]...)
						all[k] = append(all[k], stats[k]...)
					}
					plantedStep = append(plantedStep, marks)
				}
				for k := range ofStep {
					checkJudged(t, ofStep[k], plantedStep, c)
				}
				planted = append(planted, plantedStep...)
			}
			for k := range all {
				checkJudged(t, all[k], planted, c)
			}
		})
	}
}

// panelStats returns the statistics of the pixels of a panel in a step, for profile data and dark, and
// the bits that planted ones must get.
func panelStats(g *Generator, step, panel int) (stats [2][]pixelStat, marks map[int]uint64) {
	c := g.Config()
	f, _ := detector.Lookup(c.Type)
	n := c.Rows * c.Cols
	values := make([][]int, n)
	dst := make([]byte, 2*n)
	for e := range c.Events {
		g.Frame(dst, step*c.Events+e, panel)
		for i := range n {
			values[i] = append(values[i], int((uint16(dst[2*i])|uint16(dst[2*i+1])<<8)&f.DataBits))
		}
	}
	for _, v := range values {
		stats[0] = append(stats[0], dataStat(v, upperLimit(f)))
		stats[1] = append(stats[1], darkStat(v, upperLimit(f)))
	}
	marks = map[int]uint64{}
	for _, p := range g.Truth().Panels[panel].Planted {
		for _, i := range p.Pixels {
			if p.GainMode == c.modeName(step) {
				marks[i] |= p.Data
			}
		}
	}
	return stats, marks
}

func checkJudged(t *testing.T, stats []pixelStat, planted []map[int]uint64, c Config) {
	t.Helper()
	f, _ := detector.Lookup(c.Type)
	bits := judge(stats, c.Events, upperLimit(f))
	n := c.Rows * c.Cols
	found, falsely := 0, 0
	for i, b := range bits {
		want := planted[i/n][i%n]
		if b&want != want {
			t.Errorf("pixel %d: bits %d, want at least %d (average %g rms %g)", i, b, want, stats[i].ave, stats[i].rms)
		}
		if want != 0 {
			found++
		} else if b != 0 {
			falsely++
		}
	}
	total := 0
	for _, k := range c.planted() {
		total += k * len(planted)
	}
	if found != total || total == 0 {
		t.Errorf("%d pixels planted, want %d", found, total)
	}
	// In very few frames an ordinary pixel can be constant by chance.
	if falsely != 0 && c.Events > 5 {
		t.Errorf("%d ordinary pixels judged bad", falsely)
	}
}
