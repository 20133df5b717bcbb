package xtc2

import "io"

// Scan reads a file datagram by datagram. table is the Names in force at its beginning: nil for chunk 0,
// the table that the previous chunk's Scan returned for a later one. It returns the table in force at
// the end, and nil at a clean end, a *cursor.Error where the file cannot be read further, or the error of
// visit.
func Scan(f *File, table *Table, visit func(*Datagram) error) (*Table, error) {
	w := &buffer{f: f, step: 64 << 10}
	if table == nil {
		table = newTable(nil)
	}
	for off := int64(0); ; {
		h, err := w.header(off)
		if err == io.EOF {
			return table, nil
		}
		if err != nil {
			return table, err
		}
		d, next, err := w.datagram(h, table)
		if err != nil {
			return table, err
		}
		table = next
		if err := visit(d); err != nil {
			return table, err
		}
		off += h.Size()
	}
}

// Src is the source of the root container: the node id of the process that wrote the datagram.
func (h Header) Src() uint32 { return h.root.src }

// Contains is the type of the root container, 0 in all known files.
func (h Header) Contains() uint16 { return h.root.contains }
