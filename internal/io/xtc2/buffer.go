package xtc2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/rawrun"
)

// File is a raw file to read.
type File = rawrun.File

// fail makes the error of this package: what is wrong at a place of a file.
func fail(f *File, off int64, what, want, got string, cause error) error {
	return &cursor.Error{Format: "xtc2", File: f.Path, Offset: off, What: what, Want: want, Got: got, Err: cause}
}

// isProblem reports whether an error is about the content of the file, which readers report and go on, and not a failed read.
func isProblem(err error) bool {
	var e *cursor.Error
	return errors.As(err, &e)
}

// buffer reads small pieces of a file and keeps the last piece read, so that neighbouring headers cost
// one read. Its slices are valid until the next call.
type buffer struct {
	f    *File
	off  int64 // file offset of buf[0]
	buf  []byte
	step int // read at least so many bytes, if the file has them
	rec  *record
}

// begin makes the buffer ready for an event of a file.
func (w *buffer) begin(f *File, size int64) {
	w.f, w.buf, w.step, w.rec = f, w.buf[:0], peek, nil
	if size <= small {
		w.step = int(size)
	}
}

// at returns n bytes at off.
func (w *buffer) at(off int64, n int, what string) ([]byte, error) {
	b, err := w.get(off, n, what)
	w.rec.add(off, b)
	return b, err
}

func (w *buffer) get(off int64, n int, what string) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if i := off - w.off; i >= 0 && i+int64(n) <= int64(len(w.buf)) {
		return w.buf[i : i+int64(n) : i+int64(n)], nil
	}
	if left := w.f.Size - off; off < 0 || int64(n) > left {
		return nil, fail(w.f, off, what, fmt.Sprintf("%d bytes", n), fmt.Sprintf("%d left in the file", max(left, 0)), io.ErrUnexpectedEOF)
	}
	m := int(min(int64(max(n, w.step)), w.f.Size-off))
	if cap(w.buf) < m {
		w.buf = make([]byte, m)
	}
	w.buf, w.off = w.buf[:m], off
	got, err := w.f.R.ReadAt(w.buf, off)
	if got == m {
		return w.buf[:n:n], nil
	}
	w.buf = w.buf[:0]
	if err == nil || errors.Is(err, io.EOF) {
		return nil, fail(w.f, off, what, fmt.Sprintf("%d bytes", m), fmt.Sprintf("%d: the file was cut while being read", got), io.ErrUnexpectedEOF)
	}
	return nil, fmt.Errorf("xtc2: could not read %d bytes of %q at byte %#x: %w", m, w.f.Path, off, err)
}

// Header is the head of a datagram.
type Header struct {
	Offset int64  // in its file
	TS     uint64 // seconds since 1990 <<32 | nanoseconds
	Env    uint32
	root   xtc
}

// Service returns the transition id.
func (h Header) Service() Service { return Service(h.Env >> 24 & 0xf) }

// Size returns the size of the datagram in the file.
func (h Header) Size() int64 { return prefixSize + int64(h.root.extent) }

// Damage is that of the root container.
func (h Header) Damage() uint16 { return h.root.damage }

// header reads the head of the datagram at off and checks that the file holds all of the datagram.
// At the end of the file it returns io.EOF.
func (w *buffer) header(off int64) (Header, error) {
	if off == w.f.Size {
		return Header{}, io.EOF
	}
	b, err := w.at(off, headerSize, "datagram header")
	if err != nil {
		return Header{}, err
	}
	h := Header{
		Offset: off,
		TS:     uint64(binary.LittleEndian.Uint32(b[4:]))<<32 | uint64(binary.LittleEndian.Uint32(b)),
		Env:    binary.LittleEndian.Uint32(b[8:]),
		root:   decodeXtc(b[prefixSize:], off+prefixSize),
	}
	if h.root.extent < xtcSize || h.root.extent > maxExtent {
		return h, fail(w.f, off, "datagram", fmt.Sprintf("an extent of %d to %d bytes", xtcSize, maxExtent), fmt.Sprint(h.root.extent), nil)
	}
	if left := w.f.Size - off; h.Size() > left {
		return h, fail(w.f, off, "datagram ("+h.Service().String()+")", fmt.Sprintf("%d bytes", h.Size()),
			fmt.Sprintf("%d left in the file", left), io.ErrUnexpectedEOF)
	}
	return h, nil
}

// xtc is the header of a container and where it lies.
type xtc struct {
	off      int64
	src      uint32
	damage   uint16
	contains uint16
	extent   uint32
}

func decodeXtc(b []byte, off int64) xtc {
	return xtc{
		off:      off,
		src:      binary.LittleEndian.Uint32(b),
		damage:   binary.LittleEndian.Uint16(b[4:]),
		contains: binary.LittleEndian.Uint16(b[6:]),
		extent:   binary.LittleEndian.Uint32(b[8:]),
	}
}

func (x xtc) body() int64     { return x.off + xtcSize }
func (x xtc) end() int64      { return x.off + int64(x.extent) }
func (x xtc) payload() int    { return int(x.extent) - xtcSize }
func (x xtc) typ() uint16     { return x.contains & typeMask }
func (x xtc) namesID() uint32 { return x.src & namesIDMask }

// child reads the header of the container at off, which must fit into its parent's end.
func (w *buffer) child(off, end int64) (xtc, error) {
	if end-off < xtcSize {
		return xtc{}, fail(w.f, off, "container", fmt.Sprintf("a header of %d bytes", xtcSize), fmt.Sprintf("%d left in the parent", end-off), nil)
	}
	b, err := w.at(off, xtcSize, "container header")
	if err != nil {
		return xtc{}, err
	}
	x := decodeXtc(b, off)
	if x.extent < xtcSize || x.end() > end {
		return xtc{}, fail(w.f, off, "container", fmt.Sprintf("an extent of %d to %d bytes", xtcSize, end-off), fmt.Sprint(x.extent), nil)
	}
	return x, nil
}

// walk visits the Names and ShapesData below a container, depth first. A container with Corrupted
// damage is not entered, as in the original library. A child that does not fit ends the walk of its
// container; the first such problem is returned when everything readable has been visited. A failed
// read or an error of visit that is no problem ends the walk at once.
func (w *buffer) walk(parent xtc, depth int, visit func(xtc) error) error {
	if parent.damage&DamageCorrupted != 0 {
		return nil
	}
	if depth > maxDepth {
		return fail(w.f, parent.off, "container", fmt.Sprintf("at most %d nested parents", maxDepth), "one more", nil)
	}
	var first error
	for p := parent.body(); p < parent.end(); {
		x, err := w.child(p, parent.end())
		if err == nil {
			p = x.end()
			switch x.typ() {
			case typeParent:
				err = w.walk(x, depth+1, visit)
			case typeNames, typeShapesData:
				err = visit(x)
			}
		} else {
			p = parent.end()
		}
		if err != nil && !isProblem(err) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// span is a part of the file.
type span struct {
	off int64
	n   int
}

// block is a ShapesData: where its two parts lie.
type block struct {
	namesID       uint32
	damage        uint16 // of the ShapesData
	dataDamage    uint16 // of the Data
	shapes, data  span   // payloads; shapes is empty when there is none
	dataFirst     bool
	shapesVisited bool
}

// block finds the Shapes and Data of a ShapesData by type, in either order; the first of each counts.
// A few bytes behind them are ignored.
func (w *buffer) block(x xtc) (block, error) {
	b := block{namesID: x.namesID(), damage: x.damage}
	haveData := false
	for p := x.body(); x.end()-p >= xtcSize; {
		c, err := w.child(p, x.end())
		if err != nil {
			return b, err
		}
		part := span{c.body(), c.payload()}
		switch {
		case c.typ() == typeShapes && !b.shapesVisited:
			b.shapes, b.shapesVisited = part, true
		case c.typ() == typeData && !haveData:
			b.data, b.dataDamage, b.dataFirst, haveData = part, c.damage, !b.shapesVisited, true
		}
		p = c.end()
	}
	if !haveData {
		return b, fail(w.f, x.off, "ShapesData", "a Data", "none", nil)
	}
	return b, nil
}
