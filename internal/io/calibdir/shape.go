package calibdir

import (
	"bufio"
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
)

// Shape returns the shape of an item's array, whatever its words are: from the header of the file, else
// from all of it.
func (d *Dir) Shape(ctx context.Context, item calib.Item) ([]int, error) {
	path := filepath.Join(d.path(), item.Name)
	f, err := d.Disk.Follow(path)
	if err != nil {
		return nil, fault.New(fault.Input, "could not read a deployed constant: %w", err)
	}
	defer f.Close()
	var shape []int
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) > 0 && words[0] != "#" {
			break
		}
		if len(words) < 3 || !strings.HasPrefix(words[1], "DIM:") {
			continue
		}
		n, err := strconv.Atoi(words[2])
		if err != nil || n < 1 {
			return nil, fault.New(fault.Input, "%q has a header with the dimension %q", path, words[2])
		}
		shape = append(shape, n)
	}
	if shape != nil {
		return shape, nil
	}
	a, _, err := d.Read(ctx, item)
	if err != nil {
		return nil, err
	}
	return a.Shape, nil
}
