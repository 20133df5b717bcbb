//go:build !noasm

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate sh -c "cd _gen && go run . -out ../kernel_amd64.s -stubs ../kernel_amd64.go -pkg kernel"

const (
	levelAVX2 level = iota + 1
	levelAVX512
)

// available lists the levels that this processor has, fastest first.
func available() (list []level) {
	avx512 := cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ
	if avx512 {
		list = append(list, levelAVX512)
	}
	if cpu.X86.HasAVX2 {
		list = append(list, levelAVX2)
	}
	return append(list, levelGo)
}

func (l level) String() string { return [...]string{"go", "avx2", "avx512"}[l] }

// The switches below call assembly by name, since the compiler knows of named functions only that
// they do not keep their arguments: nothing here allocates.

func (l level) gated(blocks []Block, frames, next [][]uint16, p *Params) {
	if l == levelGo {
		gatedGo(blocks, frames, p)
		return
	}
	parts, from := cutBlocks(blocks, frames, next)
	for i := range parts[from:] {
		q, n, limit := &parts[from+i], len(frames), min(p.Above, fast)
		switch l {
		case levelAVX2:
			gatedAVX2(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit)
		default:
			gatedAVX512(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit)
		}
	}
}

func (l level) watched(blocks []Block, foreign []bool, frames, next [][]uint16, p *Params) {
	if l == levelGo {
		watchedGo(blocks, foreign, frames, p)
		return
	}
	parts, from := cutBlocks(blocks, frames, next)
	for i := range parts[from:] {
		q, n, limit := &parts[from+i], len(frames), min(p.Above, fast)
		out := &foreign[len(foreign)-q.n]
		if from+i == 0 {
			out = &foreign[0]
		}
		switch l {
		case levelAVX2:
			watchedAVX2(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit, p.Gain, p.Want, out)
		default:
			watchedAVX512(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit, p.Gain, p.Want, out)
		}
	}
}

func (l level) ungated(blocks []Block, frames, next [][]uint16, p *Params) {
	if l == levelGo {
		ungatedGo(blocks, frames, p)
		return
	}
	parts, from := cutBlocks(blocks, frames, next)
	for i := range parts[from:] {
		q, n, limit := &parts[from+i], len(frames), min(p.Above, fast)
		switch l {
		case levelAVX2:
			ungatedAVX2(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit)
		default:
			ungatedAVX512(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit)
		}
	}
}

func (l level) masked(blocks []Block, frames, next [][]uint16, p *Params) {
	if l == levelGo {
		maskedGo(blocks, frames, p)
		return
	}
	parts, from := cutBlocks(blocks, frames, next)
	for i := range parts[from:] {
		q, n, limit := &parts[from+i], len(frames), min(p.Above, fast)
		switch l {
		case levelAVX2:
			maskedAVX2(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit, p.Gain, p.Want)
		default:
			maskedAVX512(q.blocks, q.n, &q.frames[0], &q.ahead[0], n, p.Mask, p.Below, p.Above, limit, p.Gain, p.Want)
		}
	}
}

// aheadBlocks is how far kernels of blocks prefetch, 2 KiB of each frame. For the last of the blocks of a
// call they prefetch the beginnings of the frames that come next.
const aheadBlocks = 32

// part is the input of one call of a kernel of blocks.
type part struct {
	blocks *byte
	n      int // blocks
	frames [MaxFrames]*uint16
	ahead  [MaxFrames]uintptr // what to prefetch meanwhile
}

// cutBlocks returns the last blocks as parts[1] and, where from is 0, those before them as parts[0].
func cutBlocks(blocks []Block, frames, next [][]uint16) (parts [2]part, from int) {
	body := max(0, len(blocks)-aheadBlocks)
	if body == 0 {
		from = 1
	}
	for i, first := range [2]int{0, body} {
		q := &parts[i]
		q.blocks, q.n, q.frames = (*byte)(unsafe.Pointer(&blocks[first])), [2]int{body, len(blocks) - body}[i], table(frames, Width*first)
	}
	for k, f := range frames {
		ahead := &f[0] // where nothing is known to come, what is being read
		if k < len(next) && len(next[k]) > 0 {
			ahead = &next[k][0]
		}
		parts[1].ahead[k] = uintptr(unsafe.Pointer(ahead))
		if body > 0 {
			parts[0].ahead[k] = uintptr(unsafe.Pointer(&f[Width*aheadBlocks]))
		}
	}
	return parts, from
}

// pair returns the number of pixels of two vectors, and how often they go into so many pixels.
func (l level) pair(pixels int) (width, times int) {
	width = 64
	if l == levelAVX2 {
		width = 32
	}
	return width, pixels / width
}

func (l level) max(dst []uint16, frames [][]uint16, mask uint16) {
	width, n := l.pair(len(dst))
	done := n * width
	switch t := table(frames, 0); {
	case l == levelGo:
		done = 0
	case n == 0:
	case l == levelAVX2:
		maxAVX2(&dst[0], n, &t[0], len(frames), mask)
	default:
		maxAVX512(&dst[0], n, &t[0], len(frames), mask)
	}
	if done < len(dst) {
		r := rest(frames, done)
		maxGo(dst[done:], r[:len(frames)], mask)
	}
}

func (l level) gain(odd, second []uint16, frames [][]uint16, mask, want, other uint16) {
	width, n := l.pair(len(odd))
	done := n * width
	switch t := table(frames, 0); {
	case l == levelGo:
		done = 0
	case n == 0:
	case l == levelAVX2:
		gainAVX2(&odd[0], &second[0], n, &t[0], len(frames), mask, want, other)
	default:
		gainAVX512(&odd[0], &second[0], n, &t[0], len(frames), mask, want, other)
	}
	if done < len(odd) {
		r := rest(frames, done)
		gainRef(odd[done:], second[done:], r[:len(frames)], mask, want, other)
	}
}

// below is belowRef.
func (l level) below(px []uint16, mask uint16, limits *[4]uint16) (n [4]int) {
	var biased [4]uint16
	for j, t := range limits {
		biased[j] = t ^ 0x8000
	}
	for l != levelGo && len(px) >= 32 {
		chunks := min(len(px), 1<<19) / 32 // lanes count two pixels of a chunk, up to 65535
		var counts [64]uint16
		belowAVX2(&px[0], chunks, &biased, &counts, mask)
		for i, c := range counts {
			n[i/16] += int(c)
		}
		px = px[32*chunks:]
	}
	for j, c := range belowRef(px, mask, limits) {
		n[j] += c
	}
	return n
}

// Sums have groups of 16 columns; what is left over is for plain Go.

func (l level) columnSums(sum, moment []int32, px []uint16, stride, rows int, mask uint16) {
	groups := len(sum) / Lanes
	done := groups * Lanes
	switch {
	case l == levelGo:
		done = 0
	case groups == 0:
	case l == levelAVX2:
		columnSumsAVX2(&sum[0], &moment[0], groups, &px[0], 2*stride, rows, uint32(mask))
	default:
		columnSumsAVX512(&sum[0], &moment[0], groups, &px[0], 2*stride, rows, uint32(mask))
	}
	if done < len(sum) {
		columnSumsRef(sum[done:], moment[done:], px[done:], stride, rows, mask)
	}
}

func (l level) collect(dst []uint16, dstStride int, frames [][]uint16, from, stride, rows int) {
	if l == levelGo {
		collectRef(dst, dstStride, frames, from, stride, rows)
		return
	}
	t := table(frames, 0)
	collectAVX2(&dst[0], 2*dstStride, &t[0], len(frames), 2*from, 2*stride, rows)
}

func (l level) residuals(dst []int32, px []uint16, mask uint16, den int32, plane, col, row []int32) {
	switch l {
	case levelGo:
		residualsRef(dst, px, mask, den, plane, col, row)
	case levelAVX2:
		residualsAVX2(&dst[0], &px[0], len(plane), &plane[0], &col[0], &row[0], uint32(mask), uint32(den))
	default:
		residualsAVX512(&dst[0], &px[0], len(plane), &plane[0], &col[0], &row[0], uint32(mask), uint32(den))
	}
}

func (l level) middles(lower, upper *[Lanes]int32, values []int32, n int, scratch []byte) {
	if l == levelGo {
		middlesRef(lower, upper, values, n)
		return
	}
	middlesAVX2(&lower[0], &upper[0], &values[0], n, &scratch[0])
}

func (l level) distances(values []int32, twice *[Lanes]int32) {
	switch l {
	case levelGo:
		distancesRef(values, twice)
	case levelAVX2:
		distancesAVX2(&values[0], len(values)/Lanes, &twice[0])
	default:
		distancesAVX512(&values[0], len(values)/Lanes, &twice[0])
	}
}

// table returns the addresses of frames from a pixel on.
func table(frames [][]uint16, from int) (t [MaxFrames]*uint16) {
	for i, f := range frames {
		t[i] = &f[from]
	}
	return t
}

// rest returns the pixels of frames from a position on.
func rest(frames [][]uint16, from int) (r [MaxFrames][]uint16) {
	for i, f := range frames {
		r[i] = f[from:]
	}
	return r
}
