package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"rawstatus/internal/fault"
)

// maxLinks is how many symbolic links of a path are followed, as in Linux.
const maxLinks = 40

// openFolder opens the folder dir, so that everything that happens in it afterwards happens in this very
// folder, whatever becomes of its name. The way to it must not lead over a symbolic link that another
// user has put into a folder that is not theirs: in a tree that a group may write to, such a link would
// send our files to a place of that user's choice.
func openFolder(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	real, err := checkWay(dir)
	if err == nil {
		var opened fs.FileInfo
		if opened, err = root.Stat("."); err == nil && !os.SameFile(opened, real) {
			err = fault.New(fault.Temporary, "folder %q was exchanged while it was opened", dir)
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// checkWay walks to a folder and returns what lies at its end. A symbolic link on the way must belong to
// this user, to root, or to the owner of the folder in which it lies.
func checkWay(dir string) (end fs.FileInfo, err error) {
	at, rest := ".", dir // not cleaned: a/.. is another place than . when a is a link
	if filepath.IsAbs(dir) {
		at = "/"
	}
	if end, err = os.Stat(at); err != nil {
		return nil, err
	}
	for links := 0; rest != ""; {
		var name string
		if name, rest, _ = strings.Cut(rest, "/"); name == "" || name == "." {
			continue
		}
		next := at + "/" + name
		st, err := os.Lstat(next)
		if err != nil {
			return nil, err
		}
		if st.Mode()&fs.ModeSymlink == 0 {
			at, end = next, st
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ELOOP}
		}
		if owner := ownerOf(st); owner != uint32(os.Geteuid()) && owner != 0 && owner != ownerOf(end) {
			return nil, fault.New(fault.Input, "%q is a symbolic link that user %d has put into a folder of user %d: it is not followed", next, owner, ownerOf(end)).
				WithHint("ask that user, and remove the link or give it to the owner of the folder (chown -h)")
		}
		target, err := os.Readlink(next)
		if err != nil {
			return nil, err
		}
		if filepath.IsAbs(target) {
			at = "/"
			if end, err = os.Stat(at); err != nil {
				return nil, err
			}
		}
		rest = target + "/" + rest
	}
	return end, nil
}

// ownerOf returns the user id of a file's owner.
func ownerOf(st fs.FileInfo) uint32 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Uid
	}
	return 0
}

// Open opens a file that lives on in place (a list that is appended to, a lock). A file that does not
// exist is made first, empty and with its final mode and group, so that a process that is stopped here
// locks nobody out. What lies under the name must be a regular file: a symbolic link is not followed.
func Open(path string, flag int, opt Options) (*os.File, error) {
	f, err := openRegular(path, flag)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	opt.Exclusive = true
	if err := WriteFile(path, opt, nil); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return openRegular(path, flag)
}

// openRegular opens an existing regular file.
func openRegular(path string, flag int) (*os.File, error) {
	root, err := openFolder(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("atomicfile: could not open %q: %w", path, err)
	}
	defer root.Close()
	name := filepath.Base(path)
	st, err := root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("atomicfile: could not open %q: %w", path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fault.New(fault.Input, "%q is no regular file (%s): it is not opened", path, kindOf(st.Mode())).
			WithHint("remove it, or give another directory")
	}
	f, err := root.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("atomicfile: could not open %q: %w", path, err)
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(st, now) {
		f.Close()
		return nil, fault.New(fault.Temporary, "%q was exchanged while it was opened", path)
	}
	return f, nil
}

// kindOf names what is no regular file.
func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "a device or socket"
}

// ReadFile reads a regular file; a symbolic link under its name is not followed.
func ReadFile(path string) ([]byte, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
