// Command gen writes the vector assembly of package kernel.
//
// Run it through go generate in the package; it is a module of its own so that users of the package
// never need avo.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("!noasm")
	for _, v := range []isa{
		{suffix: "AVX2", bytes: 32},
		{suffix: "AVX512", bytes: 64, evex: true},
		{suffix: "VNNI", bytes: 64, evex: true, vnni: true},
	} {
		blocks(v, true)
		blocks(v, false)
		if !v.vnni {
			maxima(v)
			gains(v)
			columns(v)
			residuals(v)
			middles(v)
			distances(v)
		}
	}
	// With 512 bits comparisons go into predicates, one in a cycle, which is no more lanes than two
	// comparisons of 256 bits; these two kernels are made of comparisons and gain nothing.
	orders(isa{suffix: "AVX2", bytes: 32})
	thresholds(isa{suffix: "AVX2", bytes: 32})
	Generate()
}
