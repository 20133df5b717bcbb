package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// TestSlurmChargeInjection submits a charge-injection scan and wants the status of an undisturbed job in the
// repository, and merged with that of darks, every bit of it, where analysis reads it.
func TestSlurmChargeInjection(t *testing.T) {
	n := &night{cluster: testenv.Slurm(t), bin: programs(t), data: t.TempDir()}
	n.cluster.Account(t, "lcls:"+nightExperiment)
	for _, cfg := range []simulate.Config{
		{Dir: n.data, Experiment: nightExperiment, Run: 2, Type: "epixhr2x2", Panels: 1, Events: 20, Dead: 3, Hot: 3},
		{Dir: n.data, Experiment: nightExperiment, Run: 3, Scan: simulate.ChargeInjection, Type: "epixhr2x2", Panels: 1, Space: 1, Ramp: 128, Events: 265},
	} {
		if _, err := simulate.Write(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	quiet := n.job(t, nil)
	quiet.call(t, 0, "run", "--exp", nightExperiment, "--run", "3", "--dir", n.data, "--profile", "ci", "--work", filepath.Join(quiet.dir, "quiet"))
	want := statusFile(t, quiet.repo, "status_ci")

	j := n.job(t, nil)
	j.call(t, 0, "run", "--exp", nightExperiment, "--run", "2", "--dir", n.data, "--profile", "dark", "--work", filepath.Join(j.dir, "dark"))
	calib := filepath.Join(j.dir, "calib")
	if err := os.Mkdir(calib, 0o775); err != nil {
		t.Fatal(err)
	}
	j.call(t, 0, "submit", "--exp", nightExperiment, "--run", "3", "--dir", n.data, "--profile", "ci", "--work", j.work, "--settle", "0s", "--tasks", "5", "--cpus-per-task", "1",
		"--wait", "--deploy", "-c", calib)
	ci, dark := statusFile(t, j.repo, "status_ci"), statusFile(t, j.repo, "status_dark")
	if !slices.Equal(ci, want) {
		t.Fatal("the status is not that of an undisturbed job")
	}
	deployed, err := filepath.Glob(filepath.Join(calib, "Epixhr2x2::CalibV1", "epixhr2x2", "status_extra", "*.data"))
	if err != nil || len(deployed) != 1 {
		out, _ := exec.Command("find", calib).CombinedOutput()
		t.Fatalf("deployed: %v (%v)\n%s", deployed, err, out)
	}
	for i, w := range statusOfFile(t, deployed[0]) {
		if w != ci[i]|dark[i] {
			t.Fatalf("pixel %d is deployed as %#x, wanted %#x and %#x", i, w, ci[i], dark[i])
		}
	}
}

// statusFile reads the one file of a constants type.
func statusFile(t *testing.T, repository, ctype string) []uint64 {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(repository, "*", "*", ctype, "*.dat"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("files of %s: %v (%v)", ctype, paths, err)
	}
	return statusOfFile(t, paths[0])
}

func statusOfFile(t *testing.T, path string) []uint64 {
	t.Helper()
	read, err := calibtxt.ReadStatusFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return read.Dense()
}
