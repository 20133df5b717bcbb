package reduce

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"testing"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/golden"
)

// twoPassAnchors are the results of the original function of LCLS-I epix10ka for golden frames: the mean rms of its first
// pass, SHA-256 (first 16 digits) and length of the text of pedestals, rms and status, and pixels by bit.
var twoPassAnchors = []struct {
	frames, dir string
	rms         float64
	text        [3]string
	bits        [6]uint64
}{
	{"dark_l1_normal", "original-L1", 0x1.fbd79a895e68bp+2, [3]string{"a95b8bb103de5f79 53212", "6c2142d5e9781365 35507", "335220e148125d6c 29585"}, [6]uint64{5, 19, 9, 5, 4, 13}},
	{"dark_l1_mild_nrecs", "original-L1", 0x1.409d7442c5a2cp+2, [3]string{"e9b0eb0bf7c8bbd8 18630", "f8a213124d6dec50 12423", "1c4a1ea0536a8e93 10350"}, [6]uint64{3, 2, 0, 0, 2, 2}},
	{"dark_jungfrau", "original-L1-gm0", 0x1.339b0dfcea653p+12, [3]string{"d8ab89f342656c02 6909", "ac66edc8398667f0 6906", "d0505c5101dd0758 3840"}, [6]uint64{0, 2, 0, 1, 0, 2}},
}

// TestTwoPassAnchors wants the anchors of the rule of two passes, from one task and from several.
func TestTwoPassAnchors(t *testing.T) {
	for _, a := range twoPassAnchors {
		for _, tasks := range []int{1, 5} {
			t.Run(fmt.Sprintf("%s in %d tasks", a.frames, tasks), func(t *testing.T) {
				j := prepare(t, twoPassIndex(t, a.frames, a.dir), twoPassParams("lcls1"), tasks)
				j.tasks(t, 2)
				if tasks > 1 && a.frames != "dark_l1_normal" && len(j.plan.Shards) < 2 {
					t.Fatal("the panel is not cut")
				}
				set, v := judgedAlone(t, j)
				checkHalfGate(t, set, a.rms)
				w := &products{p: j.plan, style: repo.Psana1Panels}
				for k, product := range repo.DarkSet {
					text := w.body(nil, product, &v.panels[0], j.plan.Panel(0).Cols)
					sum := sha256.Sum256(text)
					if got := fmt.Sprintf("%s %d", hex.EncodeToString(sum[:8]), len(text)); got != a.text[k] {
						t.Errorf("text of %s is %s, the original's %s", product, got, a.text[k])
					}
				}
				for k, want := range a.bits {
					if got := uint64(v.counts.Bit[k]); got != want {
						t.Errorf("bit %d of %d pixels, the original's %d", 1<<k, got, want)
					}
				}
			})
		}
	}
}

// checkHalfGate wants gates as wide as 6 times the mean rms says, to the last bit of it where truncation shows it.
func checkHalfGate(t *testing.T, set *plane.Set, rms float64) {
	t.Helper()
	lo, _ := plane.Get[uint16](set, plane.GateLo)
	hi, _ := plane.Get[uint16](set, plane.GateHi)
	for i := range lo {
		if width := float64(hi[i]) - float64(lo[i]); lo[i] > 1 && hi[i] < 16000 && math.Abs(width-12*rms) > 1 {
			t.Fatalf("the gate of pixel %d is [%d, %d], not %v wide", i, lo[i], hi[i], 12*rms)
		}
	}
}

// judgedAlone returns the planes and the judgement of the only unit of a job.
func judgedAlone(t *testing.T, j job) (*plane.Set, *judgement) {
	t.Helper()
	j.reduce(t)
	in, err := stored(j.work, j.plan, 0)
	if err != nil {
		t.Fatal(err)
	}
	v, err := judge(j.plan, []int{0}, []planes{in})
	if err != nil {
		t.Fatal(err)
	}
	return in.set, v
}

// twoPassParams are the defaults of the original, and without compat ours.
func twoPassParams(compat string) plan.Params {
	par := params(plan.ProfileDark)
	par.Compat, par.Events, par.GateFrames, par.LimitsPer, par.Segments = compat, 1024, 500, "panel", []int{0}
	par.TwoPass = &status.TwoPass{NSigma: 6, RmsLo: par.RmsLo, RmsHi: par.RmsHi}
	return par
}

// twoPassIndex is the index of all golden frames.
func twoPassIndex(t *testing.T, name, dir string) *frame.Index {
	t.Helper()
	for _, c := range golden.Cases(t, "dark") {
		for _, r := range c.Results {
			if c.Name == name && r.Dir == dir {
				q := *r
				q.FrameRange, q.Panel, q.GainIndex = nil, nil, nil
				x, _ := goldenInput(t, c, &q)
				return x
			}
		}
	}
	t.Fatalf("no golden %s/%s", name, dir)
	return nil
}
