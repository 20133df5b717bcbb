package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/simulate"
)

func TestSimulateFollowsItsFlags(t *testing.T) {
	dir := t.TempDir()
	args := []string{"simulate", "--out", dir, "--exp", "tstx00517", "--run", "3", "--det-type", "epix10ka", "--name", "quad",
		"--panels", "4", "--rows", "20", "--cols", "40", "--events", "6", "--gain-modes", "FH,FM", "--streams", "2", "--chunks", "2",
		"--seed", "7", "--begin", "2026-02-03T04:05:06Z", "--pedestal", "2000", "--sigma", "10", "--dead", "1", "--hot", "2", "--noisy", "3",
		"--saturated", "4", "--cold", "2", "--missing-panel", "1", "--lost-events", "2", "--damaged-events", "1", "--no-endrun"}
	code, stdout, stderr := call(t, append(args, "--json")...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var shown simulate.Truth
	if err := json.Unmarshal([]byte(stdout), &shown); err != nil {
		t.Fatal(err)
	}
	truth, err := simulate.ReadTruth(filepath.Join(dir, "tstx00517-r0003-truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := truth.Config
	if c.Detector != "quad" || c.Type != "epix10ka" || c.Run != 3 || c.Events != 6 || c.Steps != 2 || c.Seed != 7 || c.Rows != 20 || c.Cols != 40 ||
		c.Pedestal != 2000 || c.Sigma != 10 || c.Begin.Format("20060102150405") != "20260203040506" || !c.NoEndRun || c.LostEvents != 2 || c.DamagedEvents != 1 ||
		len(truth.Files) != 4 || len(truth.Panels) != 4 || !truth.Panels[1].Missing {
		t.Errorf("truth %+v", truth)
	}
	counts := map[string]int{}
	for _, x := range truth.Panels[3].Planted {
		counts[x.GainMode+" "+x.Kind] = len(x.Pixels)
	}
	for kind, n := range map[string]int{"dead": 1, "hot": 2, "noisy": 3, "saturated": 4, "cold": 2} {
		for _, mode := range []string{"FH ", "FM "} {
			if counts[mode+kind] != n {
				t.Errorf("%s%s: %d pixels, want %d", mode, kind, counts[mode+kind], n)
			}
		}
	}
	if len(shown.Panels) != 4 || shown.Config.Seed != 7 {
		t.Errorf("shown %+v", shown)
	}
	if code, _, stderr := call(t, args...); code != int(fault.Usage) || !strings.Contains(stderr, "exists") {
		t.Errorf("the same again: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := call(t, "simulate", "--out", dir, "extra"); code != int(fault.Usage) || !strings.Contains(stderr, "extra") {
		t.Errorf("a word too much: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := call(t, "simulate"); code != int(fault.Usage) || !strings.Contains(stderr, "out") {
		t.Errorf("no folder: exit code %d, %s", code, stderr)
	}
	code, stdout, _ = call(t, "simulate", "--out", dir, "--run", "4", "--rows", "20", "--cols", "20", "--events", "1", "--dead", "2", "--missing-panel", "1")
	if code != 0 || !strings.Contains(strings.Join(strings.Fields(stdout), " "), " g0 dead 2 2 segments that send nothing: 1 2 panels") ||
		!strings.Contains(stdout, "r0004-truth.json") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
}
