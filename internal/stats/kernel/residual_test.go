package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// guarded32 is guarded for words of 32 bits.
func guarded32(t testing.TB, n int, atEnd bool) []int32 {
	px := guarded(t, 2*n, atEnd)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(&px[0])), n)
}

// asBytesOf returns the same memory as bytes.
func asBytesOf(px []uint16) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&px[0])), 2*len(px)) }

func TestColumnSumsEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for cols := 1; cols < 70; cols++ {
		for _, rows := range []int{1, 2, 15} {
			stride := cols + r.IntN(3)
			px := guarded(t, (rows-1)*stride+cols, true)
			for i := range px {
				px[i] = uint16(r.Uint32())
			}
			sum, moment := make([]int32, cols), make([]int32, cols)
			columnSumsRef(sum, moment, px, stride, rows, 0x3fff)
			for _, l := range available() {
				s, m := guarded32(t, cols, true), guarded32(t, cols, true)
				l.columnSums(s, m, px, stride, rows, 0x3fff)
				if !slices.Equal(s, sum) || !slices.Equal(m, moment) {
					t.Fatalf("%v: %d rows of %d columns", l, rows, cols)
				}
			}
		}
	}
}

func TestCollectedWindowsEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for n := 1; n <= MaxFrames; n++ {
		for _, rows := range []int{1, 2, 15} {
			from, stride, dstStride := r.IntN(5), r.IntN(40), Lanes*n+r.IntN(3)
			frames := make([][]uint16, n)
			for k := range frames {
				frames[k] = guarded(t, from+(rows-1)*stride+Lanes, true)
				for i := range frames[k] {
					frames[k][i] = uint16(r.Uint32())
				}
			}
			size := (rows-1)*dstStride + n*Lanes
			want := make([]uint16, size)
			collectRef(want, dstStride, frames, from, stride, rows)
			for _, l := range available() {
				got := guarded(t, size, true)
				l.collect(got, dstStride, frames, from, stride, rows)
				if !slices.Equal(got, want) {
					t.Fatalf("%v: %d frames, %d rows", l, n, rows)
				}
			}
		}
	}
}

func TestResidualsEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for n := 1; n < 40; n++ {
		px := guarded(t, Lanes*n, true)
		for i := range px {
			px[i] = uint16(r.Uint32())
		}
		plane, col, row := make([]int32, n), guarded32(t, n, true), guarded32(t, n, true)
		for k := range plane {
			plane[k], col[k], row[k] = int32(r.Uint32())/4, int32(r.Uint32())/64, int32(r.Uint32())/64
		}
		want, wantPlane := make([]int32, Lanes*n), slices.Clone(plane)
		residualsRef(want, px, 0x3fff, 12600, wantPlane, col, row)
		for _, l := range available() {
			got, gotPlane := guarded32(t, Lanes*n, true), guarded32(t, n, true)
			copy(gotPlane, plane)
			l.residuals(got, px, 0x3fff, 12600, gotPlane, col, row)
			if !slices.Equal(got, want) || !slices.Equal(gotPlane, wantPlane) {
				t.Fatalf("%v: %d frames", l, n)
			}
		}
	}
}

func TestMiddlesAndDistances(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	defer func(l level) { best = l }(best)
	count, values := int32(0), 0
	gauss := func(sigma float64) func() int32 { return func() int32 { return int32(sigma * r.NormFloat64()) } }
	for name, word := range map[string]func() int32{
		// 16 values all over the frames, from which the middle is guessed, are not like the others.
		"misleading": func() int32 {
			k := count / Lanes
			count++
			if n := int32(values); n >= 16 && k%(n/16) == 0 && k/(n/16) < 16 {
				return int32(r.IntN(50))
			}
			return int32(100_000_000*(2*(values%2)-1) + r.IntN(50)) // below, or above when n is odd
		},
		"poles": func() int32 { return []int32{math.MinInt32, math.MaxInt32}[r.IntN(2)] },
		"floor": func() int32 {
			if r.IntN(3) > 0 {
				return math.MinInt32 + int32(r.IntN(1000))
			}
			return int32(r.Uint32())
		},
		"ceiling": func() int32 {
			if r.IntN(3) > 0 {
				return math.MaxInt32 - int32(r.IntN(1000))
			}
			return int32(r.Uint32())
		},
		"fine": gauss(50), "finer": gauss(500), "coarse": gauss(5000), "coarser": gauss(50_000),
		"rising": func() int32 { count += 1000; return count },
		"levels": func() int32 { return int32(r.IntN(2)) * 1_000_000 },
		"wild": func() int32 {
			if r.IntN(50) == 0 {
				return int32(r.Uint32())
			}
			return int32(12600 * 15 * r.NormFloat64())
		},
		"late":    func() int32 { count++; return count / (64 * Lanes) * -1_000_000 },
		"any":     func() int32 { return int32(r.Uint32()) },
		"zero":    func() int32 { return 0 },
		"max":     func() int32 { return math.MaxInt32 },
		"min":     func() int32 { return math.MinInt32 },
		"bright":  func() int32 { return math.MaxInt32 - int32(r.IntN(3)) },
		"few":     func() int32 { return int32(r.IntN(4)) - 2 },
		"noise":   func() int32 { return int32(12600 * 15 * r.NormFloat64()) },
		"quarter": func() int32 { return int32(r.Uint32()) / 4 },
		"half":    func() int32 { return int32(r.Uint32() >> 1) },
	} {
		for _, n := range []int{1, 2, 3, 4, 9, 50, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 101, 1000, 1017, 2001, 5000} {
			v := guarded32(t, Lanes*Room(n), true)
			scratch := asBytesOf(guarded(t, len(v)/2, true))
			count, values = 0, n
			for i := range v {
				v[i] = word()
			}
			var lower, upper, twice [Lanes]int32
			middlesRef(&lower, &upper, v, n)
			for i := range twice {
				twice[i] = lower[i]/2 + upper[i]/2
			}
			used := v[:Lanes*n]
			dist := slices.Clone(used)
			distancesRef(dist, &twice)
			for _, l := range available() {
				var a, b [Lanes]int32
				best = l
				a, b = Middles(v, n, scratch)
				if a != lower || b != upper {
					t.Fatalf("%v: middles of %d values %s: %v %v, want %v %v", l, n, name, a, b, lower, upper)
				}
				d := guarded32(t, len(used), true)
				copy(d, used)
				l.distances(d, &twice)
				if !slices.Equal(d, dist) {
					t.Fatalf("%v: distances of %d values %s", l, n, name)
				}
			}
		}
	}
}

func BenchmarkMiddles(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	v, scratch := make([]int32, Lanes*1000), make([]byte, Lanes*1000)
	for i := range v {
		v[i] = int32(12600 * 15 * r.NormFloat64())
	}
	for _, l := range available() {
		if l == levelGo {
			continue
		}
		b.Run(fmt.Sprintf("impl=%v", l), func(b *testing.B) {
			b.SetBytes(int64(2 * len(v))) // raw words
			var lo, hi [Lanes]int32
			for b.Loop() {
				l.middles(&lo, &hi, v, 1000, scratch)
			}
		})
	}
}
