package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("!noasm")
	for _, v := range []isa{
		{suffix: "AVX2", bytes: 32},
		{suffix: "AVX512", bytes: 64, evex: true},
	} {
		blocks(v, gated)
		blocks(v, ungated)
		blocks(v, masked)
		blocks(v, watched)
		maxima(v)
		gains(v)
		columns(v)
		residuals(v)
		distances(v)
		tails(v)
	}
	// With 512 bits comparisons go into predicates, one in a cycle, which is no more lanes than two
	// comparisons of 256 bits; these kernels are made of comparisons and gain nothing.
	avx2 := isa{suffix: "AVX2", bytes: 32}
	medians(avx2)
	for _, e := range []element{words, octets} {
		stages(avx2, e)
		orders(avx2, e)
	}
	thresholds(avx2)
	collects(avx2)
	middles(avx2)
	Generate()
}
