package reduce

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/shard/plan"
)

// pedestals are those of a detector in one of the shapes (rows, cols), (panels, rows, cols) and (gains,
// panels, rows, cols); panels count by segment.
type pedestals struct {
	path   string
	shape  []int
	values []float64
	single bool // stored as float32
}

// CheckPedestals refuses a plan whose feature 11 would have no pedestals at all: every pixel would be bad, by no fault
// of its own. It reads what the reduction will read.
func CheckPedestals(p *plan.Plan) error {
	if !p.Params.Has(11) {
		return nil
	}
	d, err := loadPedestals(p)
	if err != nil {
		return err
	}
	for unit := range p.Units {
		values, _, err := d.of(p, unit)
		if err != nil {
			return err
		}
		if values != nil {
			return nil
		}
	}
	if p.Params.Pedestals == "" {
		return fault.New(fault.Usage, "feature 11 needs pedestals, and none are named").WithHint("name them with --pedestals, a file or a calib directory")
	}
	return fault.New(fault.Input, "%q has no pedestals of %s for run %d, which feature 11 needs", p.Params.Pedestals, p.Dataset.Detector, p.Dataset.Run.Number).
		WithHint("name others with --pedestals, a file or a calib directory")
}

// loadPedestals reads the pedestals that a plan names: a .npy or text file, or from a calib directory the
// ones that analysis would use for the run. nil: none are named or there are none; feature 11 then says
// EVAL_ERROR.
func loadPedestals(p *plan.Plan) (*pedestals, error) {
	path := p.Params.Pedestals
	if path == "" || !p.Params.Has(11) {
		return nil, nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, fault.New(fault.Input, "pedestals: %w", err)
	}
	if st.IsDir() {
		if path, err = pedestalsOfRun(path, p); err != nil || path == "" {
			return nil, err
		}
	}
	if filepath.Ext(path) == ".npy" {
		return numpyPedestals(path)
	}
	a, err := calibtxt.LoadFile(path)
	if err != nil {
		return nil, err
	}
	if a.Floats == nil {
		return nil, fault.New(fault.Input, "pedestals %q are of type %s, wanted float32 or float64", path, a.DType)
	}
	return &pedestals{path: path, shape: a.Shape, values: a.Floats, single: a.DType == "float32"}, nil
}

func numpyPedestals(path string) (*pedestals, error) {
	a, err := npy.Read(path)
	if err != nil {
		return nil, err
	}
	d := &pedestals{path: path, shape: a.Shape}
	switch v := a.Data.(type) {
	case []float64:
		d.values = v
	case []float32:
		d.single, d.values = true, make([]float64, len(v))
		for i, x := range v {
			d.values[i] = float64(x)
		}
	default:
		return nil, fault.New(fault.Input, "pedestals %q are %T, wanted float32 or float64", path, a.Data)
	}
	return d, nil
}

// pedestalsOfRun finds the file that analysis would use for the run; empty: there is none.
func pedestalsOfRun(dir string, p *plan.Plan) (string, error) {
	family, _ := detector.Lookup(p.Dataset.Type)
	place, err := calibdir.New(dir, family.CalibGroup, p.Dataset.Detector, "pedestals", disk.Files{Policy: &access.Policy{}}, time.UTC)
	if err != nil {
		return "", err
	}
	items, _, err := place.Items(context.Background())
	if err != nil {
		return "", err
	}
	i := calib.Pick(items, p.Dataset.Run.Number)
	if i < 0 {
		return "", nil
	}
	return filepath.Join(place.String(), items[i].Name), nil
}

// of returns the pedestals of a unit's pixels; nil where there are none.
func (d *pedestals) of(p *plan.Plan, unit int) (values []float64, single bool, err error) {
	if d == nil {
		return nil, false, nil
	}
	panel := p.Panel(unit)
	rows, cols := panel.Rows, panel.Cols
	slice := p.Params.Slice
	if len(slice) == 4 {
		whole, _, _, err := panel.Whole()
		if err != nil {
			return nil, false, err
		}
		rows, cols = whole.Rows, whole.Cols
	} else {
		slice = []int{0, rows, 0, cols}
	}
	n := len(d.shape)
	if n < 2 || n > 4 || d.shape[n-2] != rows || d.shape[n-1] != cols {
		return nil, false, fault.New(fault.Input, "pedestals %q have shape %v, the panel has %d x %s", d.path, d.shape, rows, fault.Count(cols, "pixel"))
	}
	at := 0
	if n >= 3 {
		if panel.Segment >= d.shape[n-3] {
			return nil, d.single, nil
		}
		at = panel.Segment
	}
	if n == 4 {
		family, _ := detector.Lookup(panel.Type)
		mode := max(0, family.GainIndex(p.Groups[p.Units[unit].Group].GainMode))
		if mode >= d.shape[0] {
			return nil, d.single, nil
		}
		at += mode * d.shape[1]
	}
	whole := d.values[at*rows*cols : (at+1)*rows*cols]
	for r := slice[0]; r < slice[1]; r++ {
		values = append(values, whole[r*cols+slice[2]:r*cols+slice[3]]...)
	}
	if len(values) != panel.Pixels() {
		return nil, false, fmt.Errorf("pedestals of %s for a panel of %d", fault.Count(len(values), "pixel"), panel.Pixels())
	}
	return values, d.single, nil
}
