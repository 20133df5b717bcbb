//go:build !noasm

package main

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// load256 and load512 load n times 512 bytes from p and do nothing with them.
//
//go:noescape
func load256(p *byte, n int)

//go:noescape
func load512(p *byte, n int)

// stream256 copies n times 128 bytes past the caches; dst is a multiple of 32.
//
//go:noescape
func stream256(dst, src *byte, n int)

// transfer copies as a network card does: straight into memory, not through the caches.
func transfer(dst, src []byte) {
	head := min(len(dst), int(-uintptr(unsafe.Pointer(unsafe.SliceData(dst)))%32))
	copy(dst[:head], src)
	dst, src = dst[head:], src[head:]
	if n := len(dst) / 128; n > 0 && cpu.X86.HasAVX2 {
		stream256(&dst[0], &src[0], n)
		dst, src = dst[128*n:], src[128*n:]
	}
	copy(dst, src)
}

// readAll reads memory with the widest loads there are and forgets it: what no kernel can beat.
func readAll(px []uint16) {
	n := len(px) / 256
	switch {
	case n == 0:
	case cpu.X86.HasAVX512F:
		load512((*byte)(unsafe.Pointer(&px[0])), n)
	case cpu.X86.HasAVX2:
		load256((*byte)(unsafe.Pointer(&px[0])), n)
	default:
		readWords(px)
	}
}
