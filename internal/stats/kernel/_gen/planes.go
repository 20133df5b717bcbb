package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// maxima writes max: two vectors of pixels at a time, all frames for them.
func maxima(v isa) {
	TEXT("max"+v.suffix, NOSPLIT, "func(dst *uint16, chunks int, frames **uint16, n int, mask uint16)")
	Pragma("noescape")
	Doc("max" + v.suffix + " is maxRef for whole chunks of two vectors of pixels.")
	dst, count, table, n := GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("chunks"), count)
	Load(Param("frames"), table)
	Load(Param("n"), n)
	mask := v.vec()
	v.word(NewParamAddr("mask", 32), mask)
	px := GP64()
	XORQ(px, px)
	Label("chunk")
	m := [2]reg.VecVirtual{v.vec(), v.vec()}
	for i := range m {
		v.load(Mem{Base: dst, Index: px, Scale: 1, Disp: i * v.bytes}, m[i])
	}
	frames(table, n, func(p reg.GPVirtual) {
		for i := range m {
			y := v.vec()
			v.and(Mem{Base: p, Index: px, Scale: 1, Disp: i * v.bytes}, mask, y)
			VPMAXUW(y, m[i], m[i])
		}
	})
	for i := range m {
		v.store(m[i], Mem{Base: dst, Index: px, Scale: 1, Disp: i * v.bytes})
	}
	ADDQ(U8(2*v.bytes), px)
	DECQ(count)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
}

// gains writes gain: two vectors of pixels at a time, all frames for them.
func gains(v isa) {
	TEXT("gain"+v.suffix, NOSPLIT, "func(odd, second *uint16, chunks int, frames **uint16, n int, mask, want, other uint16)")
	Pragma("noescape")
	Doc("gain" + v.suffix + " is gainRef for whole chunks of two vectors of pixels.")
	odd, second, count, table, n := GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("odd"), odd)
	Load(Param("second"), second)
	Load(Param("chunks"), count)
	Load(Param("frames"), table)
	Load(Param("n"), n)
	mask, want, other, one := v.vec(), v.vec(), v.vec(), v.vec()
	v.word(NewParamAddr("mask", 40), mask)
	v.word(NewParamAddr("want", 42), want)
	v.word(NewParamAddr("other", 44), other)
	v.ones(one)
	all, low := v.vec(), XMM()
	VMOVD(n.As32(), low)
	VPBROADCASTW(low, all)
	px := GP64()
	XORQ(px, px)
	Label("chunk")
	var a, b [2]reg.VecVirtual
	for i := range a {
		a[i], b[i] = v.vec(), v.vec()
		v.zero(a[i])
		v.load(Mem{Base: second, Index: px, Scale: 1, Disp: i * v.bytes}, b[i])
	}
	frames(table, n, func(p reg.GPVirtual) {
		for i := range a {
			g := v.vec()
			v.and(Mem{Base: p, Index: px, Scale: 1, Disp: i * v.bytes}, mask, g)
			v.countEqual(g, want, one, a[i])
			v.countEqual(g, other, one, b[i])
		}
	})
	for i := range a {
		at := Mem{Base: odd, Index: px, Scale: 1, Disp: i * v.bytes}
		VPSUBW(a[i], all, a[i]) // a has those that are wanted
		VPADDW(at, a[i], a[i])
		v.store(a[i], at)
		v.store(b[i], Mem{Base: second, Index: px, Scale: 1, Disp: i * v.bytes})
	}
	ADDQ(U8(2*v.bytes), px)
	DECQ(count)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
}

// countEqual adds 1 to the elements of n where x == y.
func (v isa) countEqual(x, y, one, n reg.VecVirtual) {
	if v.evex {
		k := K()
		VPCMPEQW(x, y, k)
		VPADDW(one, n, k, n)
		return
	}
	t := v.vec()
	VPCMPEQW(x, y, t)
	VPSUBW(t, n, n)
}

// frames emits a loop over n pointers of a table.
func frames(table, n reg.GPVirtual, body func(p reg.GPVirtual)) {
	f, p := GP64(), GP64()
	XORQ(f, f)
	Label("frame")
	MOVQ(Mem{Base: table, Index: f, Scale: 8}, p)
	body(p)
	INCQ(f)
	CMPQ(f, n)
	JL(LabelRef("frame"))
}
