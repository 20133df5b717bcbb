package sweep

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena keeps buffers for reuse; all are aligned to a page. Large ones are memory of their own, on huge
// pages where the system has them: filling one costs few page faults, and the garbage collector does not
// take them for a reason to let its heap grow.
type arena struct {
	mu     sync.Mutex
	free   [][]uint16
	mapped [][]byte // all that was mapped
}

const (
	pageSize  = 4096
	hugeSize  = 2 << 20
	mappedMin = 1 << 20 // bytes from which a buffer is mapped
)

// get returns a buffer of n pixels with unknown content, the smallest free one that is not wasteful.
func (a *arena) get(n int) ([]uint16, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	best := -1
	for i, b := range a.free {
		if cap(b) >= n && cap(b) <= 2*n+pageSize && (best < 0 || cap(b) < cap(a.free[best])) {
			best = i
		}
	}
	if best >= 0 {
		b := a.free[best]
		a.free[best] = a.free[len(a.free)-1]
		a.free = a.free[:len(a.free)-1]
		return b[:n], nil
	}
	if 2*n >= mappedMin {
		if err := a.trim(); err != nil {
			return nil, err
		}
		return a.mapBuffer(n)
	}
	const page = pageSize / 2
	raw := make([]uint16, n+page)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) % pageSize / 2)
	return raw[skip : skip+n], nil
}

// mapBuffer makes a large buffer.
func (a *arena) mapBuffer(n int) ([]uint16, error) {
	mem, err := unix.Mmap(-1, 0, (2*n+hugeSize-1)/hugeSize*hugeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("frame: could not get %d bytes of memory for frames: %w", 2*n, err)
	}
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // without them it only takes longer
	a.mapped = append(a.mapped, mem)
	return unsafe.Slice((*uint16)(unsafe.Pointer(&mem[0])), len(mem)/2)[:n], nil
}

// trim returns free large buffers to the system: none of them has the size that is wanted now, and kept
// beside a new one they would double the memory of a task whose sweeps differ.
func (a *arena) trim() error {
	for i := 0; i < len(a.free); {
		b := a.free[i]
		k := slices.IndexFunc(a.mapped, func(mem []byte) bool { return cap(b) > 0 && unsafe.Pointer(&mem[0]) == unsafe.Pointer(&b[:1][0]) })
		if k < 0 {
			i++
			continue
		}
		if err := unix.Munmap(a.mapped[k]); err != nil {
			return fmt.Errorf("frame: could not give memory back: %w", err)
		}
		a.mapped = slices.Delete(a.mapped, k, k+1)
		a.free = slices.Delete(a.free, i, i+1)
	}
	return nil
}

// put takes a buffer back.
func (a *arena) put(b []uint16) {
	a.mu.Lock()
	a.free = append(a.free, b)
	a.mu.Unlock()
}

// drop frees all memory; no buffer may be in use.
func (a *arena) drop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var first error
	for _, mem := range a.mapped {
		if err := unix.Munmap(mem); err != nil && first == nil {
			first = err
		}
	}
	a.free, a.mapped = nil, nil
	return first
}

// alignedPage returns memory for one page of a file that is read directly.
func alignedPage() []byte {
	const page = pageSize / 2
	raw := make([]uint16, 2*page)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) % pageSize / 2)
	return bytesOf(raw[skip : skip+page])
}
