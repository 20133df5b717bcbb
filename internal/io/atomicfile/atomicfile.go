package atomicfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
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

	"golang.org/x/sys/unix"
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
	dir, base := filepath.Dir(path), filepath.Base(path)
	root, err := openFolder(dir)
	if err != nil {
		return fmt.Errorf("atomicfile: could not create %q: %w", path, err)
	}
	defer root.Close()
	switch there, err := root.Lstat(base); {
	case err == nil && opt.Exclusive:
		return fmt.Errorf("atomicfile: could not create %q: %w", path, fs.ErrExist)
	case err == nil && there.IsDir():
		return fmt.Errorf("atomicfile: could not replace %q: %w", path, syscall.EISDIR)
	}
	f, tmp, err := createTemp(root, base)
	if err != nil {
		return fmt.Errorf("atomicfile: could not create a temporary for %q: %w", path, err)
	}
	visible := false
	defer func() {
		if !visible {
			f.Close() // closed already unless writing failed; its error has been reported then
			root.Remove(tmp)
		}
	}()
	if err := fill(f, root, base, opt, write); err != nil {
		return fmt.Errorf("atomicfile: could not write %q: %w", path, err)
	}
	if opt.Verify != nil {
		if err := opt.Verify(filepath.Join(dir, tmp)); err != nil {
			return fmt.Errorf("atomicfile: %q is not as it should be before it becomes visible: %w", path, err)
		}
	}
	if opt.Exclusive {
		if err := link(root, tmp, base); err != nil {
			return fmt.Errorf("atomicfile: could not create %q: %w", path, err)
		}
		root.Remove(tmp) // the file has both names now; a temporary that stays is swept as stale
	} else if err := root.Rename(tmp, base); err != nil {
		return fmt.Errorf("atomicfile: could not replace %q: %w", path, err)
	}
	visible = true
	if err := syncFolder(root); err != nil {
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
func fill(f *os.File, root *os.Root, base string, opt Options, write func(io.Writer) error) error {
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
		if old, err := root.Lstat(base); err == nil && old.Mode().IsRegular() {
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

// createTemp makes a temporary for a name in a folder.
func createTemp(root *os.Root, base string) (f *os.File, name string, err error) {
	for try := 0; ; try++ {
		name = tempFor(base)
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) && try < 100 {
			continue
		}
		return f, name, err
	}
}

// tempFor returns a temporary name for what will be called base.
func tempFor(base string) string {
	if len(base) > maxStem {
		base = base[:maxStem]
	}
	var random [8]byte
	binary.LittleEndian.PutUint64(random[:], rand.Uint64())
	return "." + base + ".tmp-" + hex.EncodeToString(random[:])
}

// link moves tmp to its final name unless that exists. A network file system may report "exists" for a
// link that it has made itself when the first answer got lost; then the names are the same file.
func link(root *os.Root, tmp, base string) error {
	err := root.Link(tmp, base)
	if errors.Is(err, fs.ErrExist) {
		a, errA := root.Lstat(tmp)
		b, errB := root.Lstat(base)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return nil
		}
	}
	return err
}

// Link adds the name path to a complete file; a file that has that name is replaced. The name is as durable as
// Write makes it. File systems without links, and another one than that of the file, are an error.
func Link(path, file string) error {
	root, err := openFolder(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("atomicfile: could not link %q: %w", path, err)
	}
	defer root.Close()
	base := filepath.Base(path)
	if a, err := os.Lstat(file); err == nil {
		if b, err := root.Lstat(base); err == nil && os.SameFile(a, b) {
			return nil
		}
	}
	tmp := tempFor(base)
	if err := os.Link(file, filepath.Join(filepath.Dir(path), tmp)); err != nil {
		return fmt.Errorf("atomicfile: could not link %q: %w", path, err)
	}
	if err := root.Rename(tmp, base); err != nil {
		root.Remove(tmp)
		return fmt.Errorf("atomicfile: could not replace %q: %w", path, err)
	}
	if err := syncFolder(root); err != nil {
		return fmt.Errorf("atomicfile: %q is linked, but its folder could not be synced: %w", path, err)
	}
	return nil
}

// syncFolder makes a new name survive a stop of the machine. File systems that cannot sync a folder say
// EINVAL or ENOTSUP; there is nothing more one can do on them.
func syncFolder(root *os.Root) error {
	d, err := root.Open(".")
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
// the system allows; it becomes visible under its name with these, and is synced into its parent.
// Directories that exist, also because another process was faster, stay as they are.
func MkdirAll(path string, mode uint32, gid *int) error {
	if st, err := os.Stat(path); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("atomicfile: could not make folder %q: %w", path, syscall.ENOTDIR)
		}
		return nil
	}
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, mode, gid); err != nil {
			return err
		}
	}
	root, err := openFolder(parent)
	if err == nil {
		defer root.Close()
		err = mkdir(root, filepath.Base(path), mode, gid)
	}
	if err != nil {
		var bare *fs.PathError
		if errors.As(err, &bare) { // it names the temporary, which says nothing to the user
			err = bare.Err
		}
		return fmt.Errorf("atomicfile: could not make folder %q: %w", path, err)
	}
	return nil
}

// mkdir makes one directory in another, under a temporary name first. Where the file system cannot rename
// without replacing (NFS), it is made in place: replacing a directory that another process has just made
// would take it from under that process.
func mkdir(root *os.Root, base string, mode uint32, gid *int) error {
	tmp := tempFor(base)
	if err := makeFolder(root, tmp, mode, gid); err != nil {
		return err
	}
	defer root.Remove(tmp) // nothing is left to remove after success
	err := renameNew(root, tmp, base)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOTSUP) {
		err = makeFolder(root, base, mode, gid)
	}
	if errors.Is(err, fs.ErrExist) {
		if st, errStat := root.Stat(base); errStat == nil && st.IsDir() {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return syncFolder(root)
}

// makeFolder makes a directory with exactly that mode and, as far as allowed, group.
func makeFolder(root *os.Root, name string, mode uint32, gid *int) error {
	perm := fs.FileMode(mode).Perm()
	if err := root.Mkdir(name, perm); err != nil {
		return err
	}
	if gid != nil {
		chown(func(u, g int) error { return root.Chown(name, u, g) }, -1, *gid)
	}
	if mode&syscall.S_ISGID != 0 {
		perm |= fs.ModeSetgid
	}
	return root.Chmod(name, perm)
}

// renameNew renames within a folder; an existing name is an error.
func renameNew(root *os.Root, from, to string) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Renameat2(int(d.Fd()), from, int(d.Fd()), to, unix.RENAME_NOREPLACE)
}

// RemoveStale removes the temporaries (files, and empty folders) in a folder that no writer has touched for longer than
// olderThan, and says how many. Files that vanish meanwhile are no error.
func RemoveStale(dir string, olderThan time.Duration) (removed int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("atomicfile: could not look for stale temporaries in %q: %w", dir, err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() && !e.IsDir() || !tempName.MatchString(e.Name()) {
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
