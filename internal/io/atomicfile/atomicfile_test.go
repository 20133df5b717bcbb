package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/fault"
)

const slowWriterEnv = "RAWSTATUS_TEST_ATOMICFILE_SLOW"

// TestMain turns the test binary into a writer that never ends, for TestKilledWriterLeavesTheOldFile.
func TestMain(m *testing.M) {
	if path := os.Getenv(slowWriterEnv); path != "" {
		err := Write(path, Options{}, func(w io.Writer) error {
			chunk := bytes.Repeat([]byte("new "), bufferSize)
			if _, err := w.Write(chunk); err != nil {
				return err
			}
			fmt.Println("half written")
			for {
				time.Sleep(time.Hour)
			}
		})
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// content reads a file; a missing file is the empty string.
func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("folder has %q, want %q", got, want)
	}
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := st.Mode() &^ fs.ModeDir; got != want {
		t.Errorf("%s: mode %v, want %v", filepath.Base(path), got, want)
	}
}

// withUmask runs f under a umask. The umask belongs to the process: no parallel tests here.
func withUmask(mask int, f func()) {
	old := syscall.Umask(mask)
	defer syscall.Umask(old)
	f()
}

func TestNewFilesHaveTheirModeWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		withUmask(mask, func() {
			dir := t.TempDir()
			for _, c := range []struct {
				name string
				opt  Options
				want fs.FileMode
			}{
				{"default", Options{}, 0o664},
				{"given", Options{Mode: 0o640}, 0o640},
				{"wide", Options{Mode: 0o666}, 0o666},
			} {
				path := filepath.Join(dir, c.name)
				if err := WriteFile(path, c.opt, []byte(c.name)); err != nil {
					t.Fatal(err)
				}
				if got := content(t, path); got != c.name {
					t.Errorf("content %q, want %q", got, c.name)
				}
				wantMode(t, path, c.want)
			}
			wantNames(t, dir, "default", "given", "wide")
		})
	}
}

func TestKeepTakesModeOfReplacedFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "HISTORY")
	gid := os.Getgid()
	if err := WriteFile(path, Options{Mode: 0o606, Gid: &gid}, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, Options{Mode: 0o664, Keep: true}, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "new" {
		t.Errorf("content %q, want new", got)
	}
	wantMode(t, path, 0o606)
	fresh := filepath.Join(dir, "fresh")
	if err := WriteFile(fresh, Options{Mode: 0o604, Keep: true}, nil); err != nil {
		t.Fatal(err)
	}
	wantMode(t, fresh, 0o604)
}

func TestFailuresLeaveNothing(t *testing.T) {
	broken := errors.New("broken")
	half := func(w io.Writer) { // more than the buffer, so that bytes reach the disk
		if _, err := w.Write(bytes.Repeat([]byte{'x'}, 3*bufferSize)); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name  string
		opt   Options
		write func(io.Writer) error
		code  fault.Code
		is    error
	}{
		{"writer fails", Options{}, func(w io.Writer) error { half(w); return broken }, fault.Unexpected, broken},
		{"disk full", Options{}, func(w io.Writer) error {
			half(w)
			return &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
		}, fault.Temporary, syscall.ENOSPC},
		{"verify fails", Options{Verify: func(string) error { return broken }},
			func(w io.Writer) error { half(w); return nil }, fault.Unexpected, broken},
		{"verify has a class", Options{Verify: func(string) error { return fault.New(fault.Input, "no") }},
			func(w io.Writer) error { return nil }, fault.Input, nil},
		{"exists", Options{Exclusive: true}, func(w io.Writer) error { return nil }, fault.Unexpected, fs.ErrExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f.data")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Write(path, c.opt, c.write)
			if err == nil || !strings.Contains(err.Error(), "f.data") {
				t.Fatalf("error %v, want one that names the file", err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v is not %v", err, c.is)
			}
			if got := fault.CodeOf(err); got != c.code {
				t.Errorf("code %d, want %d", got, c.code)
			}
			if got := content(t, path); got != "old" {
				t.Errorf("content %q, want old", got)
			}
			wantNames(t, dir, "f.data")
		})
	}
}

func TestPanicLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = Write(filepath.Join(dir, "f"), Options{}, func(w io.Writer) error { panic("boom") })
	}()
	wantNames(t, dir)
}

func TestMissingFolderIsAnError(t *testing.T) {
	err := WriteFile(filepath.Join(t.TempDir(), "none", "f"), Options{}, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want %v", err, fs.ErrNotExist)
	}
}

func TestVerifySeesWholeFileBeforeItIsVisible(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	called := false
	err := WriteFile(path, Options{Verify: func(tmp string) error {
		called = true
		if got := content(t, tmp); got != "whole" {
			t.Errorf("temporary has %q, want whole", got)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("visible too early: %v", err)
		}
		if filepath.Dir(tmp) != dir || !tempName.MatchString(filepath.Base(tmp)) {
			t.Errorf("temporary is %q", tmp)
		}
		return nil
	}}, []byte("whole"))
	if err != nil || !called {
		t.Fatalf("error %v, verified %v", err, called)
	}
}

func TestExclusiveHasOneWinner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	const n = 16
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			err := Write(path, Options{Exclusive: true}, func(w io.Writer) error {
				<-start // all have passed the early look before the first link is made
				_, err := io.WriteString(w, "mine")
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.Is(err, fs.ErrExist):
				lost++
			default:
				t.Error(err)
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	close(start)
	wg.Wait()
	if won != 1 || lost != n-1 {
		t.Errorf("%d won, %d lost; want 1 and %d", won, lost, n-1)
	}
	wantNames(t, dir, "lock")
}

func TestLongestNamesAreWritten(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("n", 255)
	if err := WriteFile(filepath.Join(dir, name), Options{}, []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, name)
}

func TestKilledWriterLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "status.dat")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), slowWriterEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 100)); err != nil { // "half written"
		t.Error(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // says that it was killed
	if got := content(t, path); got != "old" {
		t.Errorf("a killed writer changed the file to %.20q", got)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Fatalf("%d files, want the old one and a temporary", len(entries))
	}
	if n, err := RemoveStale(dir, time.Hour); n != 0 || err != nil {
		t.Errorf("removed %d fresh temporaries (%v)", n, err)
	}
	if n, err := RemoveStale(dir, 0); n != 1 || err != nil {
		t.Errorf("removed %d temporaries (%v), want 1", n, err)
	}
	wantNames(t, dir, "status.dat")
}

func TestRemoveStaleSparesOthers(t *testing.T) {
	dir := t.TempDir()
	names := []string{".a.tmp-0123456789abcdeg", ".b.tmp-123", ".hidden", "x.tmp-0123456789abcdef"}
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := RemoveStale(dir, 0); n != 0 || err != nil {
		t.Errorf("removed %d (%v)", n, err)
	}
	wantNames(t, dir, names...)
	if _, err := RemoveStale(filepath.Join(dir, "none"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	withUmask(0o077, func() {
		root := t.TempDir()
		gid := os.Getgid()
		path := filepath.Join(root, "a", "b", "c")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := MkdirAll(path, 0o2775, &gid); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for p := path; p != root; p = filepath.Dir(p) {
			wantMode(t, p, 0o775|fs.ModeSetgid)
		}
		wantMode(t, root, 0o700) // t.TempDir under this umask: not ours, not touched
		if err := MkdirAll(path, 0o700, nil); err != nil {
			t.Error(err)
		}
		wantMode(t, path, 0o775|fs.ModeSetgid)
		file := filepath.Join(root, "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{file, filepath.Join(file, "x")} {
			if err := MkdirAll(p, 0o775, nil); !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("%s: error %v, want %v", p, err, syscall.ENOTDIR)
			}
		}
	})
}

func TestLinkReplacesThePathAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	file, path := filepath.Join(dir, "file"), filepath.Join(dir, "path")
	if err := Link(path, file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("link to nothing: %v", err)
	}
	for _, text := range []string{"one", "one", "two"} { // twice to the same file, then to another one
		if err := WriteFile(file, Options{}, []byte(text)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := Link(path, file); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v, wanted %q", got, err, text)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left are %v, %v", left, err)
	}
}
