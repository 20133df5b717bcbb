package fault

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// system says what an error of the operating system means to the user.
type system struct {
	code Code
	hint string
}

const (
	makeRoom  = "make room there (see df and quota) or name another place, then give the same command again: what is complete is kept"
	askOwner  = "the permission of its owner or group is needed: see the modes of the directories above, and `id`"
	checkPath = "check the path that was given"
)

// systems are the system errors that a path of the user or the state of a machine can cause. Temporary are
// those that a later attempt, perhaps on another node, may not meet.
var systems = map[syscall.Errno]system{
	syscall.ENOSPC:    {Temporary, makeRoom},
	syscall.EDQUOT:    {Temporary, makeRoom},
	syscall.EIO:       {Temporary, "the device or file system reports an error: run the same command again, perhaps on another node"},
	syscall.ESTALE:    {Temporary, "the file was removed or replaced on its server: run the same command again"},
	syscall.ETIMEDOUT: {Temporary, "run the same command again"},
	syscall.EAGAIN:    {Temporary, "run the same command again"},
	syscall.ENOMEM:    {Temporary, "the machine is out of memory: run the same command again with fewer workers, or elsewhere"},
	syscall.EROFS:     {Temporary, "the file system is mounted read-only: try another node, or name another place"},
	syscall.EMFILE:    {Temporary, "too many files are open: see `ulimit -n`"},
	syscall.ENFILE:    {Temporary, "too many files are open on this machine: run the same command again"},

	syscall.EACCES:       {Input, askOwner},
	syscall.EPERM:        {Input, askOwner},
	syscall.ENOENT:       {Input, checkPath},
	syscall.ENOTDIR:      {Input, checkPath + ": a part of it is a file, where a directory is needed"},
	syscall.EISDIR:       {Input, checkPath + ": it is a directory, where a file is needed"},
	syscall.EEXIST:       {Input, checkPath + ": something is there already"},
	syscall.ENOTEMPTY:    {Input, checkPath + ": something is there already"},
	syscall.ELOOP:        {Input, checkPath + ": symbolic links lead in a circle, or must not be followed here"},
	syscall.ENAMETOOLONG: {Input, checkPath + ": a name in it is too long"},
	syscall.EXDEV:        {Input, checkPath + ": it leads to another file system"},
	syscall.ENXIO:        {Input, checkPath + ": it is no regular file"},
	syscall.ENODEV:       {Input, checkPath + ": it is no regular file"},
	syscall.EFBIG:        {Input, "the file would be larger than this file system or `ulimit -f` allows"},
	syscall.EINVAL:       {Input, checkPath + ": this is not possible on that file system"},
	syscall.ENOTSUP:      {Input, checkPath + ": this is not possible on that file system"},
	syscall.ENOEXEC:      {Input, checkPath + ": it is no program for this machine"},
	syscall.ETXTBSY:      {Temporary, "run the same command again"},
	syscall.EBUSY:        {Temporary, "run the same command again"},
}

// systemOf finds the system error in the chain of an error that concerns a path or a call of the system.
func systemOf(err error) (system, bool) {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return system{}, false
	}
	s, known := systems[no]
	if s.code == Temporary {
		return s, true
	}
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	aboutPath := errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || no != syscall.EINVAL && no != syscall.ENOTSUP
	if !known || !aboutPath {
		return system{}, false
	}
	return s, true
}

// overruling returns the system error whose class and hint stand above those of the outermost Error: one that the user
// cannot cure by another command line or other data. Classes that say more than what could not be read or written
// (refused, busy, not posted, what Slurm said) stay.
func overruling(err error) (system, bool) {
	var e *Error
	if !errors.As(err, &e) || e.Code != Usage && e.Code != Input && e.Code != Incomplete {
		return system{}, false
	}
	s, ok := systemOf(err)
	return s, ok && (s.code == Temporary || s.hint == askOwner)
}
