package xtc2

import (
	"fmt"
	"time"
)

// Sizes in bytes.
const (
	xtcSize      = 12   // Xtc header: src u32, damage u16, contains u16, extent u32
	prefixSize   = 12   // what lies before the root Xtc: ts_low u32, ts_high u32, env u32
	headerSize   = 24   // datagram header: prefix and root Xtc
	nameInfoSize = 1036 // fixed part of a Names payload
	nameSize     = 524  // one field of a Names
	shapeSize    = 20   // one Shape: five u32
	strSize      = 256  // every string of a Names
	maxRank      = 5    // dimensions of a Shape
	maxDepth     = 16   // nested Parents; deeper ones are not read
	maxExtent    = 1<<31 - 1
)

// Type ids of Xtc containers, the low 12 bits of contains.
const (
	typeParent     = 0
	typeShapesData = 1
	typeShapes     = 2
	typeData       = 3
	typeNames      = 4
	typeMask       = 0x0fff
)

// namesIDMask takes the NamesId out of src; the level bits above it are ignored.
const namesIDMask = 0x0fffffff

// Service is the transition id of a datagram, bits 27..24 of env.
type Service uint8

// The services.
const (
	ClearReadout Service = iota
	Reset
	Configure
	Unconfigure
	BeginRun
	EndRun
	BeginStep
	EndStep
	Enable
	Disable
	SlowUpdate
	EndOfBatch // only in memory of the original software; treated as an event, as there
	L1Accept   // one event
)

var serviceNames = [...]string{"ClearReadout", "Reset", "Configure", "Unconfigure", "BeginRun", "EndRun", "BeginStep", "EndStep",
	"Enable", "Disable", "SlowUpdate", "EndOfBatch", "L1Accept"}

// String returns the name of the transition.
func (s Service) String() string {
	if int(s) < len(serviceNames) {
		return serviceNames[s]
	}
	return fmt.Sprintf("service %d", uint8(s))
}

// IsEvent reports whether a datagram is an event, not a transition.
func (s Service) IsEvent() bool { return s == L1Accept || s == EndOfBatch }

// Damage flags of an Xtc. Bits 12..15 are a number of the detector's own.
const (
	DamageTruncated           = 1 << 0
	DamageOutOfOrder          = 1 << 1
	DamageOutOfSynch          = 1 << 2
	DamageCorrupted           = 1 << 3
	DamageDroppedContribution = 1 << 4
	DamageMissingData         = 1 << 5
	DamageTimedOut            = 1 << 6

	// damagePanel in the ShapesData or Data of a panel rejects that panel.
	damagePanel = DamageTruncated | DamageOutOfOrder | DamageOutOfSynch | DamageCorrupted | DamageMissingData
	// damageRoot in the root of a datagram rejects all its panels, unless a panel has damage of its own.
	damageRoot = DamageTruncated | DamageCorrupted | DamageMissingData
)

// ValueType is the type of a field.
type ValueType uint32

// The types of fields.
const (
	UInt8 ValueType = iota
	UInt16
	UInt32
	UInt64
	Int8
	Int16
	Int32
	Int64
	Float
	Double
	CharStr
	EnumVal
	EnumDict
	numValueTypes
)

var valueTypes = [numValueTypes]struct {
	name string
	size int
}{
	{"UINT8", 1}, {"UINT16", 2}, {"UINT32", 4}, {"UINT64", 8}, {"INT8", 1}, {"INT16", 2}, {"INT32", 4}, {"INT64", 8},
	{"FLOAT", 4}, {"DOUBLE", 8}, {"CHARSTR", 1}, {"ENUMVAL", 4}, {"ENUMDICT", 4},
}

// Size returns the size of one element in bytes, 0 for an unknown type.
func (t ValueType) Size() int {
	if t < numValueTypes {
		return valueTypes[t].size
	}
	return 0
}

// String returns the type's name as the format's library has it.
func (t ValueType) String() string {
	if t < numValueTypes {
		return valueTypes[t].name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// epoch is 1990-01-01T00:00:00Z in Unix seconds.
const epoch = 631152000

// Time converts a time-stamp, seconds since 1990 <<32 | nanoseconds.
func Time(ts uint64) time.Time {
	return time.Unix(int64(ts>>32)+epoch, int64(uint32(ts))).UTC()
}

// TimeStamp is the inverse of Time.
func TimeStamp(t time.Time) uint64 {
	return uint64(t.Unix()-epoch)<<32 | uint64(t.Nanosecond())
}
