// Package filelock lets one process at a time work on a directory or file, across the machines that
// share its file system.
//
// The lock is flock(2), which the kernel drops when its holder ends in whatever way. A lock file that
// is left behind is therefore never stale: it is empty or names its last holder, and the next process
// simply takes it. The files are not removed, for a lock on a removed file protects nothing.
package filelock
