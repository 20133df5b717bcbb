package main

import (
	"sync/atomic"
	"unsafe"
)

var sink atomic.Uint64

// readWords reads memory by words of 64 bits.
func readWords(px []uint16) {
	if len(px) < 4 {
		return
	}
	var a, b, c, d uint64
	w := unsafe.Slice((*uint64)(unsafe.Pointer(&px[0])), len(px)/4)
	for ; len(w) >= 4; w = w[4:] {
		a, b, c, d = a|w[0], b|w[1], c|w[2], d|w[3]
	}
	sink.Add(a | b | c | d)
}
