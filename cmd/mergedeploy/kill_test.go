package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
)

// asProgram makes the test binary be the program, for tests that kill it.
const asProgram = "RAWSTATUS_TEST_MERGEDEPLOY"

func init() {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(context.Background(), os.Stdout, os.Stderr, os.Args))
	}
}

// TestKilledAtAnyMoment kills merge and deployment at random moments; the same command again ends as an
// undisturbed run, and a reader finds old or new at all times.
func TestKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	r := repo.New(filepath.Join(dir, "repo"), policy0, time.UTC)
	site := filepath.Join(dir, "site.toml")
	if err := os.WriteFile(site, []byte("timezone = \"UTC\"\ngroup = \"\"\n"), 0o664); err != nil {
		t.Fatal(err)
	}
	program := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "--site", site, "-e", "mfxx1", "-r", "1", "-o", r.Root, "-c", filepath.Join(dir, "calib"), "-R", "0-end", "-D")
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return cmd
	}
	dest, err := calibdir.New(filepath.Join(dir, "calib"), "Cam::CalibV1", "cam", ctype, disk.Files{Policy: policy0}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	rounds := 10
	if testing.Short() {
		rounds = 4
	}
	target := filepath.Join(dir, "calib", "Cam::CalibV1", "cam", ctype, "0-end.data")
	for n := 1; n <= rounds; n++ {
		status := make([]uint64, 200*200)
		for i := range 10 * n {
			status[i] = 1
		}
		sf := repo.StatusFile{DetType: "cam", DetName: "cam", Panel: "id-0", CType: "status_dark", Rows: 200, Cols: 200,
			Run: frame.Run{Experiment: "mfxx1", Number: 1, Begin: time.Unix(1.7e9, 0)}}
		if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
			t.Fatal(err)
		}
		cmd := program()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		if a, err := calibtxt.ReadStatusFile(target, []int{200, 200}); err == nil {
			if bad := sum(a.Dense()); bad != 10*n && bad != 10*(n-1) {
				t.Errorf("round %d: after the kill %d bad pixels", n, bad)
			}
		} else if n > 1 {
			t.Errorf("round %d: after the kill: %v", n, err)
		}
		if out, err := program().CombinedOutput(); err != nil {
			t.Fatalf("round %d: again: %v\n%s", n, err, out)
		}
		a, err := calibtxt.ReadStatusFile(target, []int{200, 200})
		if err != nil || sum(a.Dense()) != 10*n {
			t.Fatalf("round %d: %v, %v", n, a, err)
		}
		checkRecords(t, dest.Destination(), filepath.Join(filepath.Dir(target), "HISTORY"), n)
	}
	leftovers, err := filepath.Glob(filepath.Join(filepath.Dir(target), ".*.tmp-*"))
	if err != nil || len(leftovers) > 0 {
		t.Errorf("leftovers %v, %v", leftovers, err)
	}
}

func sum(a []uint64) (n int) {
	for _, v := range a {
		n += int(v)
	}
	return n
}

// checkRecords wants each deployment once, in the ledger and in HISTORY.
func checkRecords(t *testing.T, dest calib.Destination, history string, want int) {
	t.Helper()
	records, err := dest.Records()
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, rec := range records {
		if rec.State == calib.Done {
			done++
		}
	}
	f, err := os.Open(history)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); done != want || lines != want {
		t.Errorf("%d deployments on record, %d lines in HISTORY, want %d", done, lines, want)
	}
}

// TestProgramsAtOnce lets 16 programs merge, allocate aliases and deploy at once, each its own run of one
// detector, half of them for runs of their own and half for all runs.
func TestProgramsAtOnce(t *testing.T) {
	dir := t.TempDir()
	r := repo.New(filepath.Join(dir, "repo"), policy0, time.UTC)
	site := filepath.Join(dir, "site.toml")
	if err := os.WriteFile(site, []byte("timezone = \"UTC\"\ngroup = \"\"\n"), 0o664); err != nil {
		t.Fatal(err)
	}
	const n = 16
	var wg sync.WaitGroup
	for i := 1; i <= n; i++ {
		wg.Go(func() {
			status := make([]uint64, 100)
			status[i] = 1
			sf := repo.StatusFile{DetType: "cam", DetName: "cam", Panel: fmt.Sprintf("id-%d", i), CType: "status_dark", Rows: 10, Cols: 10,
				Run: frame.Run{Experiment: "mfxx1", Number: i, Begin: time.Unix(1.7e9, 0)}}
			if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
				t.Error(err)
				return
			}
			validity := "0-end"
			if i%2 == 0 {
				validity = fmt.Sprintf("%d-%d", i, i)
			}
			cmd := exec.Command(os.Args[0], "--site", site, "-e", "mfxx1", "-r", fmt.Sprint(i), "-o", r.Root, "-c", filepath.Join(dir, "calib"), "-R", validity, "-D")
			cmd.Env = append(os.Environ(), asProgram+"=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("run %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	dest, err := calibdir.New(filepath.Join(dir, "calib"), "Cam::CalibV1", "cam", ctype, disk.Files{Policy: policy0}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	checkRecords(t, dest.Destination(), filepath.Join(dest.String(), "HISTORY"), n)
	items, _, err := dest.Items(t.Context())
	if err != nil || len(items) != n/2+1 {
		t.Fatalf("%d constants, %v", len(items), err)
	}
	for i := 2; i <= n; i += 2 {
		a, _, err := dest.Read(t.Context(), items[calib.Pick(items, i)])
		if err != nil || a.Words.Word(i) != 1 || sum(a.Words.Dense()) != 1 {
			t.Errorf("run %d uses %v, %v", i, a, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(r.Root, "cam", ".aliases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	aliases := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		aliases[line[:4]] = true
	}
	if len(aliases) != n || strings.Count(string(text), "\n") != n {
		t.Errorf("aliases:\n%s", text)
	}
}
