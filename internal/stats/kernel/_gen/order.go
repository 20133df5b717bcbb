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

// keepUpTo sets to = from where n <= limit, as signed words.
func (v isa) keepUpTo(n, limit, from, to reg.VecVirtual) {
	m := v.vec()
	VPCMPGTW(limit, n, m)
	VPBLENDVB(m, to, from, to)
}

// anyBits ORs all words of x into the lower 16 bits of the result; x is overwritten.
func (v isa) anyBits(x reg.VecVirtual) reg.GPVirtual {
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
	MOVQ(r, s)
	SHRQ(U8(16), s)
	ORQ(s, r)
	ANDQ(U32(0xffff), r)
	return r
}

// orders writes order: two vectors of pixels at a time. A first pass masks the words in place and finds
// the range; then each rank is found bit by bit, from the top bit of the range down: a candidate
// stands while at most rank values are below it.
func orders(v isa) {
	TEXT("order"+v.suffix, NOSPLIT, "func(tile *uint16, stride, frames, chunks int, dst *uint16, dstStride int, ranks *uint16, n int, mask uint16)")
	Pragma("noescape")
	Doc("order"+v.suffix+" puts the values of n ranks among frames words into rows of dst, for whole chunks of two vectors of",
		"pixels; strides are in bytes. The words of the tile are masked and biased. Behind an odd number of frames",
		"comes a row of 0x7fff, which is above everything once the others are biased.")
	tile, stride, total, count := GP64(), GP64(), GP64(), GP64()
	dst, dstStride, ranks, n := GP64(), GP64(), GP64(), GP64()
	for _, p := range []struct {
		name string
		to   reg.GPVirtual
	}{{"tile", tile}, {"stride", stride}, {"frames", total}, {"chunks", count}, {"dst", dst}, {"dstStride", dstStride}, {"ranks", ranks}, {"n", n}} {
		Load(Param(p.name), p.to)
	}
	mask, bias := v.vec(), v.bias()
	v.word(NewParamAddr("mask", 64), mask)

	Label("chunk")
	var least, most [2]reg.VecVirtual
	for i := range least {
		least[i], most[i] = v.vec(), v.vec()
		v.set(least[i])
		VPSRLW(U8(1), least[i], least[i]) // 32767
		v.set(most[i])
		VPSLLW(U8(15), most[i], most[i]) // -32768
	}
	p, f := GP64(), GP64()
	MOVQ(tile, p)
	MOVQ(total, f)
	Label("range")
	for i := range least {
		x := v.vec()
		m := Mem{Base: p, Disp: i * v.bytes}
		v.and(m, mask, x)
		v.xor(bias, x)
		v.store(x, m)
		VPMINSW(x, least[i], least[i])
		VPMAXSW(x, most[i], most[i])
	}
	ADDQ(stride, p)
	DECQ(f)
	JNZ(LabelRef("range"))
	for i := range most {
		VPSUBW(least[i], most[i], most[i])
	}
	v.or(most[1], most[0])
	spread := v.anyBits(most[0])

	j, out := GP64(), GP64()
	XORQ(j, j)
	MOVQ(dst, out)
	Label("rank")
	limit := v.vec()
	VPBROADCASTW(Mem{Base: ranks, Index: j, Scale: 2}, limit)
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
	step := v.vec()
	VMOVD(bit.As32(), step.AsX())
	VPBROADCASTW(step.AsX(), step)
	var cand, biased, below [2]reg.VecVirtual
	for i := range cand {
		cand[i], biased[i], below[i] = v.vec(), v.vec(), v.vec()
		VPADDUSW(step, low[i], cand[i])
		v.copy(cand[i], biased[i])
		v.xor(bias, biased[i])
		v.zero(below[i])
	}
	MOVQ(tile, p)
	MOVQ(total, f)
	INCQ(f)
	SHRQ(U8(1), f)
	Label("count")
	for i := range cand {
		v.countBelow(Mem{Base: p, Disp: i * v.bytes}, biased[i], below[i])
	}
	for i := range cand {
		v.countBelow(Mem{Base: p, Index: stride, Scale: 1, Disp: i * v.bytes}, biased[i], below[i])
	}
	LEAQ(Mem{Base: p, Index: stride, Scale: 2}, p)
	DECQ(f)
	JNZ(LabelRef("count"))
	for i := range cand {
		v.keepUpTo(below[i], limit, cand[i], low[i])
	}
	SHRQ(U8(1), bit)
	JNZ(LabelRef("bit"))
	Label("found")
	for i := range low {
		v.store(low[i], Mem{Base: out, Disp: i * v.bytes})
	}
	ADDQ(dstStride, out)
	INCQ(j)
	CMPQ(j, n)
	JL(LabelRef("rank"))

	ADDQ(U8(2*v.bytes), tile)
	ADDQ(U8(2*v.bytes), dst)
	DECQ(count)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
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
