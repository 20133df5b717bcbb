package xtc2

import (
	"encoding/binary"
	"fmt"
)

// FieldValue is the value of a field with rank above 0, except text.
type FieldValue struct {
	Dims []int
	// Fill sets the bytes of the array, which are zero before: elements in C order, little-endian.
	Fill func(dst []byte)
}

// NewVersion makes the version of an algorithm.
func NewVersion(major, minor, micro int) Version { return Version(major<<16 | minor<<8 | micro) }

// ID makes a NamesId of a node (the stream's number) and an index within it.
func ID(node, index int) uint32 { return uint32(node)<<8 | uint32(index) }

// Indices within a node by the convention of the data acquisition. No reader relies on them.
const (
	IndexData      = 10
	IndexUpdate    = 20
	IndexChunkInfo = 252
	IndexScan      = 253
	IndexRunInfo   = 255
)

// smdInfo is the block in which smalldata events say where their event lies.
var smdInfo = &Names{ID: ID(512, 0), DetType: "offset", DetName: "smdinfo", Alg: "offsetAlg", Fields: []Field{
	{Name: "intOffset", Type: UInt64, Rank: 0}, {Name: "intDgramSize", Type: UInt64, Rank: 0}}}

// RunInfoNames describes the experiment and run that a BeginRun carries.
func RunInfoNames(node int) *Names {
	return &Names{ID: ID(node, IndexRunInfo), DetType: "runinfo", DetName: "runinfo", Alg: "runinfo", Version: NewVersion(0, 0, 1),
		Fields: []Field{{Name: "expt", Type: CharStr, Rank: 1}, {Name: "runnum", Type: UInt32, Rank: 0}}}
}

// ChunkInfoNames describes the next chunk that an Enable announces.
func ChunkInfoNames(node int) *Names {
	return &Names{ID: ID(node, IndexChunkInfo), DetType: "chunkinfo", DetName: "chunkinfo", Alg: "chunkinfo", Version: NewVersion(0, 0, 1),
		Fields: []Field{{Name: "filename", Type: CharStr, Rank: 1}, {Name: "chunkid", Type: UInt32, Rank: 0}}}
}

// ScanNames describes the position of a scan that a BeginStep carries.
func ScanNames(node int) *Names {
	return &Names{ID: ID(node, IndexScan), DetType: "scan", DetName: "scan", Alg: "raw", Version: NewVersion(2, 0, 0),
		Fields: []Field{{Name: "step_value", Type: Double, Rank: 0}, {Name: "step_docstring", Type: CharStr, Rank: 1}}}
}

// Draft makes the bytes of one datagram after the other in one buffer. Mistakes of the caller
// (values that do not fit the block) panic.
type Draft struct {
	b []byte
}

// Begin starts a datagram. node is the source of its root; groups are the readout groups.
func (d *Draft) Begin(service Service, ts uint64, node int, groups uint16) {
	d.b = binary.LittleEndian.AppendUint32(d.b[:0], uint32(ts))
	d.b = binary.LittleEndian.AppendUint32(d.b, uint32(ts>>32))
	d.b = binary.LittleEndian.AppendUint32(d.b, uint32(service)<<24|uint32(groups))
	d.open(typeParent, uint32(node), 0)
}

// Damage sets damage bits of the root.
func (d *Draft) Damage(bits uint16) {
	at := d.b[prefixSize+4:]
	binary.LittleEndian.PutUint16(at, binary.LittleEndian.Uint16(at)|bits)
}

// Service returns the transition of the datagram.
func (d *Draft) Service() Service { return Service(d.b[11] & 0x0f) }

// TimeStamp returns the datagram's time-stamp.
func (d *Draft) TimeStamp() uint64 { return binary.LittleEndian.Uint64(d.b) }

// Bytes returns the datagram; they are valid until the next Begin.
func (d *Draft) Bytes() []byte {
	d.close(prefixSize)
	return d.b
}

// open appends the header of an Xtc and returns its position.
func (d *Draft) open(typ uint16, src uint32, damage uint16) int {
	at := len(d.b)
	d.b = binary.LittleEndian.AppendUint32(d.b, src)
	d.b = binary.LittleEndian.AppendUint16(d.b, damage)
	d.b = binary.LittleEndian.AppendUint16(d.b, typ)
	d.b = binary.LittleEndian.AppendUint32(d.b, xtcSize)
	return at
}

// close sets the extent of the Xtc at a position to all that follows it.
func (d *Draft) close(at int) {
	binary.LittleEndian.PutUint32(d.b[at+8:], uint32(len(d.b)-at))
}

// text appends a string of a Names: NUL-terminated, padded with zeros.
func (d *Draft) text(s string) {
	if len(s) >= strSize {
		panic(fmt.Sprintf("xtc2: name of %d bytes, at most %d", len(s), strSize-1))
	}
	d.b = append(d.b, s...)
	d.zeros(strSize - len(s))
}

func (d *Draft) zeros(n int) { d.b = append(d.b, make([]byte, n)...) }

func (d *Draft) u32(v uint32) { d.b = binary.LittleEndian.AppendUint32(d.b, v) }

// Names appends the description of a block.
func (d *Draft) Names(n *Names) {
	at := d.open(typeNames, n.ID, 0)
	arrays := uint32(0) // NumArrays is the number that a file says; here it follows from the fields
	for _, f := range n.Fields {
		if f.Rank > 0 {
			arrays++
		}
	}
	d.u32(arrays)
	for _, s := range []string{n.DetType, n.DetName, n.DetID, n.Alg} {
		d.text(s)
	}
	d.u32(uint32(n.Version))
	d.u32(uint32(n.Segment))
	for _, f := range n.Fields {
		d.text(f.Alg)
		d.u32(uint32(f.AlgVersion))
		d.text(f.Name)
		d.u32(uint32(f.Type))
		d.u32(uint32(f.Rank))
	}
	d.close(at)
}

// Values appends the values of a block, one for each field in order: uint8 ... uint64, int32 (also
// enums), float32, float64, string (text, gets its NUL and padding to four bytes) or Array. damage is
// that of the Data, as cameras set it.
func (d *Draft) Values(n *Names, damage uint16, values ...any) {
	if len(values) != len(n.Fields) {
		panic(fmt.Sprintf("xtc2: %d values for %d fields of %s %s", len(values), len(n.Fields), n.DetName, n.Alg))
	}
	at := d.open(typeShapesData, n.ID, 0)
	shapes := d.open(typeShapes, 0, 0)
	for i, f := range n.Fields {
		d.shape(f, values[i])
	}
	d.close(shapes)
	data := d.open(typeData, 0, damage)
	for i, f := range n.Fields {
		d.value(f, values[i])
	}
	d.close(data)
	d.close(at)
}

// textSize returns the length of a text value in the file: NUL and padding to four bytes included.
func textSize(s string) int { return (len(s) + 4) / 4 * 4 }

// shape appends the dimensions of an array; scalars have none.
func (d *Draft) shape(f Field, v any) {
	dims := make([]int, 0, maxRank)
	switch v := v.(type) {
	case string:
		dims = append(dims, textSize(v))
	case FieldValue:
		dims = append(dims, v.Dims...)
	}
	if len(dims) != f.Rank || len(dims) > maxRank {
		panic(fmt.Sprintf("xtc2: field %s of rank %d gets %T with dimensions %v", f.Name, f.Rank, v, dims))
	}
	if f.Rank == 0 {
		return
	}
	for len(dims) < maxRank {
		dims = append(dims, 0)
	}
	for _, n := range dims {
		d.u32(uint32(n))
	}
}

func (d *Draft) value(f Field, v any) {
	start, want := len(d.b), f.Type.Size()
	le := binary.LittleEndian
	switch v := v.(type) {
	case string:
		want = textSize(v)
		d.b = append(d.b, v...)
		d.zeros(want - len(v))
	case FieldValue:
		for _, n := range v.Dims {
			want *= n
		}
		d.zeros(want)
		v.Fill(d.b[start:])
	default:
		var err error
		if d.b, err = binary.Append(d.b, le, v); err != nil {
			panic(fmt.Sprintf("xtc2: field %s gets %T", f.Name, v))
		}
	}
	if len(d.b)-start != want {
		panic(fmt.Sprintf("xtc2: field %s of type %v gets %T", f.Name, f.Type, v))
	}
}
