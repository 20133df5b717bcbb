package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// TestDarksByJobs takes dark runs through jobs of the stand-in for Slurm.
func TestDarksByJobs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for jobs")
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "jobs")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	darksByJobs(t, dir, nil, "STAND_IN="+state, "PATH="+programs(t)+":"+filepath.Join(testenv.Root(t), "docs", "testdata", "slurm")+":"+os.Getenv("PATH"))
}

// TestSlurmDarks does the same on the test cluster.
func TestSlurmDarks(t *testing.T) {
	cluster := testenv.Slurm(t)
	cluster.Account(t, "lcls:tstx00417")
	darksByJobs(t, cluster.TempDir(t), []string{"--cpus-per-task", "1"})
}

// darksByJobs wants the same constants from `run`, `submit`, `campaign` and `dark --submit`, and the last one to deploy them.
func darksByJobs(t *testing.T, dir string, options []string, env ...string) {
	t.Helper()
	bin := programs(t)
	for run := 1; run <= 2; run++ {
		cfg := simulate.Config{Dir: dir, Experiment: "tstx00417", Run: run, Type: "jungfrau", Panels: 2, Rows: 32, Cols: 64, Events: 60, GainModes: []string{"g0", "g1", "g2"}, Noisy: 2, Seed: uint64(run)}
		if _, err := simulate.Write(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	call := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, "rawstatus"), args...)
		cmd.Env, cmd.Dir = append(append(os.Environ(), "RAWSTATUS_SITE=", "RAWSTATUS_TIMEZONE=UTC", "RAWSTATUS_GROUP="), env...), dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	submitted := func(args ...string) string { return call(append(args, options...)...) }
	const products = "--products=psrnx"
	for _, run := range []string{"1", "2"} {
		call("run", "--quiet", "-e", "tstx00417", "-r", run, "--dir", dir, "--profile", "dark", products, "-o", "quiet", "--work", "quiet-"+run)
	}
	want := productTree(t, filepath.Join(dir, "quiet"))
	if len(want) != 2*5*(2*3+2+1) {
		t.Fatalf("run leaves %d files of products", len(want))
	}
	submitted("submit", "-e", "tstx00417", "-r", "1", "--dir", dir, "--profile", "dark", products, "-o", "one", "--work", "work", "--settle", "0s", "--tasks", "4", "--wait")
	got := productTree(t, filepath.Join(dir, "one"))
	sameProducts(t, "submit", got, want, "r0001")

	file := filepath.Join(dir, "darks.toml")
	text := fmt.Sprintf("name = \"darks\"\n[[entry]]\nexp = \"tstx00417\"\ndir = %q\nruns = \"1-2\"\ndetectors = [\"jungfrau\"]\nprofiles = [\"dark\"]\n", dir)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	submitted("campaign", "--work", "night", "-o", "all", products, file)
	sameProducts(t, "campaign", productTree(t, filepath.Join(dir, "all")), want, "r0001", "r0002")
	if report := bodyOf(t, filepath.Join(dir, "night", "report.txt")); !strings.Contains(report, "pedestals of 6 chips, runs 1 to 2") {
		t.Errorf("the report does not follow pedestals:\n%s", report)
	}

	calib := filepath.Join(dir, "calib")
	if err := os.Mkdir(calib, 0o775); err != nil {
		t.Fatal(err)
	}
	line := []string{"dark", "-e", "tstx00417", "-r", "1", "--dir", dir, "-o", "three", "--work", "dark-work", "--settle", "0s", "--submit", "-D", "-c", calib}
	for _, option := range options {
		line = append(line, "--submit-arg="+option)
	}
	if out := call(line...); !strings.Contains(out, "analysis of run 1 will use") {
		t.Errorf("dark --submit:\n%s", out)
	}
	for _, ctype := range []string{"pedestals", "pixel_rms", "pixel_status"} {
		deployed := withoutComments(bodyOf(t, filepath.Join(calib, "Jungfrau::CalibV1", "jungfrau", ctype, "1-end.data")))
		merged := ""
		for name, body := range want {
			if strings.Contains(name, "merge_tmp") && strings.Contains(name, "r0001-"+ctype) {
				merged = body
			}
		}
		if deployed == "" || deployed != merged {
			t.Errorf("%s is deployed with other numbers than the merged file has", ctype)
		}
	}
}

// productTree returns the bodies of all files of products of a repository, by path.
func productTree(t *testing.T, repository string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	for _, pattern := range []string{"*/*/p*/*.data", "*/*/p*/*.txt", "*/merge_tmp/*.txt"} {
		paths, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, err := filepath.Rel(repository, path)
			if err != nil {
				t.Fatal(err)
			}
			tree[name] = withoutComments(bodyOf(t, path))
		}
	}
	return tree
}

func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line[0] != '#' && line[0] != '\n' {
			b.WriteString(line)
		}
	}
	return b.String()
}

// sameProducts wants what single runs have left, of some runs.
func sameProducts(t *testing.T, what string, got, want map[string]string, runs ...string) {
	t.Helper()
	for _, run := range runs {
		for name, body := range want {
			if strings.Contains(name, run) && got[name] != body {
				t.Errorf("%s: %s is not what a single run leaves", what, name)
			}
		}
	}
	if wanted := len(want) * len(runs) / 2; len(got) != wanted {
		t.Errorf("%s: %d files, wanted %d", what, len(got), wanted)
	}
}

func bodyOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
