package calibdir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
)

// Dir is the directory of one type of constants of one detector.
type Dir struct {
	Root   string // calibration directory of the experiment
	Group  string
	Source string
	CType  string
	Disk   disk.Disk
	Loc    *time.Location // for the times in HISTORY
	// LockWait is how long to wait for another deployment.
	LockWait time.Duration
}

var _ calib.Store = (*Dir)(nil)

// New returns the store of a type of constants in the calibration directory root.
func New(root, group, source, ctype string, d disk.Disk, loc *time.Location) (*Dir, error) {
	for _, w := range []struct{ what, s string }{{"group", group}, {"source", source}, {"constants type", ctype}} {
		if err := access.CheckName(w.what, w.s); err != nil {
			return nil, err
		}
	}
	return &Dir{Root: root, Group: group, Source: source, CType: ctype, Disk: d, Loc: loc, LockWait: time.Minute}, nil
}

// Destination returns the directory together with its ledgers.
func (d *Dir) Destination() calib.Destination {
	return calib.Destination{Store: d, Ledger: d.ledger(), Sets: &calib.Ledger{Dir: filepath.Join(filepath.Dir(d.path()), ".sets"), Disk: d.Disk}}
}

// String implements calib.Store.
func (d *Dir) String() string { return d.path() }

func (d *Dir) path() string { return filepath.Join(d.Root, d.Group, d.Source, d.CType) }

func (d *Dir) ledger() *calib.Ledger {
	return &calib.Ledger{Dir: filepath.Join(d.path(), ".ledger"), Disk: d.Disk}
}

// Target implements calib.Store.
func (d *Dir) Target(r calib.Range) []calib.Item {
	return []calib.Item{{Range: r, Name: r.String() + ".data"}}
}

// Items implements calib.Store.
func (d *Dir) Items(context.Context) (items []calib.Item, notes []string, err error) {
	entries, err := d.Disk.List(d.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("could not list constants: %w", err)
	}
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name, ".data")
		if !ok || e.Kind == fs.ModeDir {
			continue
		}
		r, why := parseStem(stem)
		if why != "" {
			notes = append(notes, fmt.Sprintf("%s: %s", filepath.Join(d.path(), e.Name), why))
			continue
		}
		items = append(items, calib.Item{Range: r, Name: e.Name})
	}
	return items, notes, nil
}

// parseStem reads a file name without .data as psana does; why says what psana makes of a bad one.
func parseStem(stem string) (r calib.Range, why string) {
	const breaks = "breaks every look-up of psana in this directory: "
	parts := strings.Split(stem, "-")
	if len(parts) != 2 {
		return r, "ignored by psana: not <begin>-<end>"
	}
	if parts[0] == "" || strings.Trim(parts[0], "0123456789") != "" {
		return r, "ignored by psana: begin is not a number"
	}
	if parts[1] != "end" && (parts[1] == "" || strings.Trim(parts[1], "0123456789") != "") {
		return r, breaks + "end is neither a number nor \"end\""
	}
	r, err := calib.ParseRange(stem)
	switch {
	case err == nil:
		return r, ""
	case strings.Contains(err.Error(), "before it begins"):
		return r, "ignored by psana: ends before it begins"
	}
	return r, breaks + "a run above 9999"
}

// Sum implements calib.Store.
func (d *Dir) Sum(_ context.Context, item calib.Item) (string, error) { return d.sum(item.Name) }

// sum returns the SHA-256 of a file here; empty when there is none.
func (d *Dir) sum(name string) (string, error) {
	f, err := d.Disk.Follow(filepath.Join(d.path(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	return sumOf(f)
}

func sumOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Read implements calib.Store.
func (d *Dir) Read(_ context.Context, item calib.Item) (*calib.Array, string, error) {
	path := filepath.Join(d.path(), item.Name)
	return readArray(path, calib.RealType(d.CType), func() (io.ReadCloser, int64, error) {
		f, err := d.Disk.Follow(path)
		if err != nil {
			return nil, 0, fault.New(fault.Input, "could not read a deployed constant: %w", err)
		}
		return f, f.Size(), nil
	})
}

// readArray reads a text as psana does, whole numbers exactly, or with real as float32 numbers, and returns the SHA-256
// of its bytes. The size that open returns may be -1.
func readArray(name string, real bool, open func() (r io.ReadCloser, size int64, err error)) (*calib.Array, string, error) {
	r, size, err := open()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	h := sha256.New()
	if real {
		a, err := calibtxt.Load(io.TeeReader(r, h), size, name)
		if err != nil {
			return nil, "", err
		}
		numbers := make([]float32, 0, len(a.Floats)+len(a.Ints))
		for _, v := range a.Floats {
			numbers = append(numbers, float32(v))
		}
		for _, v := range a.Ints {
			numbers = append(numbers, float32(int64(v)))
		}
		return &calib.Array{Shape: a.Shape, Numbers: [][]float32{numbers}}, hex.EncodeToString(h.Sum(nil)), nil
	}
	if s, err := calibtxt.ReadStatus(io.TeeReader(r, h), size, name, nil); err == nil && s.Header {
		return &calib.Array{Shape: s.Shape, Words: s.Sparse}, hex.EncodeToString(h.Sum(nil)), nil
	}
	// A file of others: whatever psana would make of it.
	again, size, err := open()
	if err != nil {
		return nil, "", err
	}
	defer again.Close()
	h.Reset()
	a, err := calibtxt.Load(io.TeeReader(again, h), size, name)
	if err != nil {
		return nil, "", err
	}
	for _, v := range a.Floats {
		a.Ints = append(a.Ints, uint64(int64(v)))
	}
	return &calib.Array{Shape: a.Shape, Words: calibtxt.SparseOf(a.Ints)}, hex.EncodeToString(h.Sum(nil)), nil
}

// Others returns the lines of HISTORY that other programs have written, oldest first.
func (d *Dir) Others() ([]string, error) {
	text, err := disk.ReadFile(d.Disk, d.historyPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("could not read HISTORY: %w", err)
	}
	records, err := d.ledger().Load()
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{}
	for _, r := range records {
		ours[r.History] = true
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !ours[line] {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// Kept implements calib.Store.
func (d *Dir) Kept(_ context.Context, rec calib.Record) (calib.Content, error) {
	if rec.Content == "" {
		return calib.Content{}, fault.New(fault.Input, "%s %s took a constant away: it has no content", rec.Action, rec.ID)
	}
	c := calib.Content{Path: rec.Source, Open: func() (io.ReadCloser, error) { return d.ledger().Content(rec.Content) }}
	if c.Path == "" {
		c.Path = filepath.Join(d.ledger().Dir, "content", rec.Content)
	}
	var err error
	c.Array, c.SHA256, err = readArray("content of "+rec.ID, calib.RealType(d.CType), func() (io.ReadCloser, int64, error) {
		r, err := c.Open()
		return r, -1, err
	})
	return c, err
}

// Find lists the group and source of every detector that has a directory of the type of constants; an
// empty source stands for any.
func Find(root, source, ctype string) (found [][2]string, err error) {
	groups, err := os.ReadDir(root)
	if err != nil {
		return nil, fault.New(fault.Input, "could not look into the calibration directory: %w", err).WithHint("name it with -c")
	}
	for _, g := range groups {
		sources, err := os.ReadDir(filepath.Join(root, g.Name()))
		if err != nil {
			continue // a file, or not ours to read
		}
		for _, s := range sources {
			st, err := os.Stat(filepath.Join(root, g.Name(), s.Name(), ctype))
			if err == nil && st.IsDir() && (source == "" || s.Name() == source) {
				found = append(found, [2]string{g.Name(), s.Name()})
			}
		}
	}
	return found, nil
}
