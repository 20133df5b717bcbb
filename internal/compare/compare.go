package compare

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// Result is how two sides differ.
type Result struct {
	Same  bool               `json:"same"`
	A     string             `json:"a"`
	B     string             `json:"b"`
	Files []File             `json:"files"`
	OnlyA []string           `json:"only_in_a,omitempty"`
	OnlyB []string           `json:"only_in_b,omitempty"`
	Total status.Differences `json:"total"`
}

// File compares two files, or one panel of them if they hold several.
type File struct {
	Name string             `json:"name"`
	A    string             `json:"a"`
	B    string             `json:"b"`
	Note string             `json:"note,omitempty"`
	Diff status.Differences `json:"difference"`
}

// Sides compares two sides, file by file.
func Sides(a, b Side) (*Result, error) {
	d := &Result{A: a.Label, B: b.Label}
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		if b.Files[name] == "" {
			d.OnlyA = append(d.OnlyA, a.Files[name])
			continue
		}
		list, err := compareFiles(a.Repo, b.Repo, name, a.Files[name], b.Files[name])
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			d.Total.Add(f.Diff)
		}
		d.Files = append(d.Files, list...)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		if a.Files[name] == "" {
			d.OnlyB = append(d.OnlyB, b.Files[name])
		}
	}
	d.Same = d.Total.Same() && len(d.OnlyA)+len(d.OnlyB) == 0
	return d, nil
}

// compareFiles compares two files, panel by panel if they hold an array of panels.
func compareFiles(ra, rb *repo.Repo, name, pathA, pathB string) ([]File, error) {
	a, err := ra.ReadStatus(pathA, nil)
	if err != nil {
		return nil, err
	}
	b, err := rb.ReadStatus(pathB, nil)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(a.Shape, b.Shape) {
		return nil, fault.New(fault.Input, "%q has shape %v, %q has %v: their pixels cannot be compared", pathA, a.Shape, pathB, b.Shape)
	}
	family, note := familyOf(a), ""
	if other := familyOf(b); other != family {
		note = fmt.Sprintf("bits mean different things: %s and %s", family, other)
		family = ""
	}
	was, is := a.Dense(), b.Dense()
	pixels := len(was)
	if n := len(a.Shape); n > 2 && a.Shape[n-1] > 2 { // else the panels come last, as those of cspad2x2
		pixels = a.Shape[n-2] * a.Shape[n-1]
	}
	var list []File
	for lo := 0; lo < len(was); lo += pixels {
		d, err := status.Compare(was[lo:lo+pixels], is[lo:lo+pixels])
		if err != nil {
			return nil, err
		}
		f := File{Name: name, A: pathA, B: pathB, Note: note, Diff: d.Table(family)}
		if pixels < len(was) {
			f.Name += place(a.Shape[:len(a.Shape)-2], lo/pixels)
		}
		list = append(list, f)
	}
	return list, nil
}

// place writes the position of a panel in an array, e.g. " [1 3]".
func place(shape []int, n int) string {
	index := make([]int, len(shape))
	for i, size := range slices.Backward(shape) {
		index[i], n = n%size, n/size
	}
	return fmt.Sprintf(" %v", index)
}

// familyOf returns the family of a file's bits; files of other programs are those of det_pixel_status.
func familyOf(r *repo.Read) status.Family {
	if r.Sidecar == nil {
		return status.Features
	}
	return status.Family(r.Sidecar.Family)
}

func (d *Result) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A: %s\nB: %s\n", d.A, d.B)
	for _, f := range d.Files {
		if f.Diff.Same() {
			fmt.Fprintf(&b, "\n%s: the same, %s\n", f.Name, fault.Count(f.Diff.Pixels, "pixel"))
			continue
		}
		fmt.Fprintf(&b, "\n%s: %v", f.Name, f.Diff)
		if f.Note != "" {
			fmt.Fprintf(&b, "note: %s\n", f.Note)
		}
	}
	for _, path := range d.OnlyA {
		fmt.Fprintf(&b, "only in A: %s\n", path)
	}
	for _, path := range d.OnlyB {
		fmt.Fprintf(&b, "only in B: %s\n", path)
	}
	if len(d.Files) > 1 {
		fmt.Fprintf(&b, "\nin total: %v", d.Total)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
