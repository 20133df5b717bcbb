package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/io/frame"
)

// packer writes a compressed block in every form there is, by its description in XTC1.
type packer struct {
	engine            uint32
	flag              uint16
	depth             int
	mapBits, bits     uint
	base              uint32
	head              []byte
	words             []uint16
	acc               uint64
	have              uint
	packed            []byte
	wrongSum, cutTail bool
}

func (p *packer) put(v uint32, n uint) {
	p.acc |= uint64(v) << p.have
	for p.have += n; p.have >= 8; p.have -= 8 {
		p.packed = append(p.packed, byte(p.acc))
		p.acc >>= 8
	}
}

// block packs pixels.
func (p *packer) block(px []uint16) []byte {
	le := binary.LittleEndian
	var raw, body []byte
	sum := uint32(0)
	for _, v := range px {
		sum += uint32(v)
		raw = le.AppendUint16(raw, v)[:len(raw)+p.depth]
	}
	if p.wrongSum {
		sum++
	}
	if p.flag == 0 {
		body = raw
	} else {
		p.words = make([]uint16, (len(px)+15)/16)
		for i, v := range px {
			if d := uint32(v) - p.base; d < 1<<p.mapBits {
				p.words[i/16] |= 1 << (i % 16)
				p.put(d, p.mapBits)
			} else {
				p.put(uint32(v), p.bits)
			}
		}
		if p.have > 0 {
			p.put(0, 8-p.have)
		}
		if p.engine == 1 {
			body = le.AppendUint16(body, uint16(p.base))
		} else {
			body = le.AppendUint16(le.AppendUint16(body, uint16(p.bits)), uint16(p.mapBits))
			body = le.AppendUint32(body, p.base)
		}
		body = append(le.AppendUint32(body, uint32(len(p.packed))), p.packed...)
		words := p.words
		if p.flag == 3 {
			words = nil
			for i := 0; i < len(p.words); {
				n := 1
				for i+n < len(p.words) && p.words[i+n] == p.words[i] {
					n++
				}
				words = append(words, uint16(n), p.words[i])
				i += n
			}
		}
		body = le.AppendUint32(body, uint32(len(words)))
		for _, w := range words {
			body = le.AppendUint16(body, w)
		}
	}
	var data []byte
	switch p.engine {
	case 0:
		data = raw
	case 1:
		data = le.AppendUint32(data, uint32(p.flag))
		data = le.AppendUint32(le.AppendUint32(data, sum), uint32(len(body)))
		data = append(data, body...)
	default:
		data = le.AppendUint16(le.AppendUint16(data, p.flag), uint16(p.depth))
		data = le.AppendUint32(le.AppendUint32(data, sum), uint32(len(body)))
		data = append(data, body...)
	}
	if p.cutTail {
		data = data[:len(data)-2]
	}
	b := append(le.AppendUint32(nil, uint32(len(p.head))), p.head...)
	for _, v := range []uint32{p.engine, 0, uint32(len(raw)), uint32(len(data))} {
		b = le.AppendUint32(b, v)
	}
	return append(b, data...)
}

var packers = []packer{
	{engine: 0, depth: 2},
	{engine: 1, flag: 0, depth: 2},
	{engine: 1, flag: 1, depth: 2, mapBits: 8, bits: 16, base: 900},
	{engine: 1, flag: 3, depth: 2, mapBits: 8, bits: 16, base: 900},
	{engine: 2, flag: 0, depth: 2},
	{engine: 2, flag: 0, depth: 1},
	{engine: 2, flag: 1, depth: 2, mapBits: 5, bits: 14, base: 950},
	{engine: 2, flag: 3, depth: 2, mapBits: 9, bits: 16, base: 700},
	{engine: 2, flag: 3, depth: 1, mapBits: 3, bits: 8, base: 100},
	{engine: 2, flag: 3, depth: 2, mapBits: 0, bits: 13, base: 1000},
}

// TestPackedFramesUnpackWholeAndInPart packs random frames in every form and expects them back, whole and in part.
func TestPackedFramesUnpackWholeAndInPart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n, base := range packers {
		for _, rows := range []int{1, 5, 37} {
			px := make([]uint16, 2*rows*11)
			for i := range px {
				px[i] = uint16(1000 + rnd.IntN(2))
				if base.depth == 1 {
					px[i] = uint16(100 + rnd.IntN(8))
				}
				if rnd.IntN(5) == 0 {
					px[i] = uint16(rnd.Uint32N(1 << min(13, 8*base.depth)))
				}
			}
			p := base
			p.head = make([]byte, rnd.IntN(3)*16)
			block := p.block(px)
			panel := frame.Panel{Rows: rows, Cols: 11}
			inner := frame.Identity
			if p.depth == 1 {
				inner = frame.Widen
			}
			for _, first := range []int{0, rows * 11} { // two panels in the block
				got := make([]uint16, rows*11)
				codec := Then(Unpack(int64(len(p.head)+p.depth*first)), inner)
				if err := decodeAs(codec, panel, block, got); err != nil || !slices.Equal(got, px[first:first+rows*11]) {
					t.Fatalf("form %d, %d rows, codec %s: %v", n, rows, codec, err)
				}
			}
			for cut := range block { // every cut is an error
				if err := decodeAs(Then(Unpack(int64(len(p.head))), inner), panel, block[:cut], make([]uint16, rows*11)); err == nil {
					t.Fatalf("form %d cut to %d of %d bytes is decoded", n, cut, len(block))
				}
			}
		}
	}
}

// TestOddLayoutsAreDecoded decodes pixels that are laid out in other ways.
func TestOddLayoutsAreDecoded(t *testing.T) {
	src := []byte{1, 2, 3, 4, 5, 6, 7, 0x28, 9, 0x48, 11, 0x6c}
	for codec, want := range map[frame.Codec][]uint16{
		frame.Identity: {0x0201, 0x0403, 0x0605, 0x2807, 0x4809, 0x6c0b},
		frame.Widen:    {1, 2, 3, 4, 5, 6, 7, 0x28, 9, 0x48, 11, 0x6c},
		Half0:          {0x0201, 0x0605, 0x4809},
		Half1:          {0x0403, 0x2807, 0x6c0b},
		Fccd960:        {0x0201, 0x0403, 0x0605, 0x0807 << 2, 0, 0x0c0b << 3 & 0xffff},
	} {
		got := make([]uint16, len(want))
		if err := decodeAs(codec, frame.Panel{Rows: 1, Cols: len(want)}, src, got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %#x, %v; want %#x", codec, got, err, want)
		}
		if err := decodeAs(codec, frame.Panel{Rows: 1, Cols: len(want)}, src[:11], got); err == nil {
			t.Errorf("%q: 11 bytes are decoded", codec)
		}
	}
}

// TestTimepixEqualsTheOriginalLoop compares with the loop of the original, by position in the stored 1024 x 256 array.
func TestTimepixEqualsTheOriginalLoop(t *testing.T) {
	src, want := make([]byte, 2*512*512), make([]uint16, 512*512)
	for i := range 1024 * 256 {
		y, x := i/256, i%256
		v := uint16(i ^ i>>9)
		binary.LittleEndian.PutUint16(src[2*i:], v)
		to := [4][2]int{{511 - x, y}, {255 - x, y - 256}, {x, 1023 - y}, {x + 256, 1279 - y}}[y/256] // row, column
		want[to[0]*512+to[1]] = v
	}
	got := make([]uint16, 512*512)
	if err := decodeAs(Timepix, frame.Panel{Rows: 512, Cols: 512}, src, got); err != nil || !slices.Equal(got, want) {
		t.Errorf("other pixels, %v", err)
	}
	if err := decodeAs(Timepix, frame.Panel{Rows: 2, Cols: 2}, src[:8], got[:4]); err == nil {
		t.Error("a small panel is decoded")
	}
}

// TestBadBlocksAreRefusedWithTheReason expects an error with the reason.
func TestBadBlocksAreRefusedWithTheReason(t *testing.T) {
	px := []uint16{1000, 1001, 1002, 7}
	panel := frame.Panel{Rows: 2, Cols: 2}
	make16 := func(change func(*packer)) []byte {
		p := packers[2]
		change(&p)
		return p.block(px)
	}
	patch := func(at int, v byte) []byte {
		b := make16(func(*packer) {})
		b[at] = v
		return b
	}
	for _, c := range []struct {
		codec frame.Codec
		block []byte
		want  string
	}{
		{Unpack(0), make16(func(p *packer) { p.wrongSum = true }), "sum of the pixels is 3010, it was 3011"},
		{Unpack(0), make16(func(p *packer) { p.cutTail = true }), "ends too early"},
		{Unpack(2), make16(func(*packer) {}), "8 bytes at 2 are wanted, it expands to 0 + 8"},
		{Unpack(8), make16(func(p *packer) { p.head = make([]byte, 16) }), "8 bytes at 8 are wanted, it expands to 16 + 8"},
		{Unpack(0), patch(4, 3), "compression method 3 is not known"},
		{Unpack(0), patch(20, 2), "form 2 of the pixels is not known"},
		{Unpack(0), make16(func(p *packer) { p.engine, p.mapBits = 2, 17 }), "packed to 17 and 16 bits"},
		{"block@", nil, "has no offset"},
		{"block@-5", nil, "has no offset"},
		{"block@0+what", nil, "is not known"},
		{"what", nil, "is not known"},
	} {
		err := decodeAs(c.codec, panel, c.block, make([]uint16, 4))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.codec, err, c.want)
		}
	}
}

// FuzzUnpack decodes what comes, at offsets that come.
func FuzzUnpack(f *testing.F) {
	for _, p := range packers {
		f.Add(p.block([]uint16{100, 101, 102, 103, 7, 100, 99, 3, 100, 101, 100, 200}), uint8(0))
	}
	f.Fuzz(func(t *testing.T, block []byte, offset uint8) {
		before := bytes.Clone(block)
		dst := make([]uint16, 12)
		for _, inner := range []frame.Codec{frame.Identity, frame.Widen, Half1} {
			_ = decodeAs(Then(Unpack(int64(offset)), inner), frame.Panel{Rows: 3, Cols: 4}, block, dst)
		}
		if !bytes.Equal(block, before) {
			t.Error("the source has changed")
		}
	})
}

func BenchmarkUnpack(b *testing.B) {
	px := make([]uint16, 185*388*2)
	for i := range px {
		px[i] = uint16(1000 + i*i%13 + i%97/96*3000)
	}
	for _, base := range packers[2:4] {
		p := base
		block := p.block(px)
		b.Run(fmt.Sprintf("engine=%d/flag=%d", p.engine, p.flag), func(b *testing.B) {
			dst := make([]uint16, len(px))
			b.SetBytes(int64(2 * len(px)))
			for b.Loop() {
				if err := decodeAs(Unpack(0), frame.Panel{Rows: 370, Cols: 388}, block, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// decodeAs decodes a frame of a panel that has a codec.
func decodeAs(name frame.Codec, panel frame.Panel, src []byte, dst []uint16) error {
	panel.Codec = name
	return Decode(panel, dst, src)
}
