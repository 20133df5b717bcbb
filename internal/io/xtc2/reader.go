package xtc2

import "rawstatus/internal/io/cursor"

// Datagram is one datagram with its content.
type Datagram struct {
	Header
	Names   []*Names // of a Configure, in the order of the file
	Blocks  []Block
	Unknown []uint32 // NamesIds of ShapesData that no Names describes
	Problem error    // first thing in it that could not be read; what could be is there
}

// Table is the Names in force in a stream.
type Table struct {
	byID map[uint32]*Names
	List []*Names // in the order of the file, each NamesId once
	// Doubles are the NamesIds that the Configure described twice; the last description holds.
	Doubles []uint32
}

func newTable(names []*Names) *Table {
	t := &Table{byID: map[uint32]*Names{}}
	for _, n := range names {
		if t.byID[n.ID] != nil {
			t.Doubles = append(t.Doubles, n.ID)
		}
		t.byID[n.ID] = n
	}
	for _, n := range names {
		if t.byID[n.ID] == n {
			t.List = append(t.List, n)
		}
	}
	return t
}

// datagram reads the whole content of a datagram and returns it with the table in force after it: a
// Configure replaces the table.
func (w *buffer) datagram(h Header, table *Table) (*Datagram, *Table, error) {
	d := &Datagram{Header: h}
	all, err := w.at(h.Offset, int(h.Size()), "datagram")
	if err != nil {
		return nil, table, err
	}
	in := &buffer{f: w.f, off: h.Offset, buf: append([]byte(nil), all...)} // values outlive w's buffer
	bytes := func(s span) []byte {
		if s.n == 0 {
			return nil
		}
		return in.buf[s.off-in.off : s.off-in.off+int64(s.n)]
	}
	note := func(err error) {
		if d.Problem == nil {
			d.Problem = err
		}
	}
	note(in.walk(h.root, 0, func(x xtc) error {
		if x.typ() != typeNames || h.Service() != Configure {
			return nil
		}
		n, err := decodeNames(cursor.New("xtc2", w.f.Path, x.body(), bytes(span{x.body(), x.payload()})), x.namesID())
		if err != nil {
			return err
		}
		d.Names = append(d.Names, n)
		return nil
	}))
	if h.Service() == Configure {
		table = newTable(d.Names)
	}
	note(in.walk(h.root, 0, func(x xtc) error {
		if x.typ() != typeShapesData {
			return nil
		}
		n := table.byID[x.namesID()]
		if n == nil {
			d.Unknown = append(d.Unknown, x.namesID())
			return nil
		}
		b, err := in.block(x)
		if err != nil {
			return err
		}
		d.Blocks = append(d.Blocks, Block{
			Names: n, Damage: b.damage, DataDamage: b.dataDamage, DataFirst: b.dataFirst && b.shapesVisited,
			Trailing: b.shapes.n % shapeSize, shapes: bytes(b.shapes), data: bytes(b.data),
		})
		return nil
	}))
	return d, table, nil
}

// Find returns the first block of a detector, false if there is none.
func (d *Datagram) Find(detector string) (*Block, bool) {
	for i := range d.Blocks {
		if d.Blocks[i].Names.DetName == detector {
			return &d.Blocks[i], true
		}
	}
	return nil, false
}

// runInfo returns what a BeginRun says about its run.
func (d *Datagram) runInfo() (experiment string, number int, ok bool) {
	b, ok := d.Find("runinfo")
	if !ok {
		return "", 0, false
	}
	e, _ := b.Find("expt")
	n, okNumber := b.Find("runnum")
	if !okNumber {
		return "", 0, false
	}
	experiment, _ = e.Text()
	run, _ := n.Int()
	return experiment, int(run), true
}

// chunkInfo returns the file that follows, from an Enable.
func (d *Datagram) chunkInfo() (name string, id int, ok bool) {
	b, ok := d.Find("chunkinfo")
	if !ok {
		return "", 0, false
	}
	f, okName := b.Find("filename")
	n, okID := b.Find("chunkid")
	if !okName || !okID {
		return "", 0, false
	}
	name, _ = f.Text()
	chunk, _ := n.Int()
	return name, int(chunk), name != ""
}
