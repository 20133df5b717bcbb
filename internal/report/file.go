package report

import (
	"io"
	"io/fs"
	"path/filepath"

	"rawstatus/internal/io/atomicfile"
)

// WriteFile writes the page to a file, which appears complete or not at all.
func (b *Builder) WriteFile(path string, mode fs.FileMode) (made Made, err error) {
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o2775, nil); err != nil {
		return made, err
	}
	err = atomicfile.Write(path, atomicfile.Options{Mode: mode}, func(w io.Writer) (err error) {
		made, err = b.Write(w)
		return err
	})
	return made, err
}
