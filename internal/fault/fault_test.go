package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPathsThatCannotBeAreNoDefects meets paths that cannot be: none is a defect of the program, and each has a hint.
func TestPathsThatCannotBeAreNoDefects(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	open := func(path string) error { _, err := os.Open(path); return err }
	write := func(path string) error { return os.WriteFile(path, nil, 0o600) }
	for name, err := range map[string]error{
		"absent":           open(filepath.Join(dir, "none")),
		"below a file":     write(filepath.Join(file, "x")),
		"folder":           write(dir),
		"loop":             open(loop),
		"long":             write(filepath.Join(dir, strings.Repeat("x", 300))),
		"below /proc":      os.Mkdir("/proc/x", 0o755),
		"file as a folder": os.Mkdir(filepath.Join(file, "x"), 0o755),
		"exists":           os.Mkdir(dir, 0o755),
		"over a folder":    os.Rename(file, dir),
		"permission":       &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES},
		"not permitted":    &os.LinkError{Op: "link", Old: "a", New: "b", Err: syscall.EPERM},
	} {
		err = fmt.Errorf("could not do it: %w", err)
		if CodeOf(err) != Input || HintOf(err) == "" {
			t.Errorf("%s: %v: code %d, hint %q", name, err, CodeOf(err), HintOf(err))
		}
	}
}

func TestCodesAndHints(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	for _, c := range []struct {
		err  error
		code Code
		hint string
	}{
		{nil, OK, ""},
		{errors.New("x"), Unexpected, ""},
		{context.Canceled, Interrupted, ""},
		{full, Temporary, makeRoom},
		{syscall.EDQUOT, Temporary, makeRoom},
		{New(Input, "a: %w", New(Usage, "b").WithHint("c")), Input, "c"},
		{New(Input, "a: %w", full), Temporary, makeRoom},
		{New(Usage, "a: %w", full).WithHint("own"), Temporary, makeRoom},
		{New(Incomplete, "a: %w", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}).WithHint("own"), Input, askOwner},
		{New(Usage, "a: %w", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}).WithHint("own"), Usage, "own"},
		{New(Refused, "a: %w", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}).WithHint("own"), Refused, "own"},
		{New(Unposted, "a: %w", syscall.ETIMEDOUT).WithHint("own"), Unposted, "own"},
		{syscall.EBADF, Unexpected, ""},
		{fmt.Errorf("call: %w", syscall.EINVAL), Unexpected, ""},
	} {
		if code, hint := CodeOf(c.err), HintOf(c.err); code != c.code || hint != c.hint {
			t.Errorf("%v: code %d, hint %q", c.err, code, hint)
		}
	}
	if m := Message(fmt.Errorf("could not write %q: %w", "a", full)); !strings.HasPrefix(m, "disk full: could not write") {
		t.Errorf("message %q", m)
	}
	if m := Message(errors.New("x")); m != "x" {
		t.Errorf("message %q", m)
	}
}
