package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"rawstatus/internal/config"
	"rawstatus/internal/shard/slurm"
)

// TestWaitForPerson asks a mergedeploy that has no ticket, one that has, and none where nothing is written
// into the database.
func TestWaitForPerson(t *testing.T) {
	words := []string{"deploy", "--exp", "tstx00117", "--run", "5", "--det", "jungfrau", "--dir", "/raw", "--repository", "/constants", "--automatic", "--deploy", "--max-bad=0.1"}
	program := func(script string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "mergedeploy"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, "rawstatus")
	}
	const refuse = `[ "$*" = "privilege --exp tstx00117" ] || exit 1; echo "no ticket" >&2; exit 2`
	for _, c := range []struct {
		name   string
		script string
		words  []string
		waits  bool
	}{
		{"no ticket", refuse, words, true},
		{"ticket", "exit 0", words, false},
		{"directory", refuse, append(slices.Clone(words), "--calib-dir", "/calib"), false},
		{"directory asked for", refuse, append(slices.Clone(words), "--backend=calibdir"), false},
		{"LCLS-I", refuse, []string{"deploy", "--det", "XppGon.0:Epix100a.1"}, false},
		{"merge", refuse, []string{"merge", "--det", "jungfrau"}, false},
		{"nothing", refuse, nil, false},
	} {
		var log bytes.Buffer
		e := &environment{Log: logrus.New(), Site: &config.Site{}}
		e.Log.SetOutput(&log)
		r := slurm.Request{Deploy: c.words, Program: program(c.script)}
		waitForPerson(t.Context(), e, &r)
		if !c.waits {
			if r.Waiting != "" || !slices.Equal(r.Deploy, c.words) || log.Len() > 0 {
				t.Errorf("%s: waiting %q, jobs do %q", c.name, r.Waiting, r.Deploy)
			}
			continue
		}
		if want := []string{"merge", "--exp", "tstx00117", "--run", "5", "--det", "jungfrau", "--dir", "/raw", "--repository", "/constants"}; !slices.Equal(r.Deploy, want) {
			t.Errorf("%s: jobs do %q", c.name, r.Deploy)
		}
		if !strings.Contains(r.Waiting, "mergedeploy deploy --exp tstx00117") || strings.Contains(r.Waiting, "--automatic") || !strings.Contains(r.Waiting, "--deploy --max-bad=0.1") ||
			!strings.Contains(log.String(), "no ticket") || !strings.Contains(log.String(), r.Waiting) {
			t.Errorf("%s: waiting for %q, log %s", c.name, r.Waiting, &log)
		}
	}
}
