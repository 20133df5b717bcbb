package pack

import (
	"fmt"
	"io"
	"os"

	"rawstatus/internal/io/atomicfile"
)

// WriteFile makes a pack appear whole at path; fill adds the arrays and returns the head. It is durable before it
// becomes visible, and not read back: checksums are made where the numbers are, and compared by everybody who reads them.
func WriteFile(path string, opt atomicfile.Options, kind string, fill func(*Writer) (head any, err error)) error {
	return atomicfile.Write(path, opt, func(w io.Writer) error {
		p, err := NewWriter(w, kind)
		if err != nil {
			return err
		}
		head, err := fill(p)
		if err != nil {
			return err
		}
		return p.Finish(head)
	})
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
