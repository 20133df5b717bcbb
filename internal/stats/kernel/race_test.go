//go:build race

package kernel

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// TestRaceDetectorSeesKernels: two goroutines that count into the same block must be reported.
func TestRaceDetectorSeesKernels(t *testing.T) {
	if os.Getenv("KERNEL_RACE") != "" {
		blocks := make([]Block, 1)
		frames := [][]uint16{make([]uint16, Width)}
		var g sync.WaitGroup
		for range 2 {
			g.Go(func() {
				for range 1000 {
					Gated(blocks, frames, nil, &Params{Mask: 0x3fff})
				}
			})
		}
		g.Wait()
		return
	}
	c := exec.Command(os.Args[0], "-test.run", "TestRaceDetectorSeesKernels")
	c.Env = append(os.Environ(), "KERNEL_RACE=1")
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "DATA RACE") {
		t.Errorf("no race reported: %v\n%s", err, out)
	}
}
