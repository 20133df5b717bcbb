package plane

// Names of the planes that the profiles store. One element per pixel of the panel, row-major.
const (
	Sum0      = "sum0"       // uint32 sum: values inside the gate
	Sum1      = "sum1"       // uint64 sum of these values
	Sum2      = "sum2"       // uint64 sum of their squares
	NLo       = "n_lo"       // uint32 sum: values below int_lo
	NHi       = "n_hi"       // uint32 sum: values above int_hi
	MinValue  = "min"        // uint16 min of all values, 65535 without frames
	MaxValue  = "max"        // uint16 max of all values, 0 without frames
	GateLo    = "gate_lo"    // uint16 same: first value of the gate
	GateHi    = "gate_hi"    // uint16 same: last value of the gate
	GainOdd   = "gain_odd"   // uint32 sum: frames whose gain bits are not those of the gain mode
	GainNever = "gain_never" // uint32 sum: frames whose gain bits have the value that no mode has
	InMode    = "in_mode"    // uint32 sum: frames in which the pixel is in the gain mode; only where a gain map distinguishes pixels
)
