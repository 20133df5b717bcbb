package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set with its vector width. Its methods emit the operations that the kernels
// are written in; where AVX2 lacks one, a method emits what amounts to it.
type isa struct {
	suffix string
	bytes  int  // of a vector
	evex   bool // AVX-512 F, BW
}

func (v isa) vec() reg.VecVirtual {
	if v.evex {
		return ZMM()
	}
	return YMM()
}

func (v isa) zero(r reg.VecVirtual) {
	if v.evex {
		VPXORD(r, r, r)
		return
	}
	VPXOR(r, r, r)
}

func (v isa) load(m Mem, r reg.VecVirtual) {
	if v.evex {
		VMOVDQU64(m, r)
		return
	}
	VMOVDQU(m, r)
}

func (v isa) store(r reg.VecVirtual, m Mem) {
	if v.evex {
		VMOVDQU64(r, m)
		return
	}
	VMOVDQU(r, m)
}

func (v isa) copy(from, to reg.VecVirtual) {
	if v.evex {
		VMOVDQA64(from, to)
		return
	}
	VMOVDQA(from, to)
}

// and sets to = a & b; a may be memory.
func (v isa) and(a Op, b, to reg.VecVirtual) {
	if v.evex {
		VPANDD(a, b, to)
		return
	}
	VPAND(a, b, to)
}

// word broadcasts a 16-bit argument or constant.
func (v isa) word(m Mem, to reg.VecVirtual) { VPBROADCASTW(m, to) }

// ones sets every 16-bit element to 1.
func (v isa) ones(to reg.VecVirtual) {
	v.set(to)
	VPSRLW(U8(15), to, to)
}

// set sets every bit.
func (v isa) set(to reg.VecVirtual) {
	if v.evex {
		VPTERNLOGD(U8(0xff), to, to, to)
		return
	}
	VPCMPEQW(to, to, to)
}

// squares adds to sq, per 32-bit element of x, the sum of the squares of its two 16-bit elements, and
// to sum their sum. x is overwritten.
func (v isa) squares(x, ones, sq, sum reg.VecVirtual) {
	t := v.vec()
	VPMADDWD(ones, x, t)
	VPMADDWD(x, x, x)
	VPADDD(t, sum, sum)
	VPADDD(x, sq, sq)
}

// or sets to |= a.
func (v isa) or(a, to reg.VecVirtual) {
	if v.evex {
		VPORD(a, to, to)
		return
	}
	VPOR(a, to, to)
}

// jumpIfZero jumps if no bit of x is set.
func (v isa) jumpIfZero(x reg.VecVirtual, to string) {
	if v.evex {
		k := K()
		VPTESTMD(x, x, k)
		KORTESTW(k, k)
	} else {
		VPTEST(x, x)
	}
	JZ(LabelRef(to))
}

// anySet sets r to 1 or 0: whether any bit of x is set.
func (v isa) anySet(x reg.VecVirtual, r reg.GPVirtual) {
	XORQ(r, r)
	if v.evex {
		k := K()
		VPTESTMD(x, x, k)
		KORTESTW(k, k)
	} else {
		VPTEST(x, x)
	}
	SETNE(r.As8())
}

func label(format string, a ...any) string { return fmt.Sprintf(format, a...) }
