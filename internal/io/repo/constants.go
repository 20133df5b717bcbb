package repo

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// Constant is an array of numbers of one panel in one gain mode, for programs that are not ours.
type Constant struct {
	Dir      string // of the panel's directory
	CType    string
	GainMode string // as "AHL-H"
	Values   []float64
}

// WriteConstant writes an array as text, %.6f, one row of the panel a line, and returns its path. It is named
// like our status files, or as psana2's calibration looks for it:
//
//	<dettype>_<alias %06d>-s<segment %02d>-<stamp>-<exp>-r<run %04d>-<ctype>-<gain mode with _>.data
func (r *Repo) WriteConstant(ctx context.Context, sf StatusFile, c Constant, psana2 bool) (path string, err error) {
	if sf.Rows*sf.Cols != len(c.Values) {
		panic(fmt.Sprintf("io/repo: %d numbers for a panel of %dx%d", len(c.Values), sf.Rows, sf.Cols))
	}
	sf.CType, sf.GainMode = c.Dir, c.GainMode
	dir, err := r.ctypeDir(sf)
	if err != nil {
		return "", err
	}
	sf.CType = c.CType
	n, err := r.name(ctx, sf, ".dat")
	if err != nil {
		return "", err
	}
	name := n.String()
	if psana2 {
		alias, err := strconv.Atoi(n.Alias)
		if err != nil {
			return "", fault.New(fault.Input, "panel %q has alias %q, which is no number", sf.Panel, n.Alias)
		}
		name = fmt.Sprintf("%s_%06d-s%02d-%s-%s-r%04d-%s-%s.data", n.DetType, alias, sf.Segment, n.Stamp, n.Experiment, n.Run, c.CType,
			strings.ReplaceAll(c.GainMode, "-", "_"))
	}
	var text []byte
	for i, v := range c.Values {
		text = strconv.AppendFloat(text, v, 'f', 6, 64)
		end := byte(' ')
		if (i+1)%sf.Cols == 0 {
			end = '\n'
		}
		text = append(text, end)
	}
	path = filepath.Join(dir, name)
	opt := r.Policy.File()
	opt.Keep = true
	return path, atomicfile.WriteFile(path, opt, text)
}
