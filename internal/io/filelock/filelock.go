package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
)

// Name is the lock file of a directory. The readers of calibration directories look only at names that
// end in .data and those of the repository only at .txt, .dat and .data.
const Name = ".lock"

// Lock is a lock held.
type Lock struct{ f *os.File }

// Acquire locks a directory by its lock file, which is made if necessary. When another process holds the
// lock for longer than wait the error is of class fault.Busy and names the holder.
func Acquire(ctx context.Context, dir string, wait time.Duration, p *access.Policy) (*Lock, error) {
	path := filepath.Join(dir, Name)
	f, err := p.Open(path, os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("could not open the lock of %q: %w", dir, err)
	}
	if err := Hold(ctx, f, wait); err != nil {
		f.Close()
		return nil, err
	}
	// The record is informational, for people who wait; write errors are ignored.
	if f.Truncate(0) == nil {
		fmt.Fprintf(f, "%s@%s pid %d since %s\n", access.Login(), access.Host(), os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	}
	return &Lock{f}, nil
}

// Release frees the lock.
func (l *Lock) Release() { l.f.Close() }

// flock is a system call that some file systems do not have.
var flock = syscall.Flock

// Hold locks an open file until it is closed.
func Hold(ctx context.Context, f *os.File, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fault.New(fault.Usage, "the file system of %q does not lock files: %w", f.Name(), err).
				WithHint("mount it with locks for the whole cluster (Lustre: -o flock, NFS: without nolock), or use a directory on another file system")
		case time.Now().After(deadline):
			return fault.New(fault.Busy, "%q has been locked for more than %s%s", f.Name(), wait, holder(f)).
				WithHint("wait for the other process, or look whether it hangs; its lock ends with it")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("could not wait for the lock %q: %w", f.Name(), ctx.Err())
		case <-time.After(pause):
		}
	}
}

// holder describes the process that wrote the record in a lock file.
func holder(f *os.File) string {
	if filepath.Base(f.Name()) != Name {
		return ""
	}
	b := make([]byte, 200)
	n, _ := f.ReadAt(b, 0)
	line, _, _ := strings.Cut(string(b[:n]), "\n")
	if line == "" {
		return ""
	}
	return " by " + line
}
