package status

// GainRule says which gain bits make a pixel bad (bit GainState). Both rules are evaluated from counts that
// are taken together, so the rule can be changed without raw data.
type GainRule string

// The rules. One frame is enough.
const (
	GainOff GainRule = ""
	// GainExpected wants the gain bits of the step's gain mode in every frame (LCLS-I).
	GainExpected GainRule = "expected"
	// GainImpossible only objects to the value that no mode has (LCLS-II; jungfrau: binary 10).
	GainImpossible GainRule = "impossible"
)

// Gain bits of jungfrau, in their place in the raw word.
const (
	JungfrauGainMask  uint16 = 0xc000
	JungfrauGainNever uint16 = 0x8000
)

// JungfrauGainWanted are the gain bits of jungfrau's gain modes 0, 1, 2 (normal, forced gain 1, forced
// gain 2).
var JungfrauGainWanted = [...]uint16{0, 0x4000, 0xc000}

// Counts returns the counts that the rule looks at; nil if it is off or they were not taken.
func (r GainRule) Counts(p *PanelPlanes) []uint32 {
	switch r {
	case GainExpected:
		return p.GainOdd
	case GainImpossible:
		return p.GainNever
	}
	return nil
}
