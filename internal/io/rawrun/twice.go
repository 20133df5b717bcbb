package rawrun

import (
	"bytes"
	"context"

	"rawstatus/internal/fault"
)

// Event is an event as it lies in a file, to find those that come twice.
type Event struct {
	TS   uint64
	Shot uint32 // distinguishes events of one time-stamp, 0 where the format has no such number
	File *File
	Off  int64
	Size int64
}

// compared bounds how much of two events is compared to tell whether they are the same.
const compared = 64 << 10

// Twice returns which events repeat an earlier one of the list, byte for byte as far as they are compared.
// Two files that have all events of the smaller one in common are refused: the same data lie under two
// names.
func Twice(ctx context.Context, events []Event) (again []int, err error) {
	type key struct {
		ts   uint64
		shot uint32
	}
	type pair struct{ first, second *File }
	first := make(map[key]int, len(events))
	perFile := map[*File]int{}
	shared := map[pair]int{}
	for i, e := range events {
		perFile[e.File]++
		k := key{e.TS, e.Shot}
		j, ok := first[k]
		if !ok {
			first[k] = i
			continue
		}
		f := events[j]
		if f.Size != e.Size || f.File == e.File && f.Off == e.Off {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if same, err := sameBytes(f.File, f.Off, e.File, e.Off, e.Size); err != nil || !same {
			if err != nil {
				return nil, err
			}
			continue
		}
		again = append(again, i)
		if p := (pair{f.File, e.File}); f.File != e.File {
			shared[p]++
		}
	}
	for p, n := range shared { // whichever of several pairs is found first
		if n >= min(perFile[p.first], perFile[p.second]) && n > 1 || n == 1 && perFile[p.first] == 1 && perFile[p.second] == 1 {
			return nil, sameData(p.first, p.second, n)
		}
	}
	return again, nil
}

// sameData returns the error for two files with the same events.
func sameData(f, g *File, n int) error {
	a, b := f.Path, g.Path
	if b < a {
		a, b = b, a
	}
	return fault.New(fault.Incomplete, "%q and %q have the same %s: the same data lie under two names", a, b, fault.Count(n, "event")).
		WithHint("move the copy away, or name the files to read with --file")
}

// Copies refuses two files that have the same data although events of different streams have equal times by
// design: the beginnings of the files and of their first events are the same bytes. Each element has the
// events of one file in order.
func Copies(files [][]Event) error {
	heads := map[string][]int{}
	for i, events := range files {
		if len(events) == 0 || !events[0].File.IsThere() {
			continue
		}
		f := events[0].File
		head := make([]byte, min(f.Size, headCompared))
		if _, err := f.R.ReadAt(head, 0); err != nil {
			return err
		}
		for _, j := range heads[string(head)] {
			if err := copies(files[j], events); err != nil {
				return err
			}
		}
		heads[string(head)] = append(heads[string(head)], i)
	}
	return nil
}

// headCompared is how much of the beginning of files is compared first.
const headCompared = 4 << 10

func copies(a, b []Event) error {
	n := min(len(a), len(b))
	for i := range min(n, 3) {
		if a[i].TS != b[i].TS || a[i].Size != b[i].Size {
			return nil
		}
		for _, off := range []int64{0, a[i].Off} {
			size := a[i].Size
			if off == 0 {
				size = min(a[i].File.Size, b[i].File.Size, compared)
			}
			if same, err := sameBytes(a[i].File, off, b[i].File, off, size); err != nil || !same || a[i].Off != b[i].Off {
				return err
			}
		}
	}
	return sameData(a[0].File, b[0].File, n)
}

// sameBytes compares two pieces of files. Where a file ends early they are not the same.
func sameBytes(f *File, off int64, g *File, other, size int64) (bool, error) {
	if !f.IsThere() || !g.IsThere() || off+size > f.Size || other+size > g.Size {
		return false, nil
	}
	n := min(size, compared)
	a, b := make([]byte, n), make([]byte, n)
	if _, err := f.R.ReadAt(a, off); err != nil {
		return false, err
	}
	if _, err := g.R.ReadAt(b, other); err != nil {
		return false, err
	}
	return bytes.Equal(a, b), nil
}
