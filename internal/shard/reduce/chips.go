package reduce

import (
	"runtime"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// Chip has what pedestals and noise of a readout chip are in a dark run, in ADU: medians over its judged pixels, of the
// numbers as they are deployed, in thousandths.
type Chip struct {
	Row    int     `json:"row"` // first pixel of the chip
	Col    int     `json:"col"`
	Pixels int     `json:"pixels"` // that are judged
	Median float64 `json:"median"`
	Spread float64 `json:"spread"` // 1.4826 times the median absolute deviation: the standard deviation of normal values
	RMS    float64 `json:"rms"`    // median noise of a pixel
}

// madToSigma makes the median absolute deviation of normal values their standard deviation.
const madToSigma = 1.4826

// chipsOf returns the chips of the units of a group, several units at a time; nil in profiles without pedestals.
func chipsOf(p *plan.Plan, units []int, v *judgement) [][]Chip {
	out := make([][]Chip, len(units))
	var g fault.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, u := range units {
		if j := &v.panels[i]; j.constants != nil && j.Frames > 0 {
			g.Go(func() error {
				out[i] = chipsOfPanel(p, u, j)
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		panic(err) // one of the goroutines did
	}
	return out
}

func chipsOfPanel(p *plan.Plan, unit int, j *judged) (list []Chip) {
	panel := p.Panel(unit)
	rows, cols := ASIC(p, unit)
	ave, rms := make([]int32, 0, rows*cols), make([]int32, 0, rows*cols)
	scratch := make([]int32, rows*cols)
	for r := 0; r < panel.Rows; r += rows {
		for c := 0; c < panel.Cols; c += cols {
			ave, rms = ave[:0], rms[:0]
			for y := r; y < min(r+rows, panel.Rows); y++ {
				for i := y*panel.Cols + c; i < y*panel.Cols+min(c+cols, panel.Cols); i++ {
					// No pedestal is above 65535: thousandths of it fit.
					if a, s := j.constants.ave[i], j.constants.rms[i]; j.Status[i]&status.NotJudged == 0 && a-a == 0 && s-s == 0 {
						ave, rms = append(ave, int32(a*1000+0.5)), append(rms, int32(s*1000+0.5))
					}
				}
			}
			if len(ave) == 0 {
				continue
			}
			chip := Chip{Row: r, Col: c, Pixels: len(ave), RMS: float64(middle(rms, scratch)) / 1000}
			median := middle(ave, scratch)
			for i, a := range ave {
				ave[i] = max(a-median, median-a)
			}
			chip.Median, chip.Spread = float64(median)/1000, float64(madToSigma*float64(middle(ave, scratch)))/1000
			list = append(list, chip)
		}
	}
	return list
}

// middle returns the lower one of the two middle values. Most values are far from it: those near it, as a sample says, are
// all that is selected from.
func middle(v, scratch []int32) int32 {
	rank := (len(v) - 1) / 2
	if len(v) >= 8*sampled {
		var sample [sampled]int32
		for i := range sample {
			sample[i] = v[i*len(v)/sampled]
		}
		slices.Sort(sample[:])
		lo, hi := sample[sampled/2-sampled/12], sample[sampled/2+sampled/12]
		below, near, span := 0, 0, uint32(hi-lo)
		for _, x := range v { // without branches that nobody can predict
			scratch[near] = x // kept when the next line counts it
			if uint32(x-lo) <= span {
				near++
			}
			if x < lo {
				below++
			}
		}
		if k := rank - below; k >= 0 && k < near {
			return quantile.Select(scratch[:near], k)
		}
	}
	return quantile.Select(append(scratch[:0], v...), rank)
}

// sampled is how many values say where the middle is, within a twelfth of them.
const sampled = 255
