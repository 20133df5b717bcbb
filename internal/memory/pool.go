package memory

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pool keeps buffers for reuse; all are aligned to a page. Large ones are memory of their own, on huge
// pages where the system has them: filling one costs few page faults, and the garbage collector does not
// take them for a reason to let its heap grow.
type Pool struct {
	mu     sync.Mutex
	free   [][]byte
	mapped [][]byte // all that was mapped
}

const (
	pageSize  = 4096
	mappedMin = 1 << 20 // bytes from which a buffer is mapped
	// HugeSize is the size of a huge page: buffers of a multiple of it waste nothing.
	HugeSize = 2 << 20
)

// Get returns a buffer of n bytes with unknown content, the smallest free one that is not wasteful.
func (p *Pool) Get(n int) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, b := range p.free {
		if cap(b) >= n && cap(b) <= 2*(n+pageSize) && (best < 0 || cap(b) < cap(p.free[best])) {
			best = i
		}
	}
	if best >= 0 {
		b := p.free[best]
		p.free[best] = p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
		return b[:n], nil
	}
	if n < mappedMin {
		raw := make([]byte, n+pageSize)
		skip := int(-uintptr(unsafe.Pointer(&raw[0])) % pageSize)
		return raw[skip : skip+n], nil
	}
	if err := p.trim(); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(-1, 0, (n+HugeSize-1)/HugeSize*HugeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("memory: could not get %d bytes: %w", n, err)
	}
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // without them it only takes longer
	p.mapped = append(p.mapped, mem)
	return mem[:n], nil
}

// trim returns free large buffers to the system: none of them has the size that is wanted now, and kept
// beside a new one they would double the memory of a process whose work differs.
func (p *Pool) trim() error {
	for i := 0; i < len(p.free); {
		b := p.free[i]
		k := slices.IndexFunc(p.mapped, func(mem []byte) bool { return cap(b) > 0 && unsafe.SliceData(mem) == unsafe.SliceData(b) })
		if k < 0 {
			i++
			continue
		}
		if err := unix.Munmap(p.mapped[k]); err != nil {
			return fmt.Errorf("memory: could not give %d bytes back: %w", len(p.mapped[k]), err)
		}
		p.mapped = slices.Delete(p.mapped, k, k+1)
		p.free = slices.Delete(p.free, i, i+1)
	}
	return nil
}

// Mapped returns how many bytes all large buffers have together.
func (p *Pool) Mapped() (bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, mem := range p.mapped {
		bytes += len(mem)
	}
	return bytes
}

// Put takes a buffer back.
func (p *Pool) Put(b []byte) {
	p.mu.Lock()
	p.free = append(p.free, b)
	p.mu.Unlock()
}

// Free returns all memory to the system; no buffer may be in use.
func (p *Pool) Free() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first error
	for _, mem := range p.mapped {
		if err := unix.Munmap(mem); err != nil && first == nil {
			first = err
		}
	}
	p.free, p.mapped = nil, nil
	return first
}
