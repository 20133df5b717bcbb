package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/simulate"
)

// planned makes a plan and returns it.
func planned(t *testing.T, args ...string) *plan.Plan {
	t.Helper()
	var p plan.Plan
	if err := json.Unmarshal([]byte(must(t, fault.OK, append([]string{"plan", "--json"}, args...)...)), &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

// TestPlanMadeAgainIsTheSameAndRepairsItsIndex wants the same call to make the same plan whatever the machine, and to bring back an index that is
// missing or damaged.
func TestPlanMadeAgainIsTheSameAndRepairsItsIndex(t *testing.T) {
	_, flags := simulated(t)
	work := filepath.Join(t.TempDir(), "work")
	flags = append(flags, "--work", work)
	p := planned(t, flags...)
	index := filepath.Join(work, "index.pack")
	good, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	must(t, fault.OK, "task", "--work", work, "--task", "0")
	for name, spoil := range map[string]func() error{
		"nothing": func() error { return nil },
		"missing": func() error { return os.Remove(index) },
		"damaged": func() error { return os.WriteFile(index, append([]byte{good[0] ^ 1}, good[1:]...), 0o644) },
		"cut":     func() error { return os.Truncate(index, int64(len(good)/2)) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if q := planned(t, append(flags, "--workers", "7")...); q.ID != p.ID || q.Input != p.Input {
			t.Errorf("%s: another plan", name)
		}
		if got, err := os.ReadFile(index); err != nil || string(got) != string(good) {
			t.Errorf("%s: the index is not what it was: %v", name, err)
		}
		must(t, fault.OK, "task", "--work", work, "--task", "0-1")
	}
}

// TestGatesOfEarlierJobsCountByContent wants the gates of an earlier job to count by what they are, not by where they lie, and those of
// another detector to be refused.
func TestGatesOfEarlierJobsCountByContent(t *testing.T) {
	_, flags := simulated(t)
	repo := t.TempDir()
	dark := append([]string{"run", "--profile", "dark", "-o", repo, "--gain-mode", "g0"}, flags...)
	works := t.TempDir()
	for _, name := range []string{"first", "same"} {
		must(t, fault.OK, append(dark, "--work", filepath.Join(works, name))...)
	}
	must(t, fault.OK, append(dark, "--work", filepath.Join(works, "others"), "--gate-frames", "20")...)
	from := func(name string) *plan.Plan {
		return planned(t, append(append([]string{"--profile", "dark", "--gates-from", filepath.Join(works, name)}, flags...), "--work", filepath.Join(t.TempDir(), "w"))...)
	}
	first, same, others := from("first"), from("same"), from("others")
	if first.ID != same.ID || first.Input != same.Input {
		t.Error("the same gates in another directory are another input")
	}
	if first.Input == others.Input {
		t.Error("other gates are the same input")
	}
	dir := t.TempDir()
	if _, err := simulate.Write(context.Background(), simulate.Config{Dir: dir, Experiment: "tstx00117", Run: 6, Detector: "other", Panels: 2, Rows: 32, Cols: 48, Events: 20}); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, "plan", "--profile", "dark", "--gates-from", filepath.Join(works, "first"), "--exp", "tstx00117", "--run", "6", "--dir", dir, "--work", t.TempDir())
	if code != int(fault.Input) || !strings.Contains(stderr, "jungfrau segment 0") || !strings.Contains(stderr, "other segment 0") {
		t.Errorf("gates of another detector: exit code %d\n%s", code, stderr)
	}
	// Gates that change behind a plan are found by its tasks.
	q := planned(t, append(append([]string{"--profile", "dark", "--gates-from", filepath.Join(works, "same")}, flags...), "--work", filepath.Join(works, "late"))...)
	if err := os.Rename(filepath.Join(works, "same"), filepath.Join(works, "gone")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(works, "others"), filepath.Join(works, "same")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "task", "--work", filepath.Join(works, "late"), "--task", "0"); code != int(fault.Input) || !strings.Contains(stderr, "changed since") {
		t.Errorf("plan %.12s: exit code %d\n%s", q.ID, code, stderr)
	}
}
