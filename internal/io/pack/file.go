package pack

import (
	"fmt"
	"io"
	"os"

	"rawstatus/internal/io/atomicfile"
)

// WriteFile makes a pack appear whole at path; it is read back and verified before it becomes visible.
func WriteFile(path string, opt atomicfile.Options, kind string, head any, arrays []Array) error {
	opt.Verify = func(tmp string) error {
		f, err := Open(tmp)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Verify()
	}
	return atomicfile.Write(path, opt, func(w io.Writer) error { return Write(w, kind, head, arrays) })
}

// File is a Reader over a file on disk.
type File struct {
	*Reader
	f *os.File
}

// Open opens a pack and verifies its frame.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("pack: %w", err)
	}
	r, err := NewReader(path, f, st.Size())
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{Reader: r, f: f}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }
