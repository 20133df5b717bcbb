package xtc1

import (
	"fmt"

	"rawstatus/internal/io/codec"
)

// payload is the content of a leaf, as if it were not compressed.
type payload interface {
	// peek returns a few bytes at off, such as a head.
	peek(off int64, n int) ([]byte, error)
	// piece returns where n bytes at off lie in the file, and with which codec if not as they are.
	piece(off, n int64) (piece, error)
}

// readAt reads n bytes of the data file at off.
type readAt func(off int64, n int) ([]byte, error)

// plain is a payload that is not compressed.
type plain struct {
	at, size int64
	first    []byte // what is already known of it
	read     readAt
}

func (p plain) peek(off int64, n int) ([]byte, error) {
	if off+int64(n) > p.size {
		return nil, errOdd{fmt.Sprintf("a payload of %d bytes, %d or more are needed", p.size, off+int64(n))}
	}
	if off+int64(n) <= int64(len(p.first)) {
		return p.first[off : off+int64(n)], nil
	}
	return p.read(p.at+off, n)
}

func (p plain) piece(off, n int64) (piece, error) {
	if off+n > p.size {
		return piece{}, errOdd{fmt.Sprintf("a payload of %d bytes, %d or more are needed", p.size, off+n)}
	}
	return piece{off: p.at + off, n: n}, nil
}

// maxBlocks bounds the blocks of a compressed payload: a CsPad has four.
const maxBlocks = 64

// packed is a compressed payload: a chain of blocks, each with a header in clear.
type packed struct {
	blocks []packedBlock
	read   readAt
}

type packedBlock struct {
	at, size int64 // in the file, from the length of the header to the end of the data
	off      int64 // in the expanded payload
	head     int64 // bytes of header, behind which expanded data follows
	data     int64
}

// openPacked reads the heads of the blocks of a compressed payload.
func openPacked(at, size int64, read readAt) (*packed, error) {
	p := &packed{read: read}
	var off int64
	for pos := int64(0); size-pos >= 4; {
		b, err := read(at+pos, 4)
		if err != nil {
			return nil, err
		}
		head := int64(le.Uint32(b))
		if len(p.blocks) == maxBlocks || head > size-pos-20 {
			return nil, errOdd{fmt.Sprintf("compressed block with a header of %d bytes, %d are left", head, size-pos)}
		}
		if b, err = read(at+pos+4+head, 16); err != nil {
			return nil, err
		}
		data, stored := int64(le.Uint32(b[8:])), int64(le.Uint32(b[12:]))
		if stored > size-pos-20-head || data > maxDatagram {
			return nil, errOdd{fmt.Sprintf("compressed block of %d bytes for %d, %d are left", stored, data, size-pos)}
		}
		p.blocks = append(p.blocks, packedBlock{at: at + pos, size: 20 + head + stored, off: off, head: head, data: data})
		pos += 20 + head + (stored+3)&^3
		off += head + data
	}
	return p, nil
}

// block finds the block that holds n expanded bytes at off.
func (p *packed) block(off, n int64) (packedBlock, error) {
	for _, b := range p.blocks {
		if off >= b.off && off+n <= b.off+b.head+b.data {
			return b, nil
		}
	}
	return packedBlock{}, errOdd{fmt.Sprintf("no compressed block with %d bytes at %d", n, off)}
}

func (p *packed) peek(off int64, n int) ([]byte, error) {
	b, err := p.block(off, int64(n))
	if err != nil {
		return nil, err
	}
	if off+int64(n) > b.off+b.head {
		return nil, errOdd{"a head inside compressed data"}
	}
	return p.read(b.at+4+off-b.off, n)
}

func (p *packed) piece(off, n int64) (piece, error) {
	b, err := p.block(off, n)
	if err != nil {
		return piece{}, err
	}
	return piece{off: b.at, n: b.size, codec: codec.Unpack(off - b.off)}, nil
}
