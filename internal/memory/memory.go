package memory

import (
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	mu       sync.Mutex
	prepared int64
)

// Huge asks the system for huge pages under bytes of the heap that are not yet in use: new memory then costs one
// page fault for 2 MiB instead of one for 4 KiB, which can cost more than what is computed in it. It takes no
// memory itself, and a second call with no more bytes does nothing.
//
// The runtime does not advise the system (it leaves that to its setting, which is usually not to use huge pages
// unasked). The advice stays with the addresses: a block that is allocated, never touched and dropped leaves them
// to later allocations.
func Huge(bytes int64) {
	mu.Lock()
	defer mu.Unlock()
	if bytes <= prepared {
		return
	}
	block := make([]byte, bytes-prepared)
	prepared = bytes
	const page = 4096
	begin := int(-uintptr(unsafe.Pointer(&block[0])) % page)
	if n := (len(block) - begin) &^ (page - 1); n > 0 {
		_ = unix.Madvise(block[begin:begin+n], unix.MADV_HUGEPAGE) // without it everything only takes longer
	}
	runtime.KeepAlive(block)
	block = nil
	runtime.GC()
}
