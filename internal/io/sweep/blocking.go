package sweep

import (
	"runtime"
	"sync"
)

// blocking counts who expects reads to block, and knows what GOMAXPROCS was before.
var blocking struct {
	sync.Mutex
	users, cores int
}

// Blocking prepares the Go scheduler for so many reads that block at the same time, until done is
// called. A read of half a millisecond keeps a processor of the scheduler until its monitor takes that
// away, some ten microseconds later or more: with as many processors as cores, reads in flight and
// computation wait for each other. So there are more of them for the time being, one for four reads:
// with one for each, reads that do not block, from the page cache, would get in each other's way.
func Blocking(reads int) (done func()) {
	blocking.Lock()
	defer blocking.Unlock()
	if blocking.users == 0 {
		blocking.cores = runtime.GOMAXPROCS(0)
	}
	blocking.users++
	if want := blocking.cores + (reads+3)/4; want > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(want)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			blocking.Lock()
			defer blocking.Unlock()
			if blocking.users--; blocking.users == 0 {
				runtime.GOMAXPROCS(blocking.cores)
			}
		})
	}
}

// cores is GOMAXPROCS as it is without Blocking.
func cores() int {
	blocking.Lock()
	defer blocking.Unlock()
	if blocking.users > 0 {
		return blocking.cores
	}
	return runtime.GOMAXPROCS(0)
}
