package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
)

// TestWrongCallsOfRun: each is refused before anything is written, with words that tell what is wrong.
func TestWrongCallsOfRun(t *testing.T) {
	data := t.TempDir()
	if code, _, stderr := call(t, "simulate", "--out", filepath.Join(data, "lcls1"), "--format", "xtc1", "-n", "3", "--quiet"); code != 0 {
		t.Fatal(stderr)
	}
	cut := filepath.Join(data, "cut.xtc")
	files, err := filepath.Glob(filepath.Join(data, "lcls1", "*.xtc"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(data, "empty.xtc2")
	for path, b := range map[string][]byte{cut: whole[:200], empty: nil} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args  []string
		code  fault.Code
		words []string
	}{
		"way of reading": {[]string{"--file", files[0], "--read", "fast"}, fault.Usage, []string{`"fast"`, "cached, direct"}},
		"empty file":     {[]string{"--file", empty}, fault.Input, []string{empty, "is empty", "copied"}},
		"cut Configure":  {[]string{"--file", cut}, fault.Input, []string{cut, "byte 0x0", "got 200 left", "cut or damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, _, stderr := call(t, append([]string{"run", "--exp", "tstx00417", "-o", out, "--work", filepath.Join(out, "work")}, c.args...)...)
			if code != int(c.code) {
				t.Errorf("exit code %d, want %d: %s", code, c.code, stderr)
			}
			for _, w := range c.words {
				if !strings.Contains(stderr, w) {
					t.Errorf("%q is not in: %s", w, stderr)
				}
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("something was written")
			}
		})
	}
}
