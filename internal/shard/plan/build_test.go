package plan

import (
	"strings"
	"testing"

	"rawstatus/internal/fault"
)

// TestNoEvents wants a file that was cut before its first event to be called cut, whatever is allowed.
func TestNoEvents(t *testing.T) {
	x := predicted(0)
	x.Steps = nil
	const cut = `"r1.xtc2" byte 0x10: cut`
	for _, c := range []struct {
		missing []string
		want    fault.Code
		words   []string
	}{
		{nil, fault.Input, []string{"no events", "detector d"}},
		{[]string{cut}, fault.Incomplete, []string{"incomplete", "detector d", cut}},
	} {
		x.Missing = c.missing
		for _, allow := range []bool{false, true} {
			_, err := Build(x, IndexSums{}, Params{Profile: "data", CType: "status_data",
				Selection: Selection{DataBits: 0x3fff, IntLo: 1, IntHi: 16000, GateFrames: 20, AllowIncomplete: allow},
				Rules:     Rules{RmsHi: 16000, MinFrames: 3, LimitsPer: "detector", Limits: "mean"}}, Options{})
			if err == nil || fault.CodeOf(err) != c.want {
				t.Fatalf("missing %q, allowed %v: %v", c.missing, allow, err)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("missing %q: does not say %q: %v", c.missing, w, err)
				}
			}
		}
	}
}
