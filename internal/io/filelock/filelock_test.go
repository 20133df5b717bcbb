package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
)

var policy = &access.Policy{DirMode: 0o2775, FileMode: 0o664}

func TestBusyNamesTheHolder(t *testing.T) {
	dir := t.TempDir()
	lock, err := Acquire(t.Context(), dir, time.Second, policy)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(t.Context(), dir, 10*time.Millisecond, policy)
	if fault.CodeOf(err) != fault.Busy || !strings.Contains(err.Error(), "by "+access.Login()+"@"+access.Host()+" pid ") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Acquire(ctx, dir, time.Minute, policy); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while cancelled: %v", err)
	}
	lock.Release()
	if lock, err = Acquire(t.Context(), dir, time.Second, policy); err != nil {
		t.Fatal(err)
	}
	lock.Release()
	// A lock left behind by a dead holder is taken over.
	if st, err := os.Stat(filepath.Join(dir, Name)); err != nil || st.Mode().Perm() != 0o664 || st.Size() == 0 {
		t.Errorf("lock file %v, %v", st, err)
	}
}

// TestOneAtATime lets many count in a file that only the lock protects.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	counter := filepath.Join(dir, "n")
	if err := os.WriteFile(counter, nil, 0o664); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			lock, err := Acquire(t.Context(), dir, time.Minute, policy)
			if err != nil {
				t.Error(err)
				return
			}
			defer lock.Release()
			text, err := os.ReadFile(counter)
			if err == nil {
				time.Sleep(time.Millisecond)
				err = os.WriteFile(counter, append(text, 'x'), 0o664)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if text, err := os.ReadFile(counter); err != nil || len(text) != 20 {
		t.Errorf("counted to %d, %v", len(text), err)
	}
}

func TestNoLockIsTakenThroughALink(t *testing.T) {
	dir, target := t.TempDir(), filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(target, []byte("keep"), 0o664); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(t.Context(), dir, time.Second, policy); err == nil {
		t.Error("a lock was taken through a link")
	}
	if text, _ := os.ReadFile(target); string(text) != "keep" {
		t.Errorf("the target of the link has %q", text)
	}
}

// TestFileSystemWithoutLocksIsAConfiguration is on a file system without locks: a configuration of the site, not a defect of the program.
func TestFileSystemWithoutLocksIsAConfiguration(t *testing.T) {
	defer func(old func(int, int) error) { flock = old }(flock)
	for _, no := range []syscall.Errno{syscall.ENOSYS, syscall.ENOLCK, syscall.ENOTSUP, syscall.EINVAL} {
		flock = func(int, int) error { return no }
		_, err := Acquire(t.Context(), t.TempDir(), time.Second, policy)
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "flock") {
			t.Errorf("%v: %v, hint %q", no, err, fault.HintOf(err))
		}
	}
}
