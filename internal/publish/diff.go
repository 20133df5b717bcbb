package publish

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/stats/status"
)

// Difference holds the changes from one status array to another.
type Difference struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Shape []int  `json:"shape"`
	status.Turned
	OtherBits int          `json:"other_bits"` // bad in both, for other reasons
	Same      int          `json:"same"`
	Planes    []DiffPlane  `json:"planes,omitempty"` // planes that differ
	Pixels    []DiffPixels `json:"pixels,omitempty"`
}

// DiffPlane counts the changes in one plane (all indexes but the last two).
type DiffPlane struct {
	Index []int `json:"index"`
	status.Turned
	OtherBits int `json:"other_bits"`
}

// DiffPixels is one pixel that differs.
type DiffPixels struct {
	Index []int  `json:"index"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
}

// Diff compares two arrays of one size; at most most pixels are listed one by one.
func Diff(from, to string, a, b *calib.Array, most int) (*Difference, error) {
	if !slices.Equal(extents(a.Shape), extents(b.Shape)) {
		return nil, fault.New(fault.Input, "%s is an array %v, %s is %v: their pixels cannot be compared", from, a.Shape, to, b.Shape)
	}
	d := &Difference{From: from, To: to, Shape: b.Shape}
	plane := b.Words.Pixels
	if n := len(b.Shape); n > 2 {
		plane = b.Shape[n-1] * b.Shape[n-2]
	}
	last := -1 // plane that d.Planes ends with
	err := status.Sparse(a.Words).Pairs(status.Sparse(b.Words), func(at uint32, x, y uint64) {
		if x == y {
			return
		}
		i := int(at)
		if i/plane != last {
			last = i / plane
			d.Planes = append(d.Planes, DiffPlane{Index: indexOf(last*plane, b.Shape)[:max(0, len(b.Shape)-2)]})
		}
		p := &d.Planes[len(d.Planes)-1]
		if p.Count(x != 0, y != 0); x != 0 && y != 0 {
			p.OtherBits++
		}
		if len(d.Pixels) < most {
			d.Pixels = append(d.Pixels, DiffPixels{indexOf(i, b.Shape), x, y})
		}
	})
	for _, p := range d.Planes {
		d.OtherBits += p.OtherBits
		d.Sum(p.Turned)
	}
	d.Same = b.Words.Pixels - d.NewlyBad - d.NewlyGood - d.OtherBits
	return d, err
}

// extents returns a shape without the leading dimensions that hold one element.
func extents(shape []int) []int {
	for len(shape) > 1 && shape[0] == 1 {
		shape = shape[1:]
	}
	return shape
}

// indexOf returns the indexes of an element.
func indexOf(i int, shape []int) []int {
	index := make([]int, len(shape))
	for k := len(shape) - 1; k >= 0; k-- {
		index[k] = i % shape[k]
		i /= shape[k]
	}
	return index
}

// Text prints the difference.
func (d *Difference) Text(w io.Writer) {
	fmt.Fprintf(w, "from %s\nto   %s\n", d.From, d.To)
	fmt.Fprintf(w, "newly bad %d, newly good %d, bad for other reasons %d, the same %d\n", d.NewlyBad, d.NewlyGood, d.OtherBits, d.Same)
	for _, p := range d.Planes {
		if len(p.Index) > 0 {
			fmt.Fprintf(w, "  %v: newly bad %d, newly good %d, other bits %d\n", p.Index, p.NewlyBad, p.NewlyGood, p.OtherBits)
		}
	}
	for _, p := range d.Pixels {
		fmt.Fprintf(w, "  pixel %v: %d -> %d\n", p.Index, p.From, p.To)
	}
}

// IsFile reports whether the name of an array is that of a file.
func IsFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// LoadArray reads an array that the user names: a file, "run=<n>" for what analysis uses for a run, or
// the id of a deployment.
func LoadArray(ctx context.Context, dest calib.Destination, name string) (*calib.Array, error) {
	if IsFile(name) {
		a, err := calibtxt.ReadStatusFile(name, nil)
		if err != nil {
			return nil, err
		}
		return &calib.Array{Shape: a.Shape, Words: a.Sparse}, nil
	}
	if dest.Store == nil {
		return nil, fault.New(fault.Usage, "%q is not a file", name).WithHint("to name a run or a deployment, say where: -e, -r, -d and -c")
	}
	if number, isRun := strings.CutPrefix(name, "run="); isRun {
		run, err := strconv.Atoi(number)
		if err != nil || run < 0 {
			return nil, fault.New(fault.Usage, "%q names no run", name).WithHint("for example run=7")
		}
		item, _, err := dest.Find(ctx, run)
		if err != nil {
			return nil, err
		}
		if item == nil {
			return nil, fault.New(fault.Input, "nothing is deployed for run %d in %s", run, dest)
		}
		a, _, err := dest.Read(ctx, *item)
		return a, err
	}
	records, err := dest.Records()
	if err != nil {
		return nil, err
	}
	rec, err := recordNamed(records, name)
	if err != nil {
		return nil, err
	}
	c, err := dest.Kept(ctx, rec)
	return c.Array, err
}
