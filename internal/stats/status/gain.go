package status

// GainRule says which gain-bit patterns make a pixel bad (bit GainState). All are evaluated from the same
// plane gain_seen, so the rule can be changed without raw data.
type GainRule string

// The rules.
const (
	GainOff GainRule = ""
	// GainExpected wants the pattern of the step's gain mode in every frame (LCLS-I).
	GainExpected GainRule = "expected"
	// GainImpossible only objects to pattern 10, which the chip cannot deliver, in any mode (LCLS-II).
	GainImpossible GainRule = "impossible"
)

// impossiblePattern is the gain-bit pattern 10.
const impossiblePattern = 2

// JungfrauPatterns are the gain-bit patterns of jungfrau's gain modes 0, 1, 2 (normal, forced gain 1,
// forced gain 2).
var JungfrauPatterns = [...]uint8{0, 1, 3}

// bad: seen has bit g set when pattern g was seen.
func (r GainRule) bad(seen, wanted uint8) bool {
	switch r {
	case GainExpected:
		return seen&^(1<<wanted) != 0
	case GainImpossible:
		return seen&(1<<impossiblePattern) != 0
	}
	return false
}
