package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
)

// TestReportsOfEveryKindTellWhatTheyMust makes every kind of report of a simulated run and looks for what it must tell; the same command makes the
// same bytes.
func TestReportsOfEveryKindTellWhatTheyMust(t *testing.T) {
	_, data := simulated(t)
	dir := t.TempDir()
	repo, work := filepath.Join(dir, "repo"), filepath.Join(dir, "work")
	must(t, fault.OK, append(append([]string{"run"}, data...), "-o", repo, "--work", work, "--report")...)
	page := read(t, filepath.Join(work, "report.html"))
	for _, want := range []string{"tstx00117 run 5 jungfrau", "bad pixels", "segment 1", "RMS_HIGH", "not compared", "limits", "average", "rms &gt;", "default-src 'none'"} {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
			t.Errorf("the report lacks %q", want)
		}
	}
	out := filepath.Join(dir, "again.html")
	must(t, fault.OK, "report", "--work", work, "--out", out)
	if read(t, out) != page {
		t.Error("the same report twice is not the same")
	}
	made := decode[struct {
		Path    string `json:"path"`
		Size    int64
		Verdict string
	}](t, must(t, fault.OK, "report", "--work", work, "--out", out, "--against", "5", "-o", repo, "--json"))
	if text := read(t, out); made.Path != out || made.Size != int64(len(text)) || !strings.Contains(text, "newly bad, <b class=\"gone\">−0</b> newly good against run 5") {
		t.Errorf("report against a run: %+v", made)
	}
	must(t, fault.OK, "report", "--work", work, "--out", out, "--segment", "1")
	if text := read(t, out); strings.Contains(text, "segment 0") || !strings.Contains(text, "segment 1") {
		t.Error("report of one panel")
	}
	must(t, fault.OK, "report", "-o", repo, "-e", "tstx00117", "-r", "5", "-d", "jungfrau", "--out", out)
	if text := read(t, out); !strings.Contains(text, "tstx00117 run 5 jungfrau") || !strings.Contains(text, "limits g0 rms") || strings.Contains(text, "id=\"histograms\"") {
		t.Error("report of the repository")
	}
	must(t, fault.OK, "report", "-o", repo, "-e", "tstx00117", "-r", "4-6", "--out", out)
	if text := read(t, out); !strings.Contains(text, "1 of 3 runs") {
		t.Error("report of runs")
	}
	if small := must(t, fault.OK, "report", "--work", work, "--out", out, "--max-size", "0.1"); strings.TrimSpace(small) != out {
		t.Errorf("path %q", small)
	}
	for _, c := range []struct {
		code fault.Code
		args []string
	}{
		{fault.Usage, []string{"report"}},
		{fault.Usage, []string{"report", "-e", "tstx00117", "-r", "5", "-o", repo}},
		{fault.Usage, []string{"report", "--work", work, "-r", "5"}},
		{fault.Usage, []string{"report", "--work", filepath.Join(dir, "nothing")}},
		{fault.Usage, []string{"report", "--work", work, "--segment", "7", "--out", out}},
		{fault.Usage, []string{"report", "--work", work, "--against", "4", "-o", repo}},
		{fault.Usage, []string{"report", "--work", work, "--max-size", "0"}},
		{fault.Input, []string{"report", "-o", repo, "-e", "tstx00117", "-r", "9", "--out", out}},
		{fault.Input, []string{"report", "-o", repo, "-e", "tstx00117", "-r", "5", "-d", "epix", "--out", out}},
		{fault.Input, []string{"report", "-o", repo, "-e", "tstx00117", "-r", "5", "-C", "status_max", "--out", out}},
		{fault.Usage, []string{"report", "-o", repo, "-e", "tstx00117", "-r", "4,5", "--against", "4", "--out", out}},
	} {
		must(t, c.code, c.args...)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, []byte("<!DOCTYPE html>")) {
		t.Fatalf("%s is no page", path)
	}
	return string(b)
}

// TestSiteFileSetsRules wants words of the site file to hold for their detector type, and flags to override them.
func TestSiteFileSetsRules(t *testing.T) {
	_, data := simulated(t)
	dir := t.TempDir()
	site := filepath.Join(dir, "site.toml")
	if err := os.WriteFile(site, []byte("[limits.jungfrau]\nlimits = \"robust\"\nlimits_per = \"asic\"\nprofile = \"dark\"\n[limits.epix10ka]\nlimits = \"mean\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plan := func(name string, more ...string) string {
		work := filepath.Join(dir, name)
		must(t, fault.OK, append(append([]string{"plan", "--site", site, "--work", work}, data...), more...)...)
		b, err := os.ReadFile(filepath.Join(work, "plan.json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, want := range []string{`"limits": "robust"`, `"limits_per": "asic"`, `"profile": "dark"`} {
		if text := plan("site"); !strings.Contains(text, want) && !strings.Contains(text, strings.ReplaceAll(want, ": ", ":")) {
			t.Errorf("the site file does not set %s", want)
		}
	}
	for _, want := range []string{`"limits": "mean"`, `"limits_per": "panel"`, `"profile": "data"`} {
		if text := plan("flags", "--limits", "mean", "--limits-per", "panel", "--profile", "data"); !strings.Contains(text, want) && !strings.Contains(text, strings.ReplaceAll(want, ": ", ":")) {
			t.Errorf("flags do not override with %s", want)
		}
	}
}
