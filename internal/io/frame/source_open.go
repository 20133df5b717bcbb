package frame

import (
	"slices"
	"strings"

	"fmt"

	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
)

// Ways of reading, as flags name them.
const (
	Auto   = "auto"   // by the file system
	Pread  = "pread"  // positioned reads, many at once
	Mapped = "mapped" // mapped files
)

// Open opens the files of an index in one of the ways above. Auto maps files of local file systems,
// whose pages the kernel's cache shares, and reads those of network and cluster file systems, where
// mapping is slow and an I/O error would come as a signal.
func Open(files []File, way string, opt Options) (Source, error) {
	if way != "" && !slices.Contains(Ways, way) {
		return nil, fault.New(fault.Usage, "no way of reading is called %q, only %s", way, strings.Join(Ways, ", "))
	}
	if way == Mapped || way != Pread && opt.Open == nil && allLocal(files) {
		return OpenMapped(files, opt)
	}
	return OpenPread(files, opt)
}

// Ways are the ways of reading by name.
var Ways = []string{Auto, Mapped, Pread}

// allLocal tells whether all files lie on file systems that are good to map.
func allLocal(files []File) bool {
	for _, f := range files {
		var st unix.Statfs_t
		if err := unix.Statfs(f.Path, &st); err != nil {
			return false
		}
		switch uint32(st.Type) {
		case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC,
			unix.F2FS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.BCACHEFS_SUPER_MAGIC:
		default:
			return false
		}
	}
	return len(files) > 0
}

// unchanged looks at open files again: a file that was replaced or written to while it was read gives
// pixels of no certain time.
func (s *pread) unchanged() error {
	for i, f := range s.fds {
		if err := sameFile(f, s.files[i]); err != nil {
			return err
		}
	}
	return nil
}

// sameFile compares an open file with what the index says of it.
func sameFile(f Reader, want File) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("frame: could not stat %q: %w", want.Path, err)
	}
	if st.Size() != want.Size || !st.ModTime().Equal(want.ModTime) {
		return fault.New(fault.Input, "frame: %q changed since it was indexed: %d bytes of %s, indexed as %d bytes of %s",
			want.Path, st.Size(), st.ModTime().UTC().Format(timeForm), want.Size, want.ModTime.UTC().Format(timeForm)).
			WithHint("make a new plan from the file as it is now")
	}
	return nil
}

const timeForm = "2006-01-02T15:04:05.999999999Z"
