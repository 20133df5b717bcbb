package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depth is how many of the smallest, and of the largest, values tails keeps. With six it is slower than orders.
const depth = 3

// tails writes tails: the smallest and the largest values of each pixel, in order. Frames go by in
// pairs: of two sorted lists, m of the values so far and a <= b of the pair, the k-th smallest value is
//
//	min(m[k], max(m[k-1], a), max(m[k-2], b))
//
// where what there is not drops out.
func tails(v isa) {
	name := "tails" + v.suffix
	TEXT(name, NOSPLIT, "func(state *uint16, stride, chunks int, frames **uint16, from, n int, mask uint16)")
	Pragma("noescape")
	Doc(name+" adds 1 to 16 frames, from that byte on, to the lists of whole vectors of pixels: three rows of state with the",
		"smallest values, in ascending order, and three with the largest, in descending order. stride is in bytes.")
	state, stride, count, table, px, n := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("state"), state)
	Load(Param("stride"), stride)
	Load(Param("chunks"), count)
	Load(Param("frames"), table)
	Load(Param("from"), px)
	Load(Param("n"), n)
	mask := v.vec()
	v.word(NewParamAddr("mask", 48), mask)
	Label("chunk")
	rows := func(do func(at Mem, r reg.VecVirtual), list []reg.VecVirtual) {
		row := GP64()
		MOVQ(state, row)
		for _, r := range list {
			do(Mem{Base: row}, r)
			ADDQ(stride, row)
		}
	}
	list := make([]reg.VecVirtual, 2*depth)
	for i := range list {
		list[i] = v.vec()
	}
	rows(v.load, list)
	least, most := list[:depth], list[depth:]
	value := func(f reg.GPVirtual, i int) reg.VecVirtual {
		p, y := GP64(), v.vec()
		MOVQ(Mem{Base: table, Index: f, Scale: 8, Disp: 8 * i}, p)
		v.and(Mem{Base: p, Index: px, Scale: 1}, mask, y)
		return y
	}
	f, next := GP64(), GP64()
	XORQ(f, f)
	MOVQ(U32(2), next)
	Label("pair")
	CMPQ(next, n)
	JG(LabelRef("single"))
	x, y := value(f, 0), value(f, 1)
	a, b := v.vec(), y
	VPMINUW(x, y, a)
	VPMAXUW(x, y, b)
	v.insert(least, a, b, VPMINUW, VPMAXUW)
	v.insert(most, b, a, VPMAXUW, VPMINUW)
	MOVQ(next, f)
	ADDQ(U8(2), next)
	JMP(LabelRef("pair"))
	Label("single")
	CMPQ(f, n)
	JGE(LabelRef("done"))
	x = value(f, 0)
	v.insert(least, x, nil, VPMINUW, VPMAXUW)
	v.insert(most, x, nil, VPMAXUW, VPMINUW)
	Label("done")
	rows(func(at Mem, r reg.VecVirtual) { v.store(r, at) }, list)
	ADDQ(U8(v.bytes), state)
	ADDQ(U8(v.bytes), px)
	DECQ(count)
	JNZ(LabelRef("chunk"))
	VZEROUPPER()
	RET()
}

// insert puts a, and b behind it if there is one, into a sorted list. first is the operation that gives what comes
// first in its order, last the other one.
func (v isa) insert(list []reg.VecVirtual, a, b reg.Register, first, last func(...Op)) {
	t := v.vec()
	for k := len(list) - 1; k >= 0; k-- {
		if b != nil {
			switch {
			case k >= 2:
				last(list[k-2], b, t)
				first(t, list[k], list[k])
			case k == 1:
				first(b, list[k], list[k])
			}
		}
		if k == 0 {
			first(a, list[k], list[k])
			continue
		}
		last(list[k-1], a, t)
		first(t, list[k], list[k])
	}
}
