package verdict

import (
	"strings"
	"testing"

	"rawstatus/internal/stats/status"
)

// TestEveryRuleFindsItsFault breaks one rule at a time of a run that is fine.
func TestEveryRuleFindsItsFault(t *testing.T) {
	fine := func() Facts {
		words := make([]uint64, 8*8)
		words[3] = 1
		return Facts{Gains: []Gain{{Name: "g0", Sharper: &status.Sharper{Now: 1}}}, Baseline: &Baseline{Name: "1-end.data", Days: 3},
			Units: []Unit{{Name: "cam segment 0 g0", Pedestal: &Pedestal{1060, 10}, Before: &Pedestal{1000, 20}, Expected: 100, Frames: 100, Pixels: 64, Bad: 1, Occupancy: status.Occupied(status.SparseOf(words), 8, 8, 4, 4)}}}
	}
	if got := Judge(fine()); len(got) != 0 || Of(got) != OK {
		t.Fatalf("a run that is fine: %v", got)
	}
	fill := func(f *Facts, which func(r, c int) bool) {
		words := make([]uint64, 64)
		for i := range words {
			if which(i/8, i%8) {
				words[i] = 2
			}
		}
		f.Units[0].Occupancy, f.Units[0].Bad = status.Occupied(status.SparseOf(words), 8, 8, 4, 4), status.Count(words).Bad
	}
	for name, c := range map[string]struct {
		spoil func(f *Facts)
		level Level
		text  string
	}{
		"incomplete": {func(f *Facts) { f.Incomplete = []string{"stream 3 is missing"} }, Bad, "stream 3 is missing"},
		"no frame":   {func(f *Facts) { f.Units[0].Frames, f.Units[0].Unjudged, f.Units[0].Bad = 0, 64, 64 }, Bad, "no pixel could be judged, from 0 frames"},
		"all bad":    {func(f *Facts) { f.Units[0].Bad = 64 }, Bad, "all pixels are bad"},
		"mostly bad": {func(f *Facts) { f.Units[0].Bad = 33 }, Bad, "33 of 64"},
		"lost":       {func(f *Facts) { f.Units[0].Frames = 99 }, Check, "1 of 100 frames were not used"},
		"few":        {func(f *Facts) { f.Wanted = 101 }, Check, "100 frames, the gates want 101"},
		"gain bits":  {func(f *Facts) { f.Units[0].WrongGain = 1 }, Check, "1 pixels have wrong gain bits"},
		"chip":       {func(f *Facts) { fill(f, func(r, c int) bool { return r < 4 && c >= 4 }) }, Check, "16 of 16 pixels of the chip at row 0, column 4"},
		"column":     {func(f *Facts) { fill(f, func(r, c int) bool { return r > 4 && c == 2 }) }, Check, "column 2 (rows 4 to 7)"},
		"row":        {func(f *Facts) { fill(f, func(r, c int) bool { return r == 1 && c < 3 }) }, Check, "row 1 (columns 0 to 3)"},
		"blunt":      {func(f *Facts) { f.Gains[0].Sharper = &status.Sharper{Now: 20, More: 10} }, Check, "find 20; limits by median and MAD per chip would find 10 more"},
		"absolute":   {func(f *Facts) { f.Gains[0].Bounded = []string{"rms <= 16000"} }, Check, "rms <= 16000"},
		"pedestal": {func(f *Facts) {
			f.Units[0].Pedestal, f.Units[0].Before, f.Units[0].BeforeRun = &Pedestal{1061, 10}, &Pedestal{1000, 20}, "run 4"
		}, Check, "the mean pedestal of the good pixels is 1061.0 ADU, in run 4 it was 1000.0 with a spread of 20.0"},
		"newly bad":      {func(f *Facts) { f.Units[0].NewlyBad = 1 }, Check, "1 of 64 pixels are newly bad against 1-end.data"},
		"stale":          {func(f *Facts) { f.Baseline.Days = 31 }, Check, "31 days older"},
		"other detector": {func(f *Facts) { f.Baseline.OtherDetector = true }, Check, "other panels"},
	} {
		f := fine()
		c.spoil(&f)
		got := Judge(f)
		if len(got) != 1 || got[0].Level != c.level || Of(got) != c.level || !strings.Contains(got[0].Text, c.text) {
			t.Errorf("%s: %+v, wanted %s %q", name, got, c.level, c.text)
		}
	}
	f := fine()
	f.Units[0].Frames, f.Incomplete = 50, []string{"a chunk is missing"}
	if got := Judge(f); len(got) != 2 || got[0].Level != Bad || got[1].Level != Check {
		t.Errorf("the worst is not first: %v", got)
	}
	if Blunt(status.Sharper{Now: 0, More: 9}) || Blunt(status.Sharper{Now: 200, More: 20}) || !Blunt(status.Sharper{Now: 200, More: 21}) {
		t.Error("limits are called blunt by other numbers than the rule's")
	}
}
