package memory

import "testing"

// TestPoolKeepsOneSize wants large buffers of a size that is no longer asked for to go back to the system.
func TestPoolKeepsOneSize(t *testing.T) {
	var a Pool
	for _, mib := range []int{4, 64, 16, 64, 4} {
		b, err := a.Get(mib << 20)
		if err != nil {
			t.Fatal(err)
		}
		b[0], b[len(b)-1] = 1, 2
		if got := a.Mapped(); got != mib<<20 {
			t.Errorf("%d MiB asked, %d bytes held", mib, got)
		}
		a.Put(b)
	}
	b, err := a.Get(4 << 20)
	if err != nil || b[0] != 1 {
		t.Errorf("a free buffer that fits was not used: %v", err)
	}
	a.Put(b)
	if err := a.Free(); err != nil || a.Mapped() != 0 {
		t.Errorf("%d bytes held after drop: %v", a.Mapped(), err)
	}
}
