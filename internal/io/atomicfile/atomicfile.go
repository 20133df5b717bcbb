package atomicfile

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

const (
	defaultMode = 0o664
	bufferSize  = 1 << 18
	// maxStem bounds the part of a temporary name that is taken from the final name: a name may have
	// 255 bytes, and the decoration needs 22 of them.
	maxStem = 200
)

// Options say how a file becomes visible. The zero value is the common case.
type Options struct {
	// Mode is the permission the file gets, whatever the umask; 0 means 0664.
	Mode fs.FileMode
	// Gid is the group the file should belong to. A refusal of the system is not an error.
	Gid *int
	// Keep takes mode, owner and group of the file that is replaced, if there is one. Owner and group
	// as far as the system allows.
	Keep bool
	// Exclusive refuses to replace: if the file exists the error is fs.ErrExist.
	Exclusive bool
	// Verify looks at the complete temporary file before it becomes visible; its error stops that.
	Verify func(tmpPath string) error
}

// Write lets write produce the content of path and makes it visible at once when everything has
// succeeded. On an error, and on a panic of write or of opt.Verify, path is as before and no temporary
// is left. A symbolic link at path is replaced, not followed.
func Write(path string, opt Options, write func(io.Writer) error) (err error) {
	if opt.Exclusive {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("atomicfile: could not create %q: %w", path, fs.ErrExist)
		}
	}
	f, err := createTemp(path)
	if err != nil {
		return fmt.Errorf("atomicfile: could not create a temporary for %q: %w", path, err)
	}
	tmp := f.Name()
	visible := false
	defer func() {
		if !visible {
			f.Close() // closed already unless writing failed; its error has been reported then
			os.Remove(tmp)
		}
	}()
	if err := fill(f, path, opt, write); err != nil {
		return fmt.Errorf("atomicfile: could not write %q: %w", path, err)
	}
	if opt.Verify != nil {
		if err := opt.Verify(tmp); err != nil {
			return fmt.Errorf("atomicfile: %q is not as it should be before it becomes visible: %w", path, err)
		}
	}
	if opt.Exclusive {
		if err := link(tmp, path); err != nil {
			return fmt.Errorf("atomicfile: could not create %q: %w", path, err)
		}
		os.Remove(tmp) // the file has both names now; a temporary that stays is swept as stale
	} else if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("atomicfile: could not replace %q: %w", path, err)
	}
	visible = true
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("atomicfile: %q is written, but its folder could not be synced: %w", path, err)
	}
	return nil
}

// WriteFile is Write for content in memory.
func WriteFile(path string, opt Options, content []byte) error {
	return Write(path, opt, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(content))
		return err
	})
}

// fill writes, sets mode and owner, syncs and closes.
func fill(f *os.File, path string, opt Options, write func(io.Writer) error) error {
	w := bufio.NewWriterSize(f, bufferSize)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	mode := opt.Mode.Perm()
	if mode == 0 {
		mode = defaultMode
	}
	uid, gid := -1, -1
	if opt.Gid != nil {
		gid = *opt.Gid
	}
	if opt.Keep {
		if old, err := os.Stat(path); err == nil {
			mode = old.Mode().Perm()
			if st, ok := old.Sys().(*syscall.Stat_t); ok {
				uid, gid = int(st.Uid), int(st.Gid)
			}
		}
	}
	chown(f.Chown, uid, gid)
	// After chown, which may clear bits.
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// chown changes owner and group as far as allowed: a user may give a file to a group of theirs, but
// not to another owner.
func chown(change func(uid, gid int) error, uid, gid int) {
	if uid < 0 && gid < 0 {
		return
	}
	if change(uid, gid) != nil && uid >= 0 && gid >= 0 {
		_ = change(-1, gid)
	}
}

var tempName = regexp.MustCompile(`^\..+\.tmp-[0-9a-f]{16}$`)

func createTemp(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	if len(base) > maxStem {
		base = base[:maxStem]
	}
	for try := 0; ; try++ {
		var random [8]byte
		for i, r := 0, rand.Uint64(); i < len(random); i, r = i+1, r>>8 {
			random[i] = byte(r)
		}
		name := dir + "." + base + ".tmp-" + hex.EncodeToString(random[:])
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) && try < 100 {
			continue
		}
		return f, err
	}
}

// link gives tmp its final name unless that exists. A network file system may report "exists" for a
// link that it has made itself when the first answer got lost; then the names are the same file.
func link(tmp, path string) error {
	err := os.Link(tmp, path)
	if errors.Is(err, fs.ErrExist) {
		a, errA := os.Lstat(tmp)
		b, errB := os.Lstat(path)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return nil
		}
	}
	return err
}

// syncDir makes a new name survive a stop of the machine. File systems that cannot sync a folder say
// EINVAL or ENOTSUP; there is nothing more one can do on them.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// MkdirAll makes a directory and its missing parents. Each one that it makes gets exactly mode
// whatever the umask, in Unix notation (0o2775 includes the set-group-id bit), and the group gid if
// the system allows. Directories that exist, also because another process was faster, stay as they are.
func MkdirAll(path string, mode uint32, gid *int) error {
	if st, err := os.Stat(path); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("atomicfile: could not make folder %q: %w", path, syscall.ENOTDIR)
		}
		return nil
	}
	path = filepath.Clean(path)
	if parent := filepath.Dir(path); parent != path {
		if err := MkdirAll(parent, mode, gid); err != nil {
			return err
		}
	}
	perm := fs.FileMode(mode).Perm()
	err := os.Mkdir(path, perm)
	if errors.Is(err, fs.ErrExist) {
		if st, errStat := os.Stat(path); errStat == nil && st.IsDir() {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("atomicfile: could not make folder %q: %w", path, err)
	}
	if gid != nil {
		chown(func(u, g int) error { return os.Chown(path, u, g) }, -1, *gid)
	}
	if mode&syscall.S_ISGID != 0 {
		perm |= fs.ModeSetgid
	}
	if err := os.Chmod(path, perm); err != nil {
		return fmt.Errorf("atomicfile: could not set the mode of folder %q: %w", path, err)
	}
	return nil
}

// RemoveStale removes the temporaries in a folder that no writer has touched for longer than
// olderThan, and says how many. Files that vanish meanwhile are no error.
func RemoveStale(dir string, olderThan time.Duration) (removed int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("atomicfile: could not look for stale temporaries in %q: %w", dir, err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !tempName.MatchString(e.Name()) {
			continue
		}
		st, errStat := e.Info()
		if errStat != nil || time.Since(st.ModTime()) <= olderThan {
			continue
		}
		switch errRemove := os.Remove(filepath.Join(dir, e.Name())); {
		case errRemove == nil:
			removed++
		case !errors.Is(errRemove, fs.ErrNotExist) && err == nil:
			err = fmt.Errorf("atomicfile: could not remove a stale temporary: %w", errRemove)
		}
	}
	return removed, err
}
