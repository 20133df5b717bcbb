package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestSmallRunIsMeasuredAndComparedWithItself runs the whole program on a small run and compares the result with itself.
func TestSmallRunIsMeasuredAndComparedWithItself(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	// A shell of psana's leads to a place that must stay empty.
	trap := t.TempDir()
	logs := filepath.Join(trap, "detector", "logs", "atstart")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SIT_ROOT", "SIT_PSDM_DATA", "RAWSTATUS_REPOSITORY", "RAWSTATUS_CALIB_DIR"} {
		t.Setenv(name, trap)
	}
	t.Setenv("RAWSTATUS_SITE", filepath.Join(trap, "site.toml"))
	dir := t.TempDir()
	file := filepath.Join(dir, "results.json")
	var out, complaints bytes.Buffer
	args := []string{"run", "--size", "128MiB", "--numpy", "4MiB", "--ram", "64", "--reps", "1", "--command-panels", "1", "--command-events", "6", "--scratch", dir, "--json", file}
	if code := run(context.Background(), args, &out, &complaints); code != 0 {
		t.Fatalf("exit code %d: %s", code, complaints.String())
	}
	for _, want := range []string{kernelCache, kernelRAM, e2e, storeGroup, "dark plain loop", "feature 6", "memory of dark, cached", "indexing share", commandsGroup, "big: mergedeploy -D, CPU ms per unit", "small: run dark, written per unit", "big: run features, wall / dd", "big: run max, memory", "numpy", "marks"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the output:\n%s", want, out.String())
		}
	}
	if entries, err := os.ReadDir(logs); err != nil || len(entries) > 0 {
		t.Errorf("the shell's place of logs holds %v, %v", entries, err)
	}
	out.Reset()
	if code := run(context.Background(), []string{"compare", file, file}, &out, &complaints); code != 0 || !strings.Contains(out.String(), "1.00") {
		t.Errorf("compare: exit code %d: %s%s", code, out.String(), complaints.String())
	}
}

func TestWrongCallsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"walk"}, {"run", "--size", "8 apples"}, {"run", "--size", "1MiB"}, {"compare", "a"}, {"compare", "a", "b"}, {"--reps", "0"}} {
		var out, complaints bytes.Buffer
		if code := run(context.Background(), append(args, "--scratch", t.TempDir())[:len(args)], &out, &complaints); code == 0 || complaints.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, complaints.String())
		}
	}
}

func TestTransferCopiesEveryByte(t *testing.T) {
	src, dst := make([]byte, 1000), make([]byte, 1000)
	for i := range src {
		src[i] = byte(i * 7)
	}
	for from := range 40 {
		for _, n := range []int{0, 1, 31, 127, 128, 129, 600} {
			clear(dst)
			transfer(dst[from:from+n], src[3:3+n])
			if !bytes.Equal(dst[from:from+n], src[3:3+n]) || dst[from+n] != 0 || from > 0 && dst[from-1] != 0 {
				t.Fatalf("%d bytes at %d", n, from)
			}
		}
	}
}
