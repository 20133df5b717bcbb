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

// parts returns the number of vectors that lanes words of 32 bits take.
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

// collects writes collect: 16 words of each row of each frame to where those of all frames lie together.
func collects(v isa) {
	TEXT("collect"+v.suffix, NOSPLIT, "func(dst *uint16, dstStride int, frames **uint16, n, from, stride, rows int)")
	Pragma("noescape")
	Doc("collect" + v.suffix + " is collectRef; from and strides are in bytes.")
	dst, dstStride, frames, n := GP64(), GP64(), GP64(), GP64()
	from, stride, rows := GP64(), GP64(), GP64()
	for _, p := range []struct {
		name string
		to   reg.GPVirtual
	}{{"dst", dst}, {"dstStride", dstStride}, {"frames", frames}, {"n", n}, {"from", from}, {"stride", stride}, {"rows", rows}} {
		Load(Param(p.name), p.to)
	}
	Label("row")
	out, k := GP64(), GP64()
	MOVQ(dst, out)
	XORQ(k, k)
	Label("frame")
	f, x := GP64(), v.vec()
	MOVQ(Mem{Base: frames, Index: k, Scale: 8}, f)
	v.load(Mem{Base: f, Index: from, Scale: 1}, x)
	v.store(x, Mem{Base: out})
	ADDQ(U8(2*lanes), out)
	INCQ(k)
	CMPQ(k, n)
	JL(LabelRef("frame"))
	ADDQ(stride, from)
	ADDQ(dstStride, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// residuals writes residuals: den*value - plane, and the plane one row further.
func residuals(v isa) {
	TEXT("residuals"+v.suffix, NOSPLIT, "func(dst *int32, px *uint16, n int, plane, col, row *int32, mask, den uint32)")
	Pragma("noescape")
	Doc("residuals" + v.suffix + " is residualsRef.")
	dst, px, n, plane, col, row := GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	Load(Param("dst"), dst)
	Load(Param("px"), px)
	Load(Param("n"), n)
	Load(Param("plane"), plane)
	Load(Param("col"), col)
	Load(Param("row"), row)
	mask, den := v.vec(), v.vec()
	v.dword("mask", mask)
	v.dword("den", den)
	var lane [2]reg.VecVirtual
	counting := GLOBL("lane"+v.suffix, RODATA|NOPTR)
	for i := range lanes {
		DATA(4*i, U32(uint32(i)))
	}
	for i := range v.parts() {
		lane[i] = v.vec()
		v.load(counting.Offset(i*v.bytes), lane[i])
	}
	k, next := GP64(), GP32()
	XORQ(k, k)
	Label("frame")
	of := func(p reg.GPVirtual) Mem { return Mem{Base: p, Index: k, Scale: 4} }
	PREFETCHT0(Mem{Base: px, Disp: 1024}) // the processor itself does not fetch beyond a page
	slope, base := v.vec(), v.vec()
	VPBROADCASTD(of(col), slope)
	VPBROADCASTD(of(plane), base)
	for i := range v.parts() {
		z, t := v.vec(), v.vec()
		v.wide(Mem{Base: px, Disp: i * v.bytes / 2}, z)
		v.and(mask, z, z)
		VPMULLD(den, z, z)
		VPMULLD(slope, lane[i], t)
		VPSUBD(base, z, z)
		VPSUBD(t, z, z)
		v.store(z, Mem{Base: dst, Disp: i * v.bytes})
	}
	MOVL(of(row), next)
	ADDL(next, of(plane))
	ADDQ(U8(2*lanes), px)
	ADDQ(U8(4*lanes), dst)
	INCQ(k)
	CMPQ(k, n)
	JL(LabelRef("frame"))
	VZEROUPPER()
	RET()
}

// middles writes middles: the two middle values of n words per lane.
//
// They are looked for among bytes: of each value its distance, in some unit, from about the middle of
// its lane. Distances saturate, which keeps the order, so counting bytes finds the byte of the lower
// middle value, and all values with this byte lie in a bucket. A second round cuts the bucket into up to
// 256 parts. One pass over the values counts what is below the part and notes the two smallest values
// above; mostly these are the two looked for. Where they are not, or the first bytes saturate, values
// are gone through until they are found. Guesses of the middle and the unit cost time when they are bad,
// and change no result.
func middles(v isa) {
	TEXT("middles"+v.suffix, NOSPLIT, "func(lower, upper *int32, values *int32, n int, scratch *byte)")
	Pragma("noescape")
	Doc("middles"+v.suffix+" is middlesRef for 16 lanes. Behind the values come largest int32 up to a multiple of 8 values per",
		"lane; scratch has room for a byte for each.")
	m := &middle{isa: v, values: GP64(), n: GP64(), p: GP64(), f: GP64()}
	m.low = m.pair()
	Load(Param("values"), m.values)
	Load(Param("n"), m.n)
	target := GP64()
	MOVQ(m.n, target)
	DECQ(target)
	SHRQ(U8(1), target)
	m.limit = v.vec()
	VMOVD(target.As32(), m.limit.AsX())
	VPBROADCASTD(m.limit.AsX(), m.limit)
	CMPQ(m.n, U8(64))
	JL(LabelRef("bits"))
	m.quick()
	Label("bits")
	m.bits()
	Label("found")
	m.above()
}

// pair is 16 elements of 32 bits in two vectors of AVX2.
type pair [2]reg.VecVirtual

// middle holds what the parts of middles share.
type middle struct {
	isa
	values, n reg.GPVirtual
	p, f      reg.GPVirtual  // of the running loop
	limit     reg.VecVirtual // the rank of the lower middle value
	low       pair           // at "found": values that are not above the lower middle one
}

func (m *middle) pair() pair { return pair{m.vec(), m.vec()} }

// each does something with all values.
func (m *middle) each(name string, body func(i int, x Mem)) {
	MOVQ(m.values, m.p)
	MOVQ(m.n, m.f)
	Label(name)
	for i := range 2 {
		body(i, Mem{Base: m.p, Disp: i * m.bytes})
	}
	ADDQ(U8(4*lanes), m.p)
	DECQ(m.f)
	JNZ(LabelRef(name))
}

// broadcast fills a vector with a constant.
func (m *middle) broadcast(x uint32, to reg.VecVirtual) {
	r := GP32()
	MOVL(U32(x), r)
	VMOVD(r, to.AsX())
	VPBROADCASTD(to.AsX(), to)
}

// quick finds the middle values by bytes. It jumps to "bits" if these are of no use, and to "found" with
// low.
func (m *middle) quick() {
	// The unit: bytes shall span 5 times the mean distance from the mean of 16 values.
	mean, unit := m.pair(), m.pair()
	step := GP64()
	MOVQ(m.n, step)
	SHRQ(U8(4), step)
	SHLQ(U8(6), step)
	sample := func(name string, body func(i int, x Mem)) {
		MOVQ(m.values, m.p)
		MOVQ(U32(16), m.f)
		Label(name)
		for i := range 2 {
			body(i, Mem{Base: m.p, Disp: i * m.bytes})
		}
		ADDQ(step, m.p)
		DECQ(m.f)
		JNZ(LabelRef(name))
	}
	for i := range mean {
		m.zero(mean[i])
		m.zero(unit[i])
	}
	sample("mean", func(i int, x Mem) {
		y := m.vec()
		m.load(x, y)
		VPSRAD(U8(4), y, y)
		VPADDD(y, mean[i], mean[i])
	})
	sample("deviation", func(i int, x Mem) {
		y := m.vec()
		m.load(x, y)
		VPSUBD(mean[i], y, y)
		VPABSD(y, y)
		VPSRLD(U8(4), y, y)
		VPADDD(y, unit[i], unit[i])
	})
	scale, bias, most, zero := m.vec(), m.vec(), m.vec(), m.vec()
	m.broadcast(math.Float32bits(5./256/4), scale)
	m.broadcast(126, bias)
	m.broadcast(22, most) // 128 units of 1<<22 are the largest quarter
	m.zero(zero)
	for i := range unit {
		// The exponent of a float, less 126, is the number of bits of its integer part.
		VCVTDQ2PS(unit[i], unit[i])
		VMULPS(scale, unit[i], unit[i])
		VPSRLD(U8(23), unit[i], unit[i])
		VPSUBD(bias, unit[i], unit[i])
		VPMINSD(most, unit[i], unit[i])
		VPMAXSD(zero, unit[i], unit[i])
		VPSRAD(U8(2), mean[i], mean[i])
	}
	base := mean
	m.octets("first", base, unit)
	low := m.search("first")
	ends, x := m.vec(), m.vec()
	m.zero(ends)
	for _, end := range []int32{-128, 127} {
		for i := range low {
			m.broadcast(uint32(end), x)
			VPCMPEQD(x, low[i], x)
			VPOR(x, ends, ends)
		}
	}
	VPTEST(ends, ends)
	JNZ(LabelRef("bits"))

	// The bucket begins at low; its parts are 256 or fewer.
	half, eight, none := m.vec(), m.vec(), m.vec()
	m.broadcast(128, half)
	m.broadcast(8, eight)
	m.zero(none)
	for i := range base {
		VPSLLVD(unit[i], low[i], low[i])
		VPADDD(low[i], base[i], base[i])
		VPSUBD(eight, unit[i], unit[i])
		VPMAXSD(none, unit[i], unit[i])
		d := m.vec()
		VPSLLVD(unit[i], half, d)
		VPADDD(d, base[i], base[i])
	}
	m.octets("second", base, unit)
	low = m.search("second")
	smallest := m.vec()
	m.broadcast(-1<<29&math.MaxUint32, smallest)
	for i := range low {
		VPSLLVD(unit[i], low[i], low[i])
		VPADDD(base[i], low[i], low[i])
		VPMAXSD(smallest, low[i], low[i]) // a part may begin below what a quarter can be
		VPSLLD(U8(2), low[i], low[i])
	}
	m.closest(low)
}

// octets makes bytes of the values: (value/4 - base) >> unit, saturating. Quarters leave room in 32 bits
// for their differences and some units. Bytes are in the order that packing leaves, and unpacking undoes.
func (m *middle) octets(name string, base, unit pair) {
	out := GP64()
	Load(Param("scratch"), out)
	MOVQ(m.values, m.p)
	MOVQ(m.n, m.f)
	ADDQ(U8(7), m.f)
	SHRQ(U8(3), m.f)
	SHLQ(U8(2), m.f) // pairs of values
	Label(name + "Octets")
	var w [2]reg.VecVirtual
	for k := range w {
		x := m.pair()
		for i := range x {
			m.load(Mem{Base: m.p, Disp: k*4*lanes + i*m.bytes}, x[i])
			VPSRAD(U8(2), x[i], x[i])
			VPSUBD(base[i], x[i], x[i])
			VPSRAVD(unit[i], x[i], x[i])
		}
		VPACKSSDW(x[1], x[0], x[0])
		w[k] = x[0]
	}
	VPACKSSWB(w[1], w[0], w[0])
	m.store(w[0], Mem{Base: out})
	ADDQ(U32(2*4*lanes), m.p)
	ADDQ(U8(m.bytes), out)
	DECQ(m.f)
	JNZ(LabelRef(name + "Octets"))
}

// search returns the bytes of the lower middle value, bit by bit: a candidate stands while no more than
// limit bytes are below it.
func (m *middle) search(name string) (low pair) {
	low = m.pair()
	for i := range low {
		m.broadcast(0xffffff80, low[i]) // -128
	}
	bit := GP32()
	MOVL(U32(128), bit)
	Label(name + "Bit")
	step, cand, total := m.vec(), m.pair(), m.pair()
	VMOVD(bit, step.AsX())
	VPBROADCASTD(step.AsX(), step)
	for i := range cand {
		VPADDD(step, low[i], cand[i])
		m.zero(total[i])
	}
	limit := m.vec()
	VPACKSSDW(cand[1], cand[0], limit)
	VPACKSSWB(limit, limit, limit)
	MOVQ(m.n, m.f)
	ADDQ(U8(7), m.f)
	SHRQ(U8(3), m.f) // rows of 128 bytes, two of each lane in each vector
	Load(Param("scratch"), m.p)
	Label(name + "Part") // bytes count no further
	rows, most := GP64(), GP64()
	MOVQ(U32(127), most)
	MOVQ(m.f, rows)
	CMPQ(rows, most)
	CMOVQGT(most, rows)
	SUBQ(rows, m.f)
	n := m.pair()
	for i := range n {
		m.zero(n[i])
	}
	Label(name + "Row")
	for k := range 4 {
		less := m.vec()
		VPCMPGTB(Mem{Base: m.p, Disp: k * m.bytes}, limit, less)
		VPSUBB(less, n[k%2], n[k%2])
	}
	ADDQ(U32(4*m.bytes), m.p)
	DECQ(rows)
	JNZ(LabelRef(name + "Row"))
	zero, words := m.vec(), m.vec()
	m.zero(zero)
	VPUNPCKLBW(zero, n[0], words)
	for i := range n {
		t := m.vec()
		if i == 1 {
			VPUNPCKLBW(zero, n[i], t)
			VPADDW(t, words, words)
		}
		VPUNPCKHBW(zero, n[i], t)
		VPADDW(t, words, words)
	}
	t := m.vec()
	VPUNPCKLWD(zero, words, t)
	VPADDD(t, total[0], total[0])
	VPUNPCKHWD(zero, words, t)
	VPADDD(t, total[1], total[1])
	TESTQ(m.f, m.f)
	JNZ(LabelRef(name + "Part"))
	for i := range low {
		over := m.vec()
		VPCMPGTD(m.limit, total[i], over)
		VPBLENDVB(over, low[i], cand[i], low[i])
	}
	SHRL(U8(1), bit)
	JNZ(LabelRef(name + "Bit"))
	return low
}

// closest counts the values below t, none of which is the lower middle one, and finds the two smallest
// others. They are the result if there are limit values below; else the smallest goes to "found".
func (m *middle) closest(t pair) {
	below, first, second := m.pair(), m.pair(), m.pair()
	for i := range t {
		m.zero(below[i])
		m.set(first[i])
		VPSRLD(U8(1), first[i], first[i]) // the largest int32
		m.copy(first[i], second[i])
	}
	largest := m.vec()
	m.copy(first[0], largest)
	m.each("closest", func(i int, mem Mem) {
		x, less, more := m.vec(), m.vec(), m.vec()
		m.load(mem, x)
		VPCMPGTD(x, t[i], less)
		VPSUBD(less, below[i], below[i])
		VPBLENDVB(less, largest, x, x)
		VPMAXSD(x, first[i], more)
		VPMINSD(x, first[i], first[i])
		VPMINSD(more, second[i], second[i])
	})
	for i := range below {
		m.copy(first[i], m.low[i])
		VPCMPEQD(m.limit, below[i], below[i])
	}
	VPAND(below[1], below[0], below[0])
	all := GP32()
	VPMOVMSKB(below[0], all)
	CMPL(all, U32(math.MaxUint32))
	JNE(LabelRef("found"))
	TESTQ(U32(1), m.n)
	JZ(LabelRef("even"))
	for i := range first {
		m.copy(first[i], second[i])
	}
	Label("even")
	m.result(first, second)
}

// result stores the middle values and returns.
func (m *middle) result(lower, upper pair) {
	for k, name := range []string{"lower", "upper"} {
		out := GP64()
		Load(Param(name), out)
		for i, x := range []pair{lower, upper}[k] {
			m.store(x, Mem{Base: out, Disp: i * m.bytes})
		}
	}
	VZEROUPPER()
	RET()
}

// bits finds the lower middle value bit by bit, from the top bit of the range of values down.
func (m *middle) bits() {
	least, most := m.low, m.pair()
	for i := range least {
		m.load(Mem{Base: m.values, Disp: i * m.bytes}, least[i])
		m.copy(least[i], most[i])
	}
	m.each("range", func(i int, x Mem) {
		VPMINSD(x, least[i], least[i])
		VPMAXSD(x, most[i], most[i])
	})
	for i := range most {
		VPSUBD(least[i], most[i], most[i])
	}
	m.or(most[1], most[0])
	spread := m.anyDwords(most[0])
	low := least
	bit, top := GP64(), GP64()
	TESTQ(spread, spread)
	JZ(LabelRef("found"))
	BSRQ(spread, top)
	MOVQ(U32(1), bit)
	shift(bit, top)
	Label("bit")
	step, cand, below := m.vec(), m.pair(), m.pair()
	VMOVD(bit.As32(), step.AsX())
	VPBROADCASTD(step.AsX(), step)
	for i := range cand {
		VPADDD(step, low[i], cand[i])
		m.zero(below[i])
	}
	m.each("count", func(i int, x Mem) {
		less := m.vec()
		VPCMPGTD(x, cand[i], less)
		VPSUBD(less, below[i], below[i])
	})
	for i := range low {
		// A candidate that has wrapped around is none.
		over, wrapped := m.vec(), m.vec()
		VPCMPGTD(m.limit, below[i], over)
		VPCMPGTD(cand[i], low[i], wrapped)
		VPOR(wrapped, over, over)
		VPBLENDVB(over, low[i], cand[i], low[i])
	}
	SHRQ(U8(1), bit)
	JNZ(LabelRef("bit"))
}

// above goes from low, which is not above the lower middle value, up to it and on to the next value.
func (m *middle) above() {
	low, upTo, next := m.low, m.pair(), m.pair()
	for i := range low {
		VMOVD(m.n.As32(), upTo[i].AsX())
		VPBROADCASTD(upTo[i].AsX(), upTo[i])
		m.set(next[i])
		VPSRLD(U8(1), next[i], next[i]) // the largest int32
	}
	m.each("above", func(i int, mem Mem) {
		x, more := m.vec(), m.vec()
		m.load(mem, x)
		VPCMPGTD(low[i], x, more)
		VPADDD(more, upTo[i], upTo[i]) // -1 for each that is above
		VPBLENDVB(more, x, next[i], x)
		VPMINSD(x, next[i], next[i])
	})
	var there pair
	for i := range low {
		there[i] = m.vec()
		VPCMPGTD(m.limit, upTo[i], there[i])
		VPBLENDVB(there[i], low[i], next[i], low[i])
	}
	VPAND(there[1], there[0], there[0])
	all := GP32()
	VPMOVMSKB(there[0], all)
	CMPL(all, U32(math.MaxUint32))
	JNE(LabelRef("found"))
	upper, rank := m.vec(), GP64()
	MOVQ(m.n, rank)
	SHRQ(U8(1), rank)
	VMOVD(rank.As32(), upper.AsX())
	VPBROADCASTD(upper.AsX(), upper)
	for i := range low {
		enough := m.vec()
		VPCMPGTD(upper, upTo[i], enough)
		VPBLENDVB(enough, low[i], next[i], next[i])
	}
	m.result(low, next)
}

// anyDwords ORs all elements of x; x is overwritten.
func (v isa) anyDwords(x reg.VecVirtual) reg.GPVirtual {
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
