package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bias turns unsigned words into signed ones of the same order, which is what AVX2 compares.
func (v isa) bias() reg.VecVirtual {
	b := v.vec()
	v.set(b)
	VPSLLW(U8(15), b, b)
	return b
}

func (v isa) xor(a, to reg.VecVirtual) {
	VPXOR(a, to, to)
}

// countBelow adds 1 to the elements of n where x < t, as signed words; x may be memory.
func (v isa) countBelow(x Op, t, n reg.VecVirtual) {
	m := v.vec()
	VPCMPGTW(x, t, m)
	VPSUBW(m, n, n)
}

// anyBits ORs all elements of x, of 8 or 16 bits; x is overwritten.
func (v isa) anyBits(x reg.VecVirtual, bits int) reg.GPVirtual {
	h, z := XMM(), XMM()
	VEXTRACTI128(U8(1), x.AsY(), h)
	VPOR(h, x.AsX(), h)
	VPSRLDQ(U8(8), h, z)
	VPOR(z, h, h)
	r, s := GP64(), GP64()
	VMOVQ(h, r)
	MOVQ(r, s)
	SHRQ(U8(32), s)
	ORQ(s, r)
	for shift := 16; shift >= bits; shift /= 2 {
		MOVQ(r, s)
		SHRQ(U8(shift), s)
		ORQ(s, r)
	}
	ANDQ(U32(1<<bits-1), r)
	return r
}

// element is a width of integers that orders compares: words or bytes, signed.
type element struct {
	bits      int
	greater   func(ops ...Op)
	sub       func(ops ...Op)
	least     func(ops ...Op)
	most      func(ops ...Op)
	addCapped func(ops ...Op) // unsigned, saturating
	broadcast func(ops ...Op)
}

var (
	words  = element{16, VPCMPGTW, VPSUBW, VPMINSW, VPMAXSW, VPADDUSW, VPBROADCASTW}
	octets = element{8, VPCMPGTB, VPSUBB, VPMINSB, VPMAXSB, VPADDUSB, VPBROADCASTB}
)

// sign returns the top bit of every element.
func (e element) sign(v isa) reg.VecVirtual {
	b, r := v.vec(), GP32()
	MOVL(U32(uint32(0x8000_8000|0x0080_0080*uint32((16-e.bits)/8))), r)
	VMOVD(r, b.AsX())
	VPBROADCASTD(b.AsX(), b)
	return b
}

// stages writes stageWords and stageBytes, which bring a stretch of a frame to where the stretches of all
// frames lie close together, and fetch a stretch that comes later.
func stages(v isa, e element) {
	name, ref := "stageWords", ""
	if e.bits == 8 {
		name, ref = "stageBytes", "ref *uint16, "
	}
	TEXT(name+v.suffix, NOSPLIT, "func(dst *byte, src *uint16, "+ref+"chunks int, mask uint16, later *uint16)")
	Pragma("noescape")
	if e.bits == 8 {
		Doc(name+v.suffix+" takes chunks of 64 pixels: what the signed words are above those of ref, saturating, in the order",
			"that VPACKSSWB puts them in within 32 pixels.")
	} else {
		Doc(name + v.suffix + " takes chunks of 32 pixels: masked words, the sign bit turned.")
	}
	dst, src, chunks, later := GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("chunks"), chunks)
	Load(Param("later"), later)
	mask, bias := v.vec(), words.sign(v)
	v.word(NewParamAddr("mask", map[int]int{8: 32, 16: 24}[e.bits]), mask)
	base := GP64()
	if e.bits == 8 {
		Load(Param("ref"), base)
	}
	Label("chunk")
	signed := func(at int) reg.VecVirtual {
		x := v.vec()
		v.and(Mem{Base: src, Disp: at}, mask, x)
		v.xor(bias, x)
		return x
	}
	if e.bits == 8 {
		for i := range 2 {
			PREFETCHT1(Mem{Base: later, Disp: 64 * i})
			var x [2]reg.VecVirtual
			for j := range x {
				at := (2*i + j) * v.bytes
				x[j] = signed(at)
				VPSUBSW(Mem{Base: base, Disp: at}, x[j], x[j])
			}
			VPACKSSWB(x[1], x[0], x[0])
			v.store(x[0], Mem{Base: dst, Disp: i * v.bytes})
		}
		ADDQ(U8(4*v.bytes), base)
	} else {
		PREFETCHT1(Mem{Base: later})
		for i := range 2 {
			v.store(signed(i*v.bytes), Mem{Base: dst, Disp: i * v.bytes})
		}
	}
	ADDQ(Imm(uint64(2*v.bytes*16/e.bits)), src)
	ADDQ(Imm(uint64(2*v.bytes*16/e.bits)), later)
	ADDQ(U8(2*v.bytes), dst)
	DECQ(chunks)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
}

// medians writes medianOf: where the values of a pixel lie, about.
func medians(v isa) {
	TEXT("medianOf"+v.suffix, NOSPLIT, "func(dst, a, b, c *uint16, chunks int, mask uint16)")
	Pragma("noescape")
	Doc("medianOf" + v.suffix + " returns the medians of three masked words, the sign bit turned, for chunks of 32 pixels.")
	dst, chunks := GP64(), GP64()
	var p [3]reg.GPVirtual
	Load(Param("dst"), dst)
	for i, name := range []string{"a", "b", "c"} {
		p[i] = GP64()
		Load(Param(name), p[i])
	}
	Load(Param("chunks"), chunks)
	mask, bias := v.vec(), words.sign(v)
	v.word(NewParamAddr("mask", 40), mask)
	Label("chunk")
	for i := range 2 {
		var x [3]reg.VecVirtual
		for j := range x {
			x[j] = v.vec()
			v.and(Mem{Base: p[j], Disp: i * v.bytes}, mask, x[j])
			v.xor(bias, x[j])
		}
		most := v.vec()
		VPMAXSW(x[0], x[1], most)
		VPMINSW(x[0], x[1], x[0])
		VPMINSW(most, x[2], x[2])
		VPMAXSW(x[0], x[2], x[0])
		v.store(x[0], Mem{Base: dst, Disp: i * v.bytes})
	}
	for _, r := range append(p[:], dst) {
		ADDQ(U8(2*v.bytes), r)
	}
	DECQ(chunks)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
}

// orders writes orderWords and orderBytes: two vectors of pixels at a time. A first pass finds the range;
// then each rank is found bit by bit, from the top bit of the range down: a candidate stands while at
// most rank values are below it.
func orders(v isa, e element) {
	name, more := "orderWords", ""
	if e.bits == 8 {
		name, more = "orderBytes", ", ref *uint16, wide *byte, source **uint16, next int"
	}
	TEXT(name+v.suffix, NOSPLIT, "func(tile *byte, stride, frames, chunks int, dst *uint16, dstStride int, ranks *uint16, n int"+more+")")
	Pragma("noescape")
	Doc(name+v.suffix+" puts the values of n ranks among what stage left in rows of the tile into rows of dst, for whole chunks",
		"of two vectors of pixels; strides are in bytes. Behind an odd number of frames comes a row of the largest value.")
	if e.bits == 8 {
		Doc("wide[c] reports whether a value of chunk c was too far from ref, and may be wrong in dst. At most 255 frames.",
			"Meanwhile it fetches from the frames what lies next bytes behind their beginnings: the next tile.")
	}
	tile, stride, total, count := GP64(), GP64(), GP64(), GP64()
	dst, dstStride := GP64(), GP64()
	for _, p := range []struct {
		name string
		to   reg.GPVirtual
	}{{"tile", tile}, {"stride", stride}, {"frames", total}, {"chunks", count}, {"dst", dst}, {"dstStride", dstStride}} {
		Load(Param(p.name), p.to)
	}
	bias := e.sign(v)

	Label("chunk")
	var least, most [2]reg.VecVirtual
	p, f := GP64(), GP64()
	for i := range least {
		least[i], most[i] = v.vec(), v.vec()
		v.load(Mem{Base: tile, Disp: i * v.bytes}, least[i])
		v.copy(least[i], most[i])
	}
	MOVQ(tile, p)
	MOVQ(total, f)
	Label("range")
	for i := range least {
		x := v.vec()
		v.load(Mem{Base: p, Disp: i * v.bytes}, x)
		e.least(x, least[i], least[i])
		e.most(x, most[i], most[i])
	}
	ADDQ(stride, p)
	DECQ(f)
	JNZ(LabelRef("range"))
	for i := range most {
		e.sub(least[i], most[i], most[i])
	}
	v.or(most[1], most[0])
	spread := v.anyBits(most[0], e.bits)

	j, out, far, ahead := GP64(), GP64(), GP32(), GP64()
	XORQ(j, j)
	XORQ(ahead, ahead)
	XORL(far, far)
	MOVQ(dst, out)
	Label("rank")
	limit := v.vec()
	ranks := GP64()
	Load(Param("ranks"), ranks)
	e.broadcast(Mem{Base: ranks, Index: j, Scale: 2}, limit)
	v.xor(bias, limit)
	var low [2]reg.VecVirtual
	for i := range low {
		low[i] = v.vec() // without bias
		v.copy(least[i], low[i])
		v.xor(bias, low[i])
	}
	bit := GP64()
	TESTQ(spread, spread)
	JZ(LabelRef("found"))
	top := GP64()
	BSRQ(spread, top)
	MOVQ(U32(1), bit)
	shift(bit, top)
	Label("bit")
	if e.bits == 8 {
		v.fetch(ahead, total, j)
	}
	step := v.vec()
	VMOVD(bit.As32(), step.AsX())
	e.broadcast(step.AsX(), step)
	var cand, below [2]reg.VecVirtual
	for i := range cand {
		cand[i], below[i] = v.vec(), v.vec()
		e.addCapped(step, low[i], cand[i])
		v.xor(bias, cand[i])
		v.copy(bias, below[i]) // counts begin at the smallest number
	}
	MOVQ(tile, p)
	MOVQ(total, f)
	INCQ(f)
	SHRQ(U8(1), f)
	Label("count")
	for row := range 2 {
		for i := range cand {
			m := Mem{Base: p, Disp: i * v.bytes}
			if row == 1 {
				m.Index, m.Scale = stride, 1
			}
			less := v.vec()
			e.greater(m, cand[i], less)
			e.sub(less, below[i], below[i])
		}
	}
	LEAQ(Mem{Base: p, Index: stride, Scale: 2}, p)
	DECQ(f)
	JNZ(LabelRef("count"))
	for i := range cand {
		over := v.vec()
		v.xor(bias, cand[i])
		e.greater(limit, below[i], over)
		VPBLENDVB(over, low[i], cand[i], low[i])
	}
	SHRQ(U8(1), bit)
	JNZ(LabelRef("bit"))
	Label("found")
	for i := range low {
		if e.bits == 16 {
			v.store(low[i], Mem{Base: out, Disp: i * v.bytes})
			continue
		}
		v.widen(low[i], bias, i, out, far)
	}
	ADDQ(dstStride, out)
	INCQ(j)
	n := GP64()
	Load(Param("n"), n)
	CMPQ(j, n)
	JL(LabelRef("rank"))

	if e.bits == 8 {
		ref, wide := GP64(), GP64()
		Load(Param("wide"), wide)
		TESTL(far, far)
		SETNE(Mem{Base: wide})
		INCQ(wide)
		Store(wide, Param("wide"))
		for _, name := range []string{"ref", "next"} {
			Load(Param(name), ref)
			ADDQ(U8(4*v.bytes), ref)
			Store(ref, Param(name))
		}
	}
	ADDQ(U8(2*v.bytes), tile)
	ADDQ(Imm(uint64(2*v.bytes*16/e.bits)), dst)
	DECQ(count)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
}

// fetch brings pixels of four frames into the second-level cache, from frame ahead on; behind the last
// frame it begins again. With a few frames for each bit the memory is never asked for more than it can
// answer in time.
func (v isa) fetch(ahead, frames, again reg.GPVirtual) {
	frame, next := GP64(), GP64()
	Load(Param("next"), next)
	for range 4 {
		Load(Param("source"), frame)
		MOVQ(Mem{Base: frame, Index: ahead, Scale: 8}, frame)
		for line := 0; line < 4*v.bytes; line += 64 {
			PREFETCHT1(Mem{Base: frame, Index: next, Scale: 1, Disp: line})
		}
		INCQ(ahead)
		CMPQ(ahead, frames)
		CMOVQGE(again, ahead)
	}
}

// widen stores vector i of results as words: distances from ref, which saturated at both ends. It notes
// in far whether any did.
func (v isa) widen(low, bias reg.VecVirtual, i int, out, far reg.GPVirtual) {
	end, ends, r := v.vec(), v.vec(), GP32()
	v.zero(ends)
	VPCMPEQB(ends, low, ends)
	v.set(end)
	VPCMPEQB(end, low, end)
	VPOR(end, ends, ends)
	VPMOVMSKB(ends, r)
	ORL(r, far)
	v.xor(bias, low)
	ref := GP64()
	Load(Param("ref"), ref)
	turn := words.sign(v)
	for j := range 2 {
		x, at := v.vec(), (2*i+j)*v.bytes
		if j == 0 {
			VPUNPCKLBW(low, low, x)
		} else {
			VPUNPCKHBW(low, low, x)
		}
		VPSRAW(U8(8), x, x)
		VPADDW(Mem{Base: ref, Disp: at}, x, x)
		v.xor(turn, x)
		v.store(x, Mem{Base: out, Disp: at})
	}
}

// shift shifts x left by n.
func shift(x, n reg.GPVirtual) {
	MOVQ(n, reg.RCX)
	SHLQ(reg.CL, x)
}

// thresholds writes below: counts of words below four thresholds, kept apart by lane.
func thresholds(v isa) {
	TEXT("below"+v.suffix, NOSPLIT, "func(px *uint16, chunks int, limits *[4]uint16, counts *[64]uint16, mask uint16)")
	Pragma("noescape")
	Doc("below"+v.suffix+" adds, for each of four limits, the number of words of whole chunks of two vectors that are below it",
		"as signed words after biasing, per lane: lane i of limit j is counts[16*j+i]. At most 16384 chunks.")
	px, count, limits, counts := GP64(), GP64(), GP64(), GP64()
	Load(Param("px"), px)
	Load(Param("chunks"), count)
	Load(Param("limits"), limits)
	Load(Param("counts"), counts)
	mask, bias := v.vec(), v.bias()
	v.word(NewParamAddr("mask", 32), mask)
	var t, n [4]reg.VecVirtual
	for j := range t {
		t[j], n[j] = v.vec(), v.vec()
		VPBROADCASTW(Mem{Base: limits, Disp: 2 * j}, t[j])
		v.zero(n[j])
	}
	Label("chunk")
	for i := range 2 {
		x := v.vec()
		v.and(Mem{Base: px, Disp: i * v.bytes}, mask, x)
		v.xor(bias, x)
		for j := range t {
			v.countBelow(x, t[j], n[j])
		}
	}
	ADDQ(U8(2*v.bytes), px)
	DECQ(count)
	JNZ(LabelRef("chunk"))
	for j := range n {
		m := Mem{Base: counts, Disp: 32 * j}
		VPADDW(m, n[j], n[j])
		v.store(n[j], m)
	}
	VZEROUPPER()
	RET()
}
