package sweep

import "testing"

// TestArenaKeepsOneSize wants large buffers of a size that is no longer asked for to go back to the system.
func TestArenaKeepsOneSize(t *testing.T) {
	var a arena
	held := func() (bytes int) {
		for _, mem := range a.mapped {
			bytes += len(mem)
		}
		return bytes
	}
	for _, mib := range []int{4, 64, 16, 64, 4} {
		b, err := a.get(mib << 20 / 2)
		if err != nil {
			t.Fatal(err)
		}
		b[0], b[len(b)-1] = 1, 2
		if got := held(); got != mib<<20 {
			t.Errorf("%d MiB asked, %d bytes held", mib, got)
		}
		a.put(b)
	}
	b, err := a.get(4 << 20 / 2)
	if err != nil || b[0] != 1 {
		t.Errorf("a free buffer that fits was not used: %v", err)
	}
	a.put(b)
	if err := a.drop(); err != nil || held() != 0 {
		t.Errorf("%d bytes held after drop: %v", held(), err)
	}
}
