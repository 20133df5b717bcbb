package status

// Charge are the bits of status_ci. Bits 0 to 15 stay free of measured ones: analysis reads status_ci
// through status_extra, all 64 bits of it, and the largest bit that survives every text reader is 52.
const Charge Family = "ci"

// Bits of status_ci that stand for themselves, for mode AML; those of AHL are one place higher.
const (
	FewPeriods  uint64 = 1 << 16
	ManyPeriods uint64 = 1 << 18
	SwitchOff   uint64 = 1 << 36
	NoResponse  uint64 = 1 << 46
	NeverSwitch uint64 = 1 << 48
	GainFlips   uint64 = 1 << 50
	CrossTalk   uint64 = 1 << 52 // of both modes
)

// Bits of status_ci that come in pairs, low and high, for AML-M, AML-L, AHL-H and AHL-L.
const (
	LineOffset uint64 = 1 << 20
	LineGain   uint64 = 1 << 28
	LineChi2   uint64 = 1 << 38
)

// ChargeClock are the bits of measure B, which are found on the clock of the ramp.
const ChargeClock = SwitchOff<<1 | SwitchOff | NoResponse<<1 | NoResponse | NeverSwitch<<1 | NeverSwitch | GainFlips<<1 | GainFlips | CrossTalk

// ChargeLines are the lines that a pixel has in a scan, in the order of the pairs of bits.
var ChargeLines = [4]string{"AML-M", "AML-L", "AHL-H", "AHL-L"}

// ChargePair returns the two bits of a quantity (LineOffset, LineGain, LineChi2) of a line.
func ChargePair(quantity uint64, line int) (low, high uint64) {
	return quantity << (2 * line), quantity << (2*line + 1)
}

// chargeTable makes the rows of the dictionary.
func chargeTable() (rows []Bit) {
	add := func(value uint64, name, rule, meaning, group string, original bool) {
		rows = append(rows, Bit{value, name, Charge, rule, meaning, []string{"status_ci"}, []string{"ci"}, group, original})
	}
	modes := []string{"AML", "AHL"}
	each := func(value uint64, name, rule, meaning, group string, original bool) {
		for m, mode := range modes {
			add(value<<m, name+"_"+mode, rule, meaning+" in "+mode, group, original)
		}
	}
	each(FewPeriods, "FEW_PERIODS", "periods < 1", "gain bit did not come and go as the pulser ramped", "periods", true)
	each(ManyPeriods, "MANY_PERIODS", "periods > complete ramps + 1", "gain bit came and went more often than the pulser ramped", "periods", true)
	pairs := func(quantity uint64, name, of, meaning string) {
		for line, label := range ChargeLines {
			low, high := ChargePair(quantity, line)
			add(low, name+"_"+label[:3]+label[4:]+"_LOW", of+" of "+label+" <= lo", meaning+" of "+label+" too low, or no line", name, true)
			add(high, name+"_"+label[:3]+label[4:]+"_HIGH", of+" of "+label+" >= hi", meaning+" of "+label+" too high", name, true)
		}
	}
	pairs(LineOffset, "OFFSET", "offset", "offset of the line")
	pairs(LineGain, "GAIN", "gain", "gain")
	each(SwitchOff, "SWITCH", "|switching point - median| > limit", "switches too early or too late", "switch", false)
	pairs(LineChi2, "CHI2", "chi2", "scatter around the line")
	each(NoResponse, "NO_RESPONSE", "no gain bit in any ramp, |slope| < response x median", "does not answer the pulser", "switch", false)
	each(NeverSwitch, "NEVER_SWITCH", "no gain bit in any ramp, slope as it should be", "never switches to low gain", "switch", false)
	each(GainFlips, "GAIN_FLIPS", "gain bit in all frames, or more than one rise in too many ramps", "gain bit stuck or flickering", "switch", false)
	add(CrossTalk, "CROSSTALK", "|slope while a neighbour is pulsed - median| > limit", "follows its neighbours", "crosstalk", false)
	return rows
}
