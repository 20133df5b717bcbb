package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/compare"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/simulate"
)

// simulated writes a run of two small jungfrau panels and returns the flags that name it.
func simulated(t *testing.T) (dir string, flags []string) {
	t.Helper()
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	dir = t.TempDir()
	_, err := simulate.Write(context.Background(), simulate.Config{Dir: dir, Experiment: "tstx00117", Run: 5, Panels: 2, Rows: 32, Cols: 48,
		Events: 40, Dead: 3, Hot: 3, Noisy: 3, Saturated: 3, Cold: 3})
	if err != nil {
		t.Fatal(err)
	}
	return dir, []string{"--exp", "tstx00117", "--run", "5", "--dir", dir}
}

// must runs the program and wants an exit code.
func must(t *testing.T, code fault.Code, args ...string) (stdout string) {
	t.Helper()
	got, stdout, stderr := call(t, args...)
	if got != int(code) {
		t.Fatalf("%v: exit code %d, wanted %d\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout
}

// decode reads what a command printed with --json.
func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// TestOtherRulesWithoutRawData removes the raw data, shows and writes other limits, and compares with a
// run that had them from the beginning.
func TestOtherRulesWithoutRawData(t *testing.T) {
	raw, data := simulated(t)
	dir := t.TempDir()
	repo, work, fresh := filepath.Join(dir, "repo"), filepath.Join(dir, "work"), filepath.Join(dir, "fresh")
	job := append([]string{"run"}, data...)
	must(t, fault.OK, append(job, "-o", repo, "--work", work)...)
	must(t, fault.OK, append(job, "-o", fresh, "--work", filepath.Join(dir, "work2"), "--rms-hi", "17.5", "--limits", "robust")...)
	if err := os.RemoveAll(raw); err != nil {
		t.Fatal(err)
	}
	same := []string{"diff", "-o", repo, "--other-repository", fresh, "--exp", "tstx00117", "--run", "5"}
	before := decode[compare.Result](t, must(t, fault.Different, append(same, "--json")...))
	rules := []string{"--work", work, "--set", "rms_hi=17.5", "--set", "limits=robust"}
	shown := must(t, fault.OK, append([]string{"reeval"}, rules...)...)
	for _, want := range []string{"rms_hi = 17.5 (plan: 16000)", "limits = robust (plan: mean)", "segment 1 g0: ", "in total: ",
		fmt.Sprintf("%d newly bad, %d newly good of %d pixels", before.Total.NewlyBad, before.Total.NewlyGood, 2*32*48)} {
		if !strings.Contains(shown, want) {
			t.Errorf("reeval lacks %q:\n%s", want, shown)
		}
	}
	must(t, fault.Different, same...) // nothing was written
	sum := decode[reduce.Summary](t, must(t, fault.OK, append(append([]string{"reduce"}, rules...), "-o", repo, "--json")...))
	if len(sum.Changes) != 2 || sum.Params.RmsHi != 17.5 || sum.Params.Limits != "robust" {
		t.Errorf("summary has %+v", sum)
	}
	must(t, fault.OK, same...)
	logs, err := filepath.Glob(filepath.Join(repo, "jungfrau", "logs", "*", "*"))
	if err != nil || len(logs) < 1 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	text, err := os.ReadFile(logs[len(logs)-1])
	if err != nil || !strings.Contains(string(text), `"rms_hi":17.5`) || !strings.Contains(string(text), "newly bad") {
		t.Errorf("the log lacks parameters or difference: %v\n%s", err, text)
	}
	must(t, fault.OK, "reduce", "--work", work, "-o", repo)
	after := decode[compare.Result](t, must(t, fault.Different, append(same, "--json")...))
	if fmt.Sprint(after.Total) != fmt.Sprint(before.Total) {
		t.Errorf("reduce without --set does not bring the plan's rules back: %v, wanted %v", after.Total, before.Total)
	}
}

func TestScanCountsBadPixelsAgainstAThreshold(t *testing.T) {
	_, data := simulated(t)
	dir := t.TempDir()
	work := filepath.Join(dir, "work")
	sum := decode[reduce.Summary](t, must(t, fault.OK, append(append([]string{"run"}, data...), "-o", filepath.Join(dir, "repo"), "--work", work, "--json")...))
	list := decode[[]reduce.Scanned](t, must(t, fault.OK, "scan", "--work", work, "--rule", "rms_max", "--from", "10", "--to", "16000", "--steps", "2", "--json"))
	if len(list) != 1 || len(list[0].Points) != 3 || list[0].Points[0].Bad <= sum.Groups[0].Bad || list[0].Points[2].Threshold != 16000 {
		t.Errorf("scan: %+v", list)
	}
	text := must(t, fault.OK, "scan", "--work", work, "--rule", "fraclm", "--from", "0", "--to", "1", "--steps", "4", "--set", "rms_hi=100")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 7 || !strings.HasPrefix(lines[0], "fraclm, now 0.1, gain mode g0, steps 0") || !strings.Contains(lines[1], "INT_HIGH") {
		t.Errorf("scan as text:\n%s", text)
	}
	for _, args := range [][]string{
		{"scan", "--work", work, "--rule", "int_hi"}, {"scan", "--work", work, "--rule", "snrmax", "--set", "nothing"}, {"scan", "--work", work},
		{"reeval", "--work", work, "--set", "no_such_rule=1"}, {"reeval", "--work", work, "--set", "int_lo=1"}, {"reeval", "--work", work, "--set", "rms_hi=inf"},
		{"reeval", "--work", work, "--set", "rms_lo=99999"}, {"reeval", "--work", work, "--set", "limits=guess"}, {"reeval", "--work", work, "--set", "gain_rule=sometimes"},
		{"reeval", "--work", work, "--set", "min_frames=2.5"}, {"reeval", "--work", dir},
	} {
		must(t, fault.Usage, args...)
	}
	if _, _, stderr := call(t, "reeval", "--work", work, "--set", "no_such_rule=1"); !strings.Contains(stderr, "rms_hi") {
		t.Errorf("an unknown rule does not list the rules: %s", stderr)
	}
	if _, _, stderr := call(t, "reeval", "--work", work, "--set", "int-lo=1"); !strings.Contains(stderr, "raw data must be read again") {
		t.Errorf("a parameter of the selection: %s", stderr)
	}
}

// TestLimitsAndHintsByFlag judges a panel of four chips by robust limits per chip, with hints.
func TestLimitsAndHintsByFlag(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	dir := t.TempDir()
	data := filepath.Join(dir, "raw")
	_, err := simulate.Write(context.Background(), simulate.Config{Dir: data, Experiment: "tstx00117", Run: 5, Type: "epix10ka", Panels: 1, Events: 8, Noisy: 9})
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	sum := decode[reduce.Summary](t, must(t, fault.OK, "run", "--exp", "tstx00117", "--run", "5", "--dir", data, "-o", filepath.Join(dir, "repo"), "--work", work,
		"--limits", "robust", "--limits-per", "asic", "--line-fraction", "0.9", "--asic-fraction", "0.9", "--neighbours", "8", "--json"))
	corners := map[[2]int]int{}
	for _, l := range sum.Groups[0].Limits {
		corners[[2]int{l.Row, l.Col}]++
	}
	if len(corners) != 4 || corners[[2]int{176, 192}] != 2 {
		t.Errorf("limits of %v, wanted rms and average of 4 chips", corners)
	}
	bits := map[string]int{}
	for _, b := range sum.Groups[0].Bits {
		bits[b.Name] = b.Count
	}
	if bits["RMS_HIGH"] < 9 || bits["ROW_COL"] < 3*9 || bits["ASIC"] > 0 {
		t.Errorf("bits %v", bits)
	}
	off := decode[reduce.Summary](t, must(t, fault.OK, "reeval", "--work", work, "--set", "neighbours=0", "--json"))
	if d := off.Changes[0].Diff; d.NewlyGood != bits["ROW_COL"] || d.NewlyBad != 0 {
		t.Errorf("without neighbours: %v", d)
	}
	all := decode[reduce.Summary](t, must(t, fault.OK, "reeval", "--work", work, "--set", "rms-hi=1", "--set", "neighbours=0", "--json"))
	gained := map[string]int{}
	for _, b := range all.Changes[0].Diff.Bits {
		gained[b.Name] = b.Gained
	}
	if gained["ROW_COL"] != 352*384-bits["ROW_COL"] || gained["ASIC"] != 352*384 {
		t.Errorf("with all pixels noisy: %v", all.Changes[0].Diff)
	}
	if all.Groups[0].Bad != 352*384 {
		t.Errorf("%d bad pixels, wanted all", all.Groups[0].Bad)
	}
}
