package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// TestReportsOfJobs wants the pages of `submit --report` and `campaign --report`, from jobs of the stand-in for Slurm, for darks and
// charge injection, and the status of the scan to be that of an undisturbed job.
func TestReportsOfJobs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for jobs")
	}
	bin, dir := programs(t), t.TempDir()
	for run := 1; run <= 4; run++ {
		cfg := simulate.Config{Dir: dir, Experiment: "tstx00117", Run: run, Panels: 2, Rows: 32, Cols: 32, Events: 40, Noisy: run}
		if run > 2 {
			cfg = simulate.Config{Dir: dir, Experiment: "tstx00117", Run: run, Scan: simulate.ChargeInjection, Panels: 2, Rows: 24, Cols: 30, Ramp: 128, Space: 1}
		}
		if _, err := simulate.Write(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "jobs")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "STAND_IN="+state, "RAWSTATUS_SITE=", "PATH="+bin+":"+filepath.Join(testenv.Root(t), "docs", "testdata", "slurm")+":"+os.Getenv("PATH"))
	call := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, "rawstatus"), args...)
		cmd.Env, cmd.Dir = env, dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	call("submit", "-e", "tstx00117", "-r", "1", "--dir", dir, "-o", "one", "--work", "work", "--settle", "0s", "--tasks", "3", "--report", "--wait")
	if page := read(t, filepath.Join(dir, "work", "report.html")); !strings.Contains(page, "tstx00117 run 1 jungfrau") {
		t.Error("the report of the job is of something else")
	}
	text := ""
	for _, e := range []string{"1-2\"\ndetectors = [\"jungfrau\"]\nprofiles = [\"data", "3-4\"\ndetectors = [\"epixhr2x2\"]\nprofiles = [\"ci"} {
		text += fmt.Sprintf("[[entry]]\nexp = \"tstx00117\"\ndir = %q\nruns = \"%s\"]\n", dir, e)
	}
	file := filepath.Join(dir, "night.toml")
	if err := os.WriteFile(file, []byte("name = \"night\"\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	call("campaign", "--work", "night", "-o", "all", "--report", file)
	pages, err := filepath.Glob(filepath.Join(dir, "night", "*", "report.html"))
	if err != nil || len(pages) != 4 {
		t.Errorf("reports of the runs: %q (%v)", pages, err)
	}
	for _, name := range []string{"report-tstx00117-jungfrau-data.html", "report-tstx00117-epixhr2x2-ci.html"} {
		if page := read(t, filepath.Join(dir, "night", name)); !strings.Contains(page, "2 of 2 runs") || !strings.Contains(page, filepath.Join(dir, "night")) {
			t.Errorf("%s is not about two runs of the campaign", name)
		}
	}
	call("run", "--quiet", "-e", "tstx00117", "-r", "4", "--dir", dir, "--profile", "ci", "-o", "quiet", "--work", "quiet-work")
	got, err := filepath.Glob(filepath.Join(dir, "all", "*", "*", "status_ci", "*r0004*.dat"))
	want, err2 := filepath.Glob(filepath.Join(dir, "quiet", "*", "*", "status_ci", "*.dat"))
	if err != nil || err2 != nil || len(got) != 2 || len(want) != 2 {
		t.Fatalf("status of the scan: %q, %q (%v, %v)", got, want, err, err2)
	}
	for i := range got {
		if !slices.Equal(statusOfFile(t, got[i]), statusOfFile(t, want[i])) {
			t.Errorf("%s is not the status of an undisturbed job", got[i])
		}
	}
}
