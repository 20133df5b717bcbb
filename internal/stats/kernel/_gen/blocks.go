package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of kernel.Block in bytes.
const (
	offSum   = 0
	offSq    = 128
	offN     = 384
	offMin   = 448
	offMax   = 512
	offLo    = 576
	offRange = 640
	offNLo   = 704
	offNHi   = 768
	sizeOf   = 832
)

// flavour says which words a kernel of blocks takes in.
type flavour string

const (
	gated   flavour = "gated"   // those inside the pixel's gate
	ungated flavour = "ungated" // all
	masked  flavour = "masked"  // those with the wanted gain bits
	watched flavour = "watched" // those inside the pixel's gate; it also says which blocks have other gain bits
)

// blockKernel has what the flavours share.
type blockKernel struct {
	isa
	flavour
	blocks, px          reg.GPVirtual // the block; the byte position in frames
	table, ahead        reg.GPVirtual // pointers to frames, addresses of what to prefetch meanwhile
	n                   reg.GPVirtual // frames
	mask, one           reg.VecVirtual
	low                 reg.VecVirtual    // lower halves of 64-bit elements
	lo, rng             Op                // gated, watched
	any, all            reg.VecVirtual    // watched: bits that any, or all, words have; with 512 bits any has those that differ from want
	foreign             reg.GPVirtual     // watched: where the block's answer goes
	gain, want          reg.VecVirtual    // masked, watched
	q, s                [2]reg.VecVirtual // squares and sums: halves of unpacking
	cnt, lst, mst       reg.VecVirtual
	below, limit, above Mem
}

// Prefetching goes into the second-level cache: the first level cannot have as many misses under way as
// eight streams from memory need.
const prefetching = "While it goes through frames[k] it prefetches as many bytes from ahead[k] on."

// blocks writes one flavour: Block statistics of 1..16 frames. Per vector of pixels frames go by
// in pairs: unpacking puts the two values of a pixel side by side, and a multiply-add of such pairs
// makes the sum of two squares, or of two values, in 32 bits without waste.
//
// Values above 16383 and values beyond the counting limits show in the extremes of the group; then the
// few lines after "rare" count them, and square in 64 bits where needed.
func blocks(v isa, which flavour) {
	name, more := string(which)+v.suffix, ""
	after := ""
	switch which {
	case masked:
		more = ", gain, want"
	case watched:
		more, after = ", gain, want", ", foreign *bool"
	}
	TEXT(name, NOSPLIT, "func(blocks *byte, count int, frames **uint16, ahead *uintptr, n int, mask, below, above, limit"+more+" uint16"+after+")")
	Pragma("noescape")
	Doc(name+" is "+string(which)+"Ref for whole blocks and 1 to 16 frames; limit is min(above, 16383).", prefetching)
	k := blockKernel{isa: v, flavour: which}
	k.blocks, k.table, k.ahead, k.n, k.px = GP64(), GP64(), GP64(), GP64(), GP64()
	count := GP64()
	Load(Param("blocks"), k.blocks)
	Load(Param("count"), count)
	Load(Param("frames"), k.table)
	Load(Param("ahead"), k.ahead)
	Load(Param("n"), k.n)
	XORQ(k.px, k.px)
	k.mask, k.one = v.vec(), v.vec()
	v.word(NewParamAddr("mask", 40), k.mask)
	v.ones(k.one)
	if k.evex {
		k.low = k.vec()
		k.set(k.low)
		VPSRLQ(U8(32), k.low, k.low)
	}
	k.below, k.above, k.limit = NewParamAddr("below", 42), NewParamAddr("above", 44), NewParamAddr("limit", 46)
	if which == masked {
		k.gain, k.want = v.vec(), v.vec()
		v.word(NewParamAddr("gain", 48), k.gain)
		v.word(NewParamAddr("want", 50), k.want)
	}
	if which == watched {
		k.foreign = GP64()
		Load(Param("foreign"), k.foreign)
		if k.evex {
			k.gain, k.want = v.vec(), v.vec()
			v.word(NewParamAddr("gain", 48), k.gain)
			v.word(NewParamAddr("want", 50), k.want)
		}
	}
	Label("block")
	for at := 0; at < 64; at += v.bytes {
		k.vector(at)
	}
	if which == watched {
		INCQ(k.foreign)
	}
	ADDQ(U32(sizeOf), k.blocks)
	ADDQ(U8(64), k.px)
	DECQ(count)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// field returns a 16-bit array of the block for the vector at that byte of the block's pixels.
func (k *blockKernel) field(off, at int) Mem { return Mem{Base: k.blocks, Disp: off + at} }

// vector does one vector of pixels, at bytes from the start of the block's pixels.
func (k *blockKernel) vector(at int) {
	tag := label("%d", at)
	for i := range k.q {
		k.q[i], k.s[i] = k.vec(), k.vec()
		k.zero(k.q[i])
		k.zero(k.s[i])
	}
	k.lst, k.mst = k.vec(), k.vec()
	k.set(k.lst)
	k.zero(k.mst)
	if k.flavour != ungated {
		k.cnt = k.vec()
		k.zero(k.cnt)
	}
	if k.gated() {
		k.lo, k.rng = k.field(offLo, at), k.field(offRange, at)
		if k.flavour == gated || k.evex { // watched lacks registers
			lo, rng := k.vec(), k.vec()
			k.load(k.field(offLo, at), lo)
			k.load(k.field(offRange, at), rng)
			k.lo, k.rng = lo, rng
		}
	}
	if k.flavour == watched {
		k.any = k.vec()
		k.zero(k.any)
		if !k.evex {
			k.all = k.vec()
			k.set(k.all)
		}
	}
	f := GP64()
	XORQ(f, f)
	next := GP64()
	MOVQ(U32(2), next)
	Label("pair" + tag)
	CMPQ(next, k.n)
	JG(LabelRef("single" + tag))
	a := k.value(f, 0, at)
	b := k.value(f, 1, at)
	k.pair(a, b)
	MOVQ(next, f)
	ADDQ(U8(2), next)
	JMP(LabelRef("pair" + tag))
	Label("single" + tag)
	CMPQ(f, k.n)
	JGE(LabelRef("test" + tag))
	a = k.value(f, 0, at)
	b = k.vec()
	k.zero(b)
	k.pair(a, b)
	Label("test" + tag)
	if k.flavour == watched {
		k.commitForeign(at)
	}
	k.commitNarrow(at)
	wide := k.rare(at, tag)
	Label("widen" + tag)
	k.widen(wide)
	Label("add" + tag)
	k.commitWide(at, wide)
}

// gated reports whether the pixel's gate says what is taken in.
func (k *blockKernel) gated() bool { return k.flavour == gated || k.flavour == watched }

// watch notes the gain bits of a vector of words.
func (k *blockKernel) watch(px Mem) {
	if k.evex {
		VPTERNLOGD(U8(0xf6), px, k.want, k.any) // any |= px ^ want
		return
	}
	VPOR(px, k.any, k.any)
	VPAND(px, k.all, k.all)
}

// commitForeign says whether the block has words with other gain bits than wanted.
func (k *blockKernel) commitForeign(at int) {
	out := Mem{Base: k.foreign}
	if k.evex { // a block is one vector
		p := K()
		VPTESTMD(k.any, k.gain, p)
		KORTESTW(p, p)
		SETNE(out)
		return
	}
	gain, want := k.vec(), k.vec()
	k.word(NewParamAddr("gain", 48), gain)
	k.word(NewParamAddr("want", 50), want)
	VPXOR(want, k.any, k.any)
	VPXOR(want, k.all, k.all)
	// A bit that is wanted 0 is in any where a word has it; one that is wanted 1 is in all where a word lacks it.
	VPOR(k.all, k.any, k.any)
	VPTEST(gain, k.any)
	if at == 0 {
		SETNE(out)
		return
	}
	found := GP8()
	SETNE(found)
	ORB(found, out)
}

// pixels returns where pixels of frame f+i lie.
func (k *blockKernel) pixels(f reg.GPVirtual, i, at int, prefetch bool) Mem {
	p := GP64()
	MOVQ(Mem{Base: k.table, Index: f, Scale: 8, Disp: 8 * i}, p)
	if prefetch && at == 0 {
		a := GP64()
		MOVQ(Mem{Base: k.ahead, Index: f, Scale: 8, Disp: 8 * i}, a)
		PREFETCHT1(Mem{Base: a, Index: k.px, Scale: 1})
	}
	return Mem{Base: p, Index: k.px, Scale: 1, Disp: at}
}

// raw returns y of frame f+i. Where masked does not take a word in, most has 0 and least the largest value;
// else both are y. The first pass over a frame prefetches, and masked counts.
func (k *blockKernel) raw(f reg.GPVirtual, i, at int, first bool) (least, most reg.VecVirtual) {
	px, y := k.pixels(f, i, at, first), k.vec()
	if k.flavour != masked {
		if k.flavour == watched && first {
			k.watch(px)
		}
		k.and(px, k.mask, y)
		return y, y
	}
	x, t, u := k.vec(), k.vec(), k.vec()
	k.load(px, x)
	k.and(x, k.gain, t)
	k.and(x, k.mask, y)
	if k.evex {
		in := K()
		VPCMPUW(U8(0), k.want, t, in)
		VMOVDQU16_Z(y, in, y)
		if first {
			VPADDW(k.one, k.cnt, in, k.cnt)
		}
		k.set(u)
		VMOVDQU16(y, in, u)
		return u, y
	}
	VPCMPEQW(k.want, t, t)
	VPAND(t, y, y)
	if first {
		VPSUBW(t, k.cnt, k.cnt)
	}
	VPADDW(k.one, t, t) // 0 if taken in, else 1
	VPSUBW(t, y, u)
	return u, y
}

// value returns y of frame f+i, zero where it is not taken in, after noting extremes and the count.
func (k *blockKernel) value(f reg.GPVirtual, i, at int) reg.VecVirtual {
	least, y := k.raw(f, i, at, true)
	VPMINUW(least, k.lst, k.lst)
	VPMAXUW(y, k.mst, k.mst)
	switch {
	case !k.gated():
	case k.evex:
		in := k.inside(y)
		VPADDW(k.one, k.cnt, in, k.cnt)
	default:
		VPSUBW(k.insideMask(y), k.cnt, k.cnt)
	}
	return y
}

// inside zeroes what is outside the gate and returns the predicate.
func (k *blockKernel) inside(y reg.VecVirtual) reg.OpmaskVirtual {
	t, in := k.vec(), K()
	VPSUBW(k.lo, y, t)
	VPCMPUW(U8(2), k.rng, t, in) // t <= range
	VMOVDQU16_Z(y, in, y)
	return in
}

// insideMask is inside where predicates are vectors of 0 and -1.
func (k *blockKernel) insideMask(y reg.VecVirtual) reg.VecVirtual {
	t, in := k.vec(), k.vec()
	VPSUBW(k.lo, y, t)
	VPMINUW(k.rng, t, in)
	VPCMPEQW(t, in, in)
	VPAND(in, y, y)
	return in
}

// pair adds two frames to sums and squares.
func (k *blockKernel) pair(a, b reg.VecVirtual) {
	l, h := k.vec(), k.vec()
	VPUNPCKLWD(b, a, l)
	VPUNPCKHWD(b, a, h)
	k.squares(l, k.one, k.q[0], k.s[0])
	k.squares(h, k.one, k.q[1], k.s[1])
}

// rare returns the way of groups with values beyond a limit. It leaves through add with squares in 64 bits,
// or through widen when only counting was due.
func (k *blockKernel) rare(at int, tag string) (w [4]reg.VecVirtual) {
	for i := range w {
		w[i] = k.vec()
	}
	t, u := k.vec(), k.vec()
	k.word(k.limit, t)
	VPSUBUSW(t, k.mst, t)
	k.word(k.below, u)
	VPSUBUSW(k.lst, u, u)
	k.or(u, t)
	k.jumpIfZero(t, "widen"+tag)

	big := k.vec()
	k.set(big)
	VPSRLW(U8(2), big, big) // 16383 = fast
	VPSUBUSW(big, k.mst, big)
	high := GP64()
	k.anySet(big, high)
	k.counts(at, tag)
	TESTQ(high, high)
	JZ(LabelRef("widen" + tag))

	for h := range k.s {
		k.zero(k.s[h])
		k.zero(w[2*h])
		k.zero(w[2*h+1])
	}
	f := GP64()
	XORQ(f, f)
	Label("wide" + tag)
	_, y := k.raw(f, 0, at, false)
	if k.gated() && k.evex {
		k.inside(y)
	} else if k.gated() {
		k.insideMask(y)
	}
	z := k.vec()
	k.zero(z)
	for h, unpack := range []func(...Op){VPUNPCKLWD, VPUNPCKHWD} {
		d, e := k.vec(), k.vec()
		unpack(z, y, d)
		VPADDD(d, k.s[h], k.s[h])
		VPMULLD(d, d, d)
		VPSRLQ(U8(32), d, e)
		VPADDQ(e, w[2*h+1], w[2*h+1])
		k.even(d, d)
		VPADDQ(d, w[2*h], w[2*h])
	}
	INCQ(f)
	CMPQ(f, k.n)
	JL(LabelRef("wide" + tag))
	JMP(LabelRef("add" + tag))
	return w
}

// counts adds to NLo and NHi.
func (k *blockKernel) counts(at int, tag string) {
	below, above, nlo, nhi := k.vec(), k.vec(), k.vec(), k.vec()
	k.word(k.below, below)
	k.word(k.above, above)
	k.load(k.field(offNLo, at), nlo)
	k.load(k.field(offNHi, at), nhi)
	f := GP64()
	XORQ(f, f)
	Label("count" + tag)
	least, y := k.raw(f, 0, at, false)
	if k.evex {
		lt, gt := K(), K()
		VPCMPUW(U8(1), below, least, lt)
		VPCMPUW(U8(6), above, y, gt)
		VPADDW(k.one, nlo, lt, nlo)
		VPADDW(k.one, nhi, gt, nhi)
	} else {
		t := k.vec()
		VPMAXUW(least, below, t)
		VPCMPEQW(least, t, t) // -1 if y >= below
		VPADDW(k.one, t, t)
		VPADDW(t, nlo, nlo)
		VPMINUW(y, above, t)
		VPCMPEQW(y, t, t) // -1 if y <= above
		VPADDW(k.one, t, t)
		VPADDW(t, nhi, nhi)
	}
	INCQ(f)
	CMPQ(f, k.n)
	JL(LabelRef("count" + tag))
	k.store(nlo, k.field(offNLo, at))
	k.store(nhi, k.field(offNHi, at))
}

// widen splits the group's squares into even and odd elements in 64 bits.
func (k *blockKernel) widen(w [4]reg.VecVirtual) {
	for h, q := range k.q {
		VPSRLQ(U8(32), q, w[2*h+1])
		k.even(q, w[2*h])
	}
}

// even sets to = x with the upper half of each 64-bit element zero.
func (k *blockKernel) even(x, to reg.VecVirtual) {
	if k.evex {
		VPANDD(k.low, x, to)
		return
	}
	z := k.vec()
	k.zero(z)
	VPBLENDD(U8(0xaa), z, x, to)
}

// accumulate does op on memory and a register, and stores the result in both.
func (k *blockKernel) accumulate(op func(...Op), off int, r reg.VecVirtual) {
	m := Mem{Base: k.blocks, Disp: off}
	op(m, r, r)
	k.store(r, m)
}

// commitNarrow adds counts and extremes of the group to the block; the extremes stay for the tests.
func (k *blockKernel) commitNarrow(at int) {
	if k.flavour != ungated {
		k.accumulate(VPADDW, offN+at, k.cnt)
	}
	t := k.vec()
	VPMINUW(k.field(offMin, at), k.lst, t)
	k.store(t, k.field(offMin, at))
	VPMAXUW(k.field(offMax, at), k.mst, t)
	k.store(t, k.field(offMax, at))
}

// commitWide adds sums and squares of the group to the block.
func (k *blockKernel) commitWide(at int, w [4]reg.VecVirtual) {
	for h := range 2 {
		k.accumulate(VPADDD, offSum+64*h+at, k.s[h])
		for i := range 2 {
			k.accumulate(VPADDQ, offSq+128*h+64*i+at, w[2*h+i])
		}
	}
}
