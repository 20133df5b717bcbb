package xtc2

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"rawstatus/internal/io/cursor"
)

// Version is that of an algorithm: major<<16 | minor<<8 | micro.
type Version uint32

// String returns e.g. 2.0.1.
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff)
}

// Names describes the values of all ShapesData with its NamesId until the next Configure.
type Names struct {
	ID        uint32
	DetType   string
	DetName   string
	DetID     string
	Alg       string
	Version   Version
	Segment   int
	NumArrays int // fields of rank > 0, as the file says
	Fields    []Field
}

// Field is one value of a Names.
type Field struct {
	Name       string
	Alg        string
	AlgVersion Version
	Type       ValueType
	Rank       int // 0: scalar
}

// Base returns the name without the enum it is of: user.gain of user.gain:gainEnum.
func (f Field) Base() string {
	base, _, _ := strings.Cut(f.Name, ":")
	return base
}

// decodeNames reads the payload of a Names container.
func decodeNames(c *cursor.Cursor, id uint32) (*Names, error) {
	n := &Names{ID: id}
	n.NumArrays = int(c.U32())
	n.DetType = c.Str(strSize)
	n.DetName = c.Str(strSize)
	n.DetID = c.Str(strSize)
	n.Alg = c.Str(strSize)
	n.Version = Version(c.U32())
	n.Segment = int(c.U32())
	if rest := c.Remaining() % nameSize; rest != 0 {
		c.Fail("Names "+n.DetName, fmt.Sprintf("fields of %d bytes", nameSize), fmt.Sprintf("%d bytes over", rest))
	}
	n.Fields = make([]Field, 0, c.Remaining()/nameSize)
	for c.Remaining() > 0 {
		f := Field{Alg: c.Str(strSize), AlgVersion: Version(c.U32()), Name: c.Str(strSize), Type: ValueType(c.U32())}
		rank := c.U32()
		if f.Type >= numValueTypes || rank > maxRank {
			c.Fail(fmt.Sprintf("field %q of Names %s", f.Name, n.DetName), fmt.Sprintf("type < %d and rank <= %d", numValueTypes, maxRank),
				fmt.Sprintf("type %d rank %d", uint32(f.Type), rank))
		}
		f.Rank = int(rank)
		n.Fields = append(n.Fields, f)
	}
	return n, c.Err()
}

// place is where a field lies in the payload of its Data.
type place struct {
	off, size uint64
	dims      [maxRank]uint32 // the first Rank count
}

// place finds field number want: shapes is the payload of the Shapes, data the size of the Data's
// payload. It is false when a Shape is missing or the field does not fit, as in damaged data.
func (n *Names) place(want int, shapes []byte, data int) (p place, ok bool) {
	for i, f := range n.Fields {
		p.size = uint64(f.Type.Size())
		if f.Rank > 0 {
			if len(shapes) < shapeSize {
				return p, false
			}
			for d := range f.Rank {
				p.dims[d] = binary.LittleEndian.Uint32(shapes[4*d:])
				high, low := bits.Mul64(p.size, uint64(p.dims[d]))
				if high != 0 {
					return p, false
				}
				p.size = low
			}
			shapes = shapes[shapeSize:]
		}
		if p.size > uint64(data)-p.off {
			return p, false
		}
		if i == want {
			return p, true
		}
		p.off += p.size
	}
	return p, false
}

// Block is a ShapesData in memory.
type Block struct {
	Names      *Names
	Damage     uint16 // of the ShapesData
	DataDamage uint16 // of the Data
	DataFirst  bool   // Data lies before Shapes
	Trailing   int    // bytes behind the last whole Shape

	shapes, data []byte
}

// Value is one field of a Block.
type Value struct {
	Field Field
	Dims  []int  // empty for a scalar
	Bytes []byte // little-endian, row-major
}

// Value returns field number i, false if the data do not hold it.
func (b *Block) Value(i int) (Value, bool) {
	p, ok := b.Names.place(i, b.shapes, len(b.data))
	if !ok {
		return Value{}, false
	}
	v := Value{Field: b.Names.Fields[i], Bytes: b.data[p.off : p.off+p.size]}
	for d := range v.Field.Rank {
		v.Dims = append(v.Dims, int(p.dims[d]))
	}
	return v, true
}

// Find returns the field of that name; of an enum value the name is the part before the colon.
func (b *Block) Find(name string) (Value, bool) {
	for i, f := range b.Names.Fields {
		if f.Name == name || f.Type == EnumVal && f.Base() == name {
			return b.Value(i)
		}
	}
	return Value{}, false
}

// Int returns a scalar of an integer type.
func (v Value) Int() (int64, bool) {
	if v.Field.Rank != 0 {
		return 0, false
	}
	switch v.Field.Type {
	case UInt8:
		return int64(v.Bytes[0]), true
	case UInt16:
		return int64(binary.LittleEndian.Uint16(v.Bytes)), true
	case UInt32:
		return int64(binary.LittleEndian.Uint32(v.Bytes)), true
	case UInt64, Int64:
		return int64(binary.LittleEndian.Uint64(v.Bytes)), true
	case Int8:
		return int64(int8(v.Bytes[0])), true
	case Int16:
		return int64(int16(binary.LittleEndian.Uint16(v.Bytes))), true
	case Int32, EnumVal, EnumDict:
		return int64(int32(binary.LittleEndian.Uint32(v.Bytes))), true
	}
	return 0, false
}

// Text returns a CHARSTR up to its first NUL.
func (v Value) Text() (string, bool) {
	return cursor.CutNUL(v.Bytes), v.Field.Type == CharStr
}

// Float returns a scalar of a floating-point type.
func (v Value) Float() (float64, bool) {
	if v.Field.Rank != 0 {
		return 0, false
	}
	switch v.Field.Type {
	case Float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.Bytes))), true
	case Double:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.Bytes)), true
	}
	return 0, false
}

// Describe returns field number i for people: a text, a number, the label of an enum, the shape of an
// array.
func (b *Block) Describe(i int) string {
	v, ok := b.Value(i)
	if !ok {
		return "not readable"
	}
	if s, ok := v.Text(); ok {
		return strconv.Quote(s)
	}
	if v.Field.Type == EnumVal { // labels are looked for among all fields
		if label, ok := b.EnumLabel(v); ok {
			n, _ := v.Int()
			return fmt.Sprintf("%d %s", n, label)
		}
	}
	if n, ok := v.Int(); ok {
		if v.Field.Type == UInt64 {
			return strconv.FormatUint(uint64(n), 10)
		}
		return strconv.FormatInt(n, 10)
	}
	if x, ok := v.Float(); ok {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(v.Dims)
}

// EnumLabel returns the name of an enum's value from the ENUMDICT fields of the same block.
func (b *Block) EnumLabel(v Value) (string, bool) {
	code, ok := v.Int()
	_, enum, isEnum := strings.Cut(v.Field.Name, ":")
	if !ok || !isEnum {
		return "", false
	}
	for i, f := range b.Names.Fields {
		label, of, _ := strings.Cut(f.Name, ":")
		if f.Type != EnumDict || of != enum {
			continue
		}
		if d, ok := b.Value(i); ok {
			if c, _ := d.Int(); c == code {
				return label, true
			}
		}
	}
	return "", false
}
