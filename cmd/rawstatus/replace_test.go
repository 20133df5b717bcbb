package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/simulate"
)

// TestResultsOfLessDataNeedReplace wants a result of all of a run to be replaced by one of less only with --replace, and by one of as much
// without a word.
func TestResultsOfLessDataNeedReplace(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	dir, repo := t.TempDir(), t.TempDir()
	if _, err := simulate.Write(context.Background(), simulate.Config{Dir: dir, Experiment: "tstx00117", Run: 5, Panels: 2, Rows: 32, Cols: 48,
		Events: 20, Steps: 2, GainModes: []string{"g1", "g1"}, Dead: 2}); err != nil {
		t.Fatal(err)
	}
	job := func(dir string, args ...string) []string {
		return append([]string{"run", "--exp", "tstx00117", "--run", "5", "--dir", dir, "-o", repo, "--work", filepath.Join(t.TempDir(), "work")}, args...)
	}
	files := func() (all string) {
		paths, err := filepath.Glob(filepath.Join(repo, "jungfrau", "*", "status_data", "jungfrau*"))
		if err != nil || len(paths) != 4 {
			t.Fatal(paths, err)
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}
	cut := t.TempDir()
	paths, err := filepath.Glob(filepath.Join(dir, "*.xtc2"))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cut, filepath.Base(paths[0])), b[:len(b)*2/3], 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, fault.OK, job(dir)...)
	must(t, fault.OK, job(dir)...)
	whole := files()
	for name, args := range map[string][]string{
		"step": job(dir, "--step", "0"), "events": job(dir, "-n", "30"), "skip": job(dir, "--skip", "1"), "segment": job(dir, "--segment", "1"),
		"incomplete": job(cut, "--allow-incomplete"),
	} {
		code, _, stderr := call(t, args...)
		if code != int(fault.Refused) || !strings.Contains(stderr, "all of the run (40 frames)") || !strings.Contains(stderr, "--replace") {
			t.Errorf("%s: exit code %d\n%s", name, code, stderr)
		}
		if files() != whole {
			t.Errorf("%s: something was written", name)
		}
		must(t, fault.OK, append(args, "--replace")...)
		must(t, fault.OK, args...) // the same again
		must(t, fault.OK, job(dir)...)
	}
	// Of two parts the smaller one does not replace the larger one.
	must(t, fault.OK, job(dir, "-n", "30", "--replace")...)
	must(t, fault.Refused, job(dir, "-n", "10")...)
	must(t, fault.OK, job(dir, "-n", "35")...)
	must(t, fault.OK, job(dir, "-n", "10", "-C", "status_few")...)
}
