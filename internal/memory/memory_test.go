package memory

import (
	"runtime"
	"runtime/metrics"
	"testing"
)

// TestHugeTakesNoMemory: the heap is as large as before, and a second call does nothing.
func TestHugeTakesNoMemory(t *testing.T) {
	live := func() uint64 {
		runtime.GC()
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	before := live()
	Huge(64 << 20)
	if after := live(); after > before+1<<20 {
		t.Errorf("%d bytes are in use, %d before", after, before)
	}
	allocations := testing.AllocsPerRun(5, func() { Huge(64 << 20) })
	if allocations != 0 {
		t.Errorf("%v allocations although nothing more was wanted", allocations)
	}
	v := make([]byte, 32<<20)
	for i := range v {
		if v[i] != 0 {
			t.Fatal("new memory is not zero")
		}
		v[i] = 1
	}
}
