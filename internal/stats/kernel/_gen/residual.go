package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lanes is the number of pixels that the kernels of residuals treat together: 16 words of 32 bits, one
// vector of AVX-512 or two of AVX2.
const lanes = 16

// parts is the number of vectors that lanes words of 32 bits take.
func (v isa) parts() int { return 4 * lanes / v.bytes }

// wide loads words of 16 bits into elements of 32 bits.
func (v isa) wide(m Mem, to reg.VecVirtual) { VPMOVZXWD(m, to) }

// dword broadcasts an argument of 32 bits.
func (v isa) dword(name string, to reg.VecVirtual) {
	r := GP32()
	Load(Param(name), r)
	VMOVD(r, to.AsX())
	VPBROADCASTD(to.AsX(), to)
}

// columns writes columnSums: per column the sum of values and the sum of sums, top row last.
func columns(v isa) {
	TEXT("columnSums"+v.suffix, NOSPLIT, "func(sum, moment *int32, groups int, px *uint16, stride, rows int, mask uint32)")
	Pragma("noescape")
	Doc("columnSums" + v.suffix + " is columnSumsRef for whole groups of 16 columns; stride is in bytes.")
	sum, moment, groups, px, stride, rows := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("sum"), sum)
	Load(Param("moment"), moment)
	Load(Param("groups"), groups)
	Load(Param("px"), px)
	Load(Param("stride"), stride)
	Load(Param("rows"), rows)
	mask := v.vec()
	v.dword("mask", mask)
	// The last row first: each adds the sum so far to the moment.
	last := GP64()
	MOVQ(rows, last)
	DECQ(last)
	IMULQ(stride, last)
	ADDQ(last, px)
	Label("group")
	var s, m [2]reg.VecVirtual
	for i := range v.parts() {
		s[i], m[i] = v.vec(), v.vec()
		v.zero(s[i])
		v.zero(m[i])
	}
	p, r := GP64(), GP64()
	MOVQ(px, p)
	MOVQ(rows, r)
	Label("row")
	for i := range v.parts() {
		z := v.vec()
		v.wide(Mem{Base: p, Disp: i * v.bytes / 2}, z)
		v.and(mask, z, z)
		VPADDD(z, s[i], s[i])
		VPADDD(s[i], m[i], m[i])
	}
	SUBQ(stride, p)
	DECQ(r)
	JNZ(LabelRef("row"))
	for i := range v.parts() {
		v.store(s[i], Mem{Base: sum, Disp: i * v.bytes})
		v.store(m[i], Mem{Base: moment, Disp: i * v.bytes})
	}
	ADDQ(U8(2*lanes), px)
	ADDQ(U8(4*lanes), sum)
	ADDQ(U8(4*lanes), moment)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// residuals writes residuals: den*value - plane, and the plane one row further.
func residuals(v isa) {
	TEXT("residuals"+v.suffix, NOSPLIT, "func(dst *int32, stride, groups int, px *uint16, plane, slope *int32, mask, den uint32)")
	Pragma("noescape")
	Doc("residuals" + v.suffix + " is residualsRef for whole groups of 16 columns; stride is in bytes.")
	dst, stride, groups, px, plane, slope := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("stride"), stride)
	Load(Param("groups"), groups)
	Load(Param("px"), px)
	Load(Param("plane"), plane)
	Load(Param("slope"), slope)
	mask, den := v.vec(), v.vec()
	v.dword("mask", mask)
	v.dword("den", den)
	Label("group")
	for i := range v.parts() {
		z, a := v.vec(), v.vec()
		v.wide(Mem{Base: px, Disp: i * v.bytes / 2}, z)
		v.and(mask, z, z)
		VPMULLD(den, z, z)
		v.load(Mem{Base: plane, Disp: i * v.bytes}, a)
		VPSUBD(a, z, z)
		v.store(z, Mem{Base: dst, Disp: i * v.bytes})
		VPADDD(Mem{Base: slope, Disp: i * v.bytes}, a, a)
		v.store(a, Mem{Base: plane, Disp: i * v.bytes})
	}
	ADDQ(stride, dst)
	ADDQ(U8(2*lanes), px)
	ADDQ(U8(4*lanes), plane)
	ADDQ(U8(4*lanes), slope)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// middles writes middles: the two middle values of n words per lane, bit by bit as in orders.
func middles(v isa) {
	TEXT("middles"+v.suffix, NOSPLIT, "func(lower, upper *int32, values *int32, n int)")
	Pragma("noescape")
	Doc("middles" + v.suffix + " is middlesRef for 16 lanes.")
	values, n := GP64(), GP64()
	Load(Param("values"), values)
	Load(Param("n"), n)
	one, limit, target := v.vec(), v.vec(), GP64()
	v.set(one)
	VPSRLD(U8(31), one, one)
	MOVQ(n, target)
	DECQ(target)
	SHRQ(U8(1), target)
	VMOVD(target.As32(), limit.AsX())
	VPBROADCASTD(limit.AsX(), limit)

	parts := v.parts()
	var least, most [2]reg.VecVirtual
	for i := range parts {
		least[i], most[i] = v.vec(), v.vec()
		v.load(Mem{Base: values, Disp: i * v.bytes}, least[i])
		v.copy(least[i], most[i])
	}
	p, f := GP64(), GP64()
	loop := func(name string, body func(m func(i int) Mem)) {
		MOVQ(values, p)
		MOVQ(n, f)
		Label(name)
		body(func(i int) Mem { return Mem{Base: p, Disp: i * v.bytes} })
		ADDQ(U8(4*lanes), p)
		DECQ(f)
		JNZ(LabelRef(name))
	}
	loop("range", func(m func(int) Mem) {
		for i := range parts {
			VPMINSD(m(i), least[i], least[i])
			VPMAXSD(m(i), most[i], most[i])
		}
	})
	if v.evex {
		v.narrow(least[0], most[0], limit, one, n, loop)
	}
	for i := range parts {
		VPSUBD(least[i], most[i], most[i])
	}
	if parts == 2 {
		v.or(most[1], most[0])
	}
	spread := v.anyDwords(most[0])
	low := least
	bit, top := GP64(), GP64()
	TESTQ(spread, spread)
	JZ(LabelRef("found"))
	BSRQ(spread, top)
	MOVQ(U32(1), bit)
	shift(bit, top)
	Label("bit")
	step := v.vec()
	VMOVD(bit.As32(), step.AsX())
	VPBROADCASTD(step.AsX(), step)
	var cand, below [2]reg.VecVirtual
	for i := range parts {
		cand[i], below[i] = v.vec(), v.vec()
		VPADDD(step, low[i], cand[i])
		v.zero(below[i])
	}
	loop("count", func(m func(int) Mem) {
		for i := range parts {
			v.countLess(m(i), cand[i], one, below[i])
		}
	})
	for i := range parts {
		v.keepDwords(below[i], limit, cand[i], low[i])
	}
	SHRQ(U8(1), bit)
	JNZ(LabelRef("bit"))

	// What is above the lower value: the smallest is the upper one if rank n/2 is above.
	Label("found")
	var upTo, next [2]reg.VecVirtual
	for i := range parts {
		upTo[i], next[i] = v.vec(), v.vec()
		v.zero(upTo[i])
		v.set(next[i])
		VPSRLD(U8(1), next[i], next[i]) // the largest int32
	}
	loop("above", func(m func(int) Mem) {
		for i := range parts {
			v.above(m(i), low[i], one, upTo[i], next[i])
		}
	})
	if v.evex {
		// After narrow a few values may still lie before the one looked for.
		more := K()
		VPCMPD(U8(2), limit, upTo[0], more) // up to low no more than rank values
		VMOVDQA32(next[0], more, low[0])
		KORTESTW(more, more)
		JNZ(LabelRef("found"))
	}
	out := GP64()
	Load(Param("lower"), out)
	for i := range parts {
		v.store(low[i], Mem{Base: out, Disp: i * v.bytes})
	}
	SHRQ(U8(1), n)
	VMOVD(n.As32(), limit.AsX())
	VPBROADCASTD(limit.AsX(), limit)
	Load(Param("upper"), out)
	for i := range parts {
		v.chooseUpper(upTo[i], limit, low[i], next[i])
		v.store(next[i], Mem{Base: out, Disp: i * v.bytes})
	}
	VZEROUPPER()
	RET()
}

// narrow brings low and high closer to the values of rank limit, which they enclose, until at most two
// values of each lane lie from low to the one looked for, and jumps to "found"; where that takes long it
// goes on with the bit search, which takes one pass over the values for each bit of high-low.
//
// Each pass counts below two thresholds, at first on both sides of the mean of the first values, then
// where the rank should lie if values were spread evenly, with a margin of half a standard deviation of
// the count. Thresholds are guesses in floating point, clamped into the interval: good ones are few
// passes, bad ones change no result.
func (v isa) narrow(low, high, limit, one reg.VecVirtual, n reg.GPVirtual, loop func(string, func(func(int) Mem))) {
	const first, most = 16, 7
	CMPQ(n, U8(4*first))
	JL(LabelRef("bits"))
	mean, dev := v.vec(), v.vec()
	v.zero(mean)
	v.zero(dev)
	values := GP64()
	Load(Param("values"), values)
	for k := range first {
		y := v.vec()
		VPSRAD(U8(4), Mem{Base: values, Disp: 4 * lanes * k}, y)
		VPADDD(y, mean, mean)
	}
	for k := range first {
		y := v.vec()
		VPSUBD(Mem{Base: values, Disp: 4 * lanes * k}, mean, y)
		VPABSD(y, y)
		VPSRLD(U8(5), y, y)
		VPADDD(y, dev, dev)
	}
	t1, t2 := v.vec(), v.vec()
	VPSUBD(dev, mean, t1)
	VPADDD(dev, mean, t2)
	fewer, upTo := v.vec(), v.vec() // values below low, up to high
	v.zero(fewer)
	VPBROADCASTD(n.As32(), upTo)
	half, unit := v.vec(), v.vec()
	for i, r := range []reg.VecVirtual{half, unit} {
		g := GP32()
		MOVL(U32(math.Float32bits([]float32{0.5, 1}[i])), g)
		VPBROADCASTD(g, r)
	}
	passes := GP64()
	MOVQ(U32(most), passes)
	Label("narrow")
	b1, b2 := v.vec(), v.vec()
	for _, t := range []reg.VecVirtual{t1, t2} {
		VPMAXSD(low, t, t)
		VPMINSD(high, t, t)
	}
	VPMAXSD(t1, t2, t2)
	v.zero(b1)
	v.zero(b2)
	loop("guess", func(m func(int) Mem) {
		y := v.vec()
		v.load(m(0), y)
		v.countLess(y, t1, one, b1)
		v.countLess(y, t2, one, b2)
	})
	for _, x := range [][2]reg.VecVirtual{{t2, b2}, {t1, b1}} {
		t, b := x[0], x[1]
		le, gt, down := K(), K(), v.vec()
		VPCMPD(U8(2), limit, b, le) // b <= limit: low goes up to t
		VPCMPGTD(limit, b, gt)      // else high goes below t
		VPCMPD(U8(5), low, t, le, le)
		VMOVDQA32(t, le, low)
		VMOVDQA32(b, le, fewer)
		VPSUBD(one, t, down)
		VMOVDQA32(down, gt, high)
		VMOVDQA32(b, gt, upTo)
	}
	rank, far := v.vec(), K()
	VPSUBD(fewer, limit, rank)
	two := v.vec()
	VPADDD(one, one, two)
	VPCMPGTD(two, rank, far)
	KORTESTW(far, far)
	JZ(LabelRef("found"))
	DECQ(passes)
	JZ(LabelRef("bits"))
	width, count, margin := v.vec(), v.vec(), v.vec()
	VPSUBD(low, high, width)
	VCVTDQ2PS(width, width)
	VPSUBD(fewer, upTo, count)
	VCVTDQ2PS(count, count)
	VSQRTPS(count, margin)
	VMULPS(half, margin, margin)
	VADDPS(unit, margin, margin)
	VDIVPS(count, width, width)
	VCVTDQ2PS(rank, rank)
	VADDPS(half, rank, rank)
	VSUBPS(margin, rank, t1)
	VADDPS(margin, rank, t2)
	for _, t := range []reg.VecVirtual{t1, t2} {
		VMULPS(width, t, t)
		VCVTTPS2DQ(t, t)
		VPADDD(low, t, t)
	}
	JMP(LabelRef("narrow"))
	Label("bits")
}

// countLess adds 1 to the elements of n where x < t.
func (v isa) countLess(x Op, t, one, n reg.VecVirtual) {
	if v.evex {
		k := K()
		VPCMPGTD(x, t, k)
		VPADDD(one, n, k, n)
		return
	}
	m := v.vec()
	VPCMPGTD(x, t, m)
	VPSUBD(m, n, n)
}

// keepDwords sets to = from where n <= limit and from has not wrapped around.
func (v isa) keepDwords(n, limit, from, to reg.VecVirtual) {
	if v.evex {
		k := K()
		VPCMPD(U8(2), limit, n, k)
		VPCMPD(U8(2), from, to, k, k) // to <= from
		VMOVDQA32(from, k, to)
		return
	}
	m, w := v.vec(), v.vec()
	VPCMPGTD(limit, n, m)
	VPCMPGTD(from, to, w)
	VPOR(w, m, m)
	VPBLENDVB(m, to, from, to)
}

// above counts in n where x <= low, and notes the smallest x that is above.
func (v isa) above(x Op, low, one, n, next reg.VecVirtual) {
	if v.evex {
		y, k := v.vec(), K()
		v.load(x.(Mem), y)
		VPCMPD(U8(2), low, y, k) // y <= low
		VPADDD(one, n, k, n)
		KNOTW(k, k)
		VPMINSD(y, next, k, next)
		return
	}
	y, gt := v.vec(), v.vec()
	v.load(x.(Mem), y)
	VPCMPGTD(low, y, gt)
	VPADDD(one, n, n)
	VPADDD(gt, n, n) // -1 where above
	t := v.vec()
	VPBLENDVB(gt, y, next, t)
	VPMINSD(t, next, next)
}

// chooseUpper sets next = low where more than rank values are up to low.
func (v isa) chooseUpper(upTo, rank, low, next reg.VecVirtual) {
	if v.evex {
		k := K()
		VPCMPGTD(rank, upTo, k)
		VMOVDQA32(low, k, next)
		return
	}
	m := v.vec()
	VPCMPGTD(rank, upTo, m)
	VPBLENDVB(m, low, next, next)
}

// anyDwords ORs all elements of x; x is overwritten.
func (v isa) anyDwords(x reg.VecVirtual) reg.GPVirtual {
	if v.evex {
		y := YMM()
		VEXTRACTI64X4(U8(1), x, y)
		VPOR(y, x.AsY(), x.AsY())
	}
	h, z := XMM(), XMM()
	VEXTRACTI128(U8(1), x.AsY(), h)
	VPOR(h, x.AsX(), h)
	VPSRLDQ(U8(8), h, z)
	VPOR(z, h, h)
	VPSRLDQ(U8(4), h, z)
	VPOR(z, h, h)
	r := GP64()
	VMOVD(h, r.As32())
	return r
}

// distances writes distances: |2*value - twice| in place.
func distances(v isa) {
	TEXT("distances"+v.suffix, NOSPLIT, "func(values *int32, n int, twice *int32)")
	Pragma("noescape")
	Doc("distances" + v.suffix + " is distancesRef for 16 lanes.")
	values, n, twice := GP64(), GP64(), GP64()
	Load(Param("values"), values)
	Load(Param("n"), n)
	Load(Param("twice"), twice)
	var t [2]reg.VecVirtual
	for i := range v.parts() {
		t[i] = v.vec()
		v.load(Mem{Base: twice, Disp: i * v.bytes}, t[i])
	}
	Label("frame")
	for i := range v.parts() {
		x, m := v.vec(), Mem{Base: values, Disp: i * v.bytes}
		v.load(m, x)
		VPADDD(x, x, x)
		VPSUBD(t[i], x, x)
		VPABSD(x, x)
		v.store(x, m)
	}
	ADDQ(U8(4*lanes), values)
	DECQ(n)
	JNZ(LabelRef("frame"))
	VZEROUPPER()
	RET()
}
