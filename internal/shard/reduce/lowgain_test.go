package reduce

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
)

// TestDeriveLowGains wants pedestals of AHL-L only where all four constants of the panel are there and old enough.
func TestDeriveLowGains(t *testing.T) {
	const rows, cols = 2, 3
	for _, c := range []struct {
		name    string
		spoil   func(files map[string]string)
		derived bool
		fails   bool
	}{
		{"all four", func(map[string]string) {}, true, false},
		{"one is missing", func(f map[string]string) { delete(f, "gain/20260101000000 gainci_AHL-L") }, false, false},
		{"one is younger", func(f map[string]string) {
			f["offset/20270101000000 offset_AHL-H"] = f["offset/20260101000000 offset_AHL-H"]
			delete(f, "offset/20260101000000 offset_AHL-H")
		}, false, false},
		{"one is short", func(f map[string]string) { f["offset/20260101000000 offset_AHL-L"] = "1 2\n3 4\n" }, false, true},
	} {
		r := repo.New(t.TempDir(), nil, time.UTC)
		files := map[string]string{
			"offset/20260101000000 offset_AHL-H": "1000 1000 1000\n1000 1000 1000\n", "offset/20260101000000 offset_AHL-L": "500 500 500\n500 500 500\n",
			"gain/20260101000000 gainci_AHL-H": "8 8 8\n8 8 0\n", "gain/20260101000000 gainci_AHL-L": "2 2 2\n2 2 2\n",
			"offset/20250101000000 offset_AHL-L": "9 9 9\n9 9 9\n", // an older one, which is not used
		}
		c.spoil(files)
		for name, text := range files {
			dir, rest, _ := strings.Cut(name, "/")
			stamp, ctype, _ := strings.Cut(rest, " ")
			path := filepath.Join(r.PanelDir("epix10ka", "id-0"), dir, fmt.Sprintf("epix10ka_0001_%s_mfxx1_r0003_%s.dat", stamp, ctype))
			if err := os.MkdirAll(filepath.Dir(path), 0o775); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o664); err != nil {
				t.Fatal(err)
			}
		}
		p := &plan.Plan{Dataset: plan.Dataset{Run: frame.Run{Experiment: "mfxx1", Number: 5, Begin: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}, Detector: "epix10ka", Type: "epix10ka",
			Panels: []frame.Panel{{Detector: "epix10ka", Type: "epix10ka", ID: "id-0", Rows: rows, Cols: cols}}}}
		low, err := lowPedestals(r, p, 0, "AHL-H", []float64{900, 960, 1000, 1040, 900, 900})
		if (err != nil) != c.fails || (low != nil) != c.derived {
			t.Errorf("%s: %v, %v", c.name, err, low)
			continue
		}
		if !c.derived {
			continue
		}
		for i, want := range []float64{475, 490, 500, 510, 475, 500} {
			if got := low[i]; math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: pixel %d is %v, wanted %v", c.name, i, got, want)
			}
		}
	}
}
