package reduce

import (
	"math"
	"strings"
	"testing"

	"rawstatus/internal/io/repo"
)

// TestLimitsOfNothing shows limits that no pixel has led to without numbers that mean nothing.
func TestLimitsOfNothing(t *testing.T) {
	nan := repo.Number(math.NaN())
	g := Group{GainMode: "g0", Limits: []Limit{
		{Limit: repo.Limit{Name: "F6 spread", Lo: -16383, Hi: 16383, Centre: nan, Spread: nan}},
		{Limit: repo.Limit{Name: "average", Lo: 1, Hi: 9, Centre: 5, Spread: 2}, Used: 1},
	}}
	var b strings.Builder
	g.write(&b)
	for _, want := range []string{
		"limits of F6 spread, all panels: -16383 .. 16383 (no pixel could be judged)\n",
		"limits of average, all panels: 1 .. 9 (centre 5, spread 2, 1 value)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
