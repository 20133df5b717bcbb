package publish

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
)

// TestLargeDetectorIsDeployedTwice merges and deploys a detector as large as jungfrau 16M, twice, the second time over the first.
func TestLargeDetectorIsDeployedTwice(t *testing.T) {
	panels := 2
	if os.Getenv("RAWSTATUS_TEST_LARGE") != "" {
		panels = 32
	}
	r := repo.New(filepath.Join(t.TempDir(), "repo"), &access.Policy{DirMode: 0o2775, FileMode: 0o664}, time.UTC)
	rng := rand.New(rand.NewPCG(1, 2))
	status := make([]uint64, 512*1024)
	for panel := range panels {
		for _, gain := range []string{"g0", "g1", "g2"} {
			for i := range status {
				status[i] = 0
				if rng.IntN(100) == 0 {
					status[i] = 1 << rng.IntN(6)
				}
			}
			sf := repo.StatusFile{DetType: "jungfrau", DetName: "jungfrau", Panel: fmt.Sprintf("id-%02d", panel), Segment: panel, CType: "status_dark",
				GainMode: gain, Rows: 512, Cols: 1024, Run: frame.Run{Experiment: "mfxx1", Number: 1, Begin: time.Unix(1.7e9, 0)}}
			if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	dest := newPlace(t, "Jungfrau::CalibV1", "jungfrau")
	for _, validity := range []string{"1-end", "0-end"} {
		begin := time.Now()
		s, err := Find(t.Context(), r, Wanted{Experiment: "mfxx1", Run: 1})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Merge(t.Context(), r, s, MergeOptions{CType: "status_extra"})
		if err != nil {
			t.Fatal(err)
		}
		merged := time.Since(begin)
		rg, err := calib.ParseRange(validity)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := NewPlan(t.Context(), dest, nil, m, "status_extra", rg, DefaultGate)
		if err != nil {
			t.Fatal(err)
		}
		planned := time.Since(begin)
		rec, unchanged, err := plan.Execute(t.Context(), dest, nil, "")
		if err != nil || unchanged {
			t.Fatal(unchanged, err)
		}
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d panels: merged in %.1f s, planned after %.1f s, deployed after %.1f s; %d bad pixels, %d MB of text, peak memory %d MiB", panels,
			merged.Seconds(), planned.Seconds(), time.Since(begin).Seconds(), rec.Bad, rec.Size>>20, u.Maxrss>>10)
		if limit := int64(2 << 20); u.Maxrss > limit {
			t.Errorf("peak memory %d kB, limit %d", u.Maxrss, limit)
		}
	}
}
