package hdf5

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strings"
)

// Attribute is a text beside a group or dataset.
type Attribute struct{ Name, Text string }

// Group is a directory. Children appear in the given order.
type Group struct {
	Name       string
	Attributes []Attribute
	Groups     []*Group
	Datasets   []*Dataset
}

// Dataset is an array of integers in C order: Data is a slice of uint8, uint16, uint32, uint64, int32 or int64.
type Dataset struct {
	Name       string
	Attributes []Attribute
	Shape      []int
	Data       any
}

// undefined is an address that leads nowhere.
const undefined = ^uint64(0)

// superblockSize is the length of a superblock of version 2 with its checksum.
const superblockSize = 48

// Message types.
const (
	msgDataspace = 1
	msgLinkInfo  = 2
	msgDatatype  = 3
	msgFill      = 5
	msgLink      = 6
	msgLayout    = 8
	msgGroupInfo = 10
	msgAttribute = 12
)

// Write writes the file whose root group is root. A dataset whose data do not fit its shape, and a name that is empty or has
// a slash, are mistakes of the caller: Write panics.
func Write(w io.Writer, root *Group) error {
	// The length of headers does not depend on addresses: the first pass finds where data begin.
	first := &layout{}
	first.group(root)
	l := &layout{data: align(superblockSize + uint64(len(first.headers)))}
	at := l.group(root)
	out := superblock(l.data, at)
	out = append(out, l.headers...)
	out = append(out, make([]byte, align(uint64(len(out)))-uint64(len(out)))...)
	if _, err := w.Write(out); err != nil {
		return err
	}
	for _, d := range l.datasets {
		if err := d.write(w); err != nil {
			return err
		}
	}
	return nil
}

func align(n uint64) uint64 { return (n + 7) &^ 7 }

// superblock encodes the first bytes of a file.
func superblock(end, root uint64) []byte {
	b := append([]byte("\x89HDF\r\n\x1a\n"), 2, 8, 8, 0)
	for _, address := range []uint64{0, undefined, end, root} {
		b = binary.LittleEndian.AppendUint64(b, address)
	}
	return binary.LittleEndian.AppendUint32(b, lookup3(b))
}

// layout collects object headers and assigns addresses to the data.
type layout struct {
	headers  []byte
	data     uint64 // where the next data go; in the end the end of the file
	datasets []*Dataset
}

// put appends an object header and returns its address.
func (l *layout) put(messages []byte) uint64 {
	at := superblockSize + uint64(len(l.headers))
	h := append([]byte("OHDR"), 2, 2)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(messages)))
	h = append(h, messages...)
	l.headers = append(l.headers, binary.LittleEndian.AppendUint32(h, lookup3(h))...)
	return at
}

// group lays out the children of a group and the group.
func (l *layout) group(g *Group) uint64 {
	m := message(nil, msgLinkInfo, binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte{0, 0}, undefined), undefined))
	m = message(m, msgGroupInfo, []byte{0, 0})
	m = attributes(m, g.Attributes)
	for _, child := range g.Groups {
		m = link(m, child.Name, l.group(child))
	}
	for _, child := range g.Datasets {
		m = link(m, child.Name, l.dataset(child))
	}
	return l.put(m)
}

// dataset places the data of a dataset and lays out its header.
func (l *layout) dataset(d *Dataset) uint64 {
	size, signed, n := d.kind()
	count := 1
	space := []byte{2, byte(len(d.Shape)), 0, 1}
	for _, dim := range d.Shape {
		space = binary.LittleEndian.AppendUint64(space, uint64(dim))
		count *= dim
	}
	if count != n {
		panic(fmt.Sprintf("hdf5: dataset %q: %d values with shape %v", d.Name, n, d.Shape))
	}
	m := message(nil, msgDataspace, space)
	typ := []byte{0x10, 0, 0, 0} // fixed point, little-endian
	if signed {
		typ[1] = 8
	}
	typ = binary.LittleEndian.AppendUint32(typ, uint32(size))
	typ = binary.LittleEndian.AppendUint16(typ, 0)
	m = message(m, msgDatatype, binary.LittleEndian.AppendUint16(typ, uint16(8*size)))
	m = message(m, msgFill, []byte{3, 0x0a}) // allocated late, never needed
	bytes := uint64(n * size)
	place := binary.LittleEndian.AppendUint64([]byte{3, 1}, l.data)
	m = message(m, msgLayout, binary.LittleEndian.AppendUint64(place, bytes))
	l.data += align(bytes)
	l.datasets = append(l.datasets, d)
	return l.put(attributes(m, d.Attributes))
}

// kind returns size and sign of the values, and their number.
func (d *Dataset) kind() (size int, signed bool, n int) {
	switch v := d.Data.(type) {
	case []uint8:
		return 1, false, len(v)
	case []uint16:
		return 2, false, len(v)
	case []uint32:
		return 4, false, len(v)
	case []uint64:
		return 8, false, len(v)
	case []int32:
		return 4, true, len(v)
	case []int64:
		return 8, true, len(v)
	}
	panic(fmt.Sprintf("hdf5: dataset %q of %T", d.Name, d.Data))
}

// write writes the values, filled up to a multiple of 8 bytes.
func (d *Dataset) write(w io.Writer) error {
	size, _, n := d.kind()
	if err := binary.Write(w, binary.LittleEndian, d.Data); err != nil {
		return err
	}
	bytes := uint64(n * size)
	_, err := w.Write(make([]byte, align(bytes)-bytes))
	return err
}

// message appends a message to an object header.
func message(b []byte, typ byte, content []byte) []byte {
	b = append(b, typ)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(content)))
	return append(append(b, 0), content...)
}

// link appends a hard link.
func link(b []byte, name string, at uint64) []byte {
	if name == "" || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
		panic(fmt.Sprintf("hdf5: name %q", name))
	}
	content := append([]byte{1, 0, byte(len(name))}, name...)
	return message(b, msgLink, binary.LittleEndian.AppendUint64(content, at))
}

// maxText is the longest text of an attribute: a message has at most 65535 bytes.
const maxText = 60000

// attributes appends texts; one that is too long for an attribute is cut.
func attributes(b []byte, list []Attribute) []byte {
	for _, a := range list {
		text := []byte(a.Text[:min(len(a.Text), maxText)])
		text = append(text, 0)
		typ := binary.LittleEndian.AppendUint32([]byte{0x13, 0x10, 0, 0}, uint32(len(text))) // text, ended by NUL, UTF-8
		space := []byte{2, 0, 0, 0}                                                          // scalar
		content := []byte{3, 0}
		for _, n := range []int{len(a.Name) + 1, len(typ), len(space)} {
			content = binary.LittleEndian.AppendUint16(content, uint16(n))
		}
		content = append(append(append(content, 0), a.Name...), 0)
		content = append(append(append(content, typ...), space...), text...)
		b = message(b, msgAttribute, content)
	}
	return b
}

// lookup3 is Bob Jenkins' hash of that name (hashlittle, initial value 0), the checksum of HDF5 metadata.
func lookup3(b []byte) uint32 {
	a := 0xdeadbeef + uint32(len(b))
	x := [3]uint32{a, a, a}
	if len(b) == 0 {
		return x[2]
	}
	for ; len(b) > 12; b = b[12:] {
		for i := range x {
			x[i] += binary.LittleEndian.Uint32(b[4*i:])
		}
		for i, r := range [...]int{4, 6, 8, 16, 19, 4} {
			p, q, s := i%3, (i+2)%3, (i+1)%3
			x[p] -= x[q]
			x[p] ^= bits.RotateLeft32(x[q], r)
			x[q] += x[s]
		}
	}
	var last [12]byte
	copy(last[:], b)
	for i := range x {
		x[i] += binary.LittleEndian.Uint32(last[4*i:])
	}
	for i, r := range [...]int{14, 11, 25, 16, 4, 14, 24} {
		p, q := (i+2)%3, (i+1)%3
		x[p] ^= x[q]
		x[p] -= bits.RotateLeft32(x[q], r)
	}
	return x[2]
}
