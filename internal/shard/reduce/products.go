package reduce

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
)

// ProductOptions say which constants of a dark run are written beside the status, and where.
type ProductOptions struct {
	Names []repo.Product
	Repo  *repo.Repo // nil: that of the status
	Short string     // psana2: short name of the detector; empty: its type
}

// CheckProducts refuses products of a plan that has none.
func CheckProducts(p *plan.Plan, names []repo.Product) error {
	switch {
	case len(names) == 0:
	case !p.Params.Gated():
		return fault.New(fault.Usage, "profile %s makes no constants of a dark run", p.Params.Profile).WithHint("--products goes with --profile dark")
	case len(p.Params.Slice) > 0:
		return fault.New(fault.Usage, "a part of a panel (--slice) makes no constants of a dark run").WithHint("leave --products or --slice out")
	}
	return nil
}

// constants are the numbers of a unit that products are made of.
type constants struct {
	ave, rms []float64
	min, max []uint16
}

// lcls1 reports whether the products are those of LCLS-I: by the format of the data, or the original that is followed.
func lcls1(p *plan.Plan) bool {
	if p.Dataset.Format == "xtc1" || p.Dataset.Format == "xtc2" {
		return p.Dataset.Format == "xtc1"
	}
	return p.Params.Compat == "lcls1"
}

// products writes the constants of a dark run.
type products struct {
	p     *plan.Plan
	opt   ProductOptions
	repo  *repo.Repo
	work  string
	dirs  []string
	style repo.Style
	paths map[repo.Product]map[int]string // of the units that were written
	notes []string
}

func newProducts(work string, p *plan.Plan, opt Options, dirs []string) *products {
	family, _ := detector.Lookup(p.Dataset.Type)
	w := &products{p: p, opt: opt.Products, repo: opt.Products.Repo, work: work, dirs: dirs, style: repo.StyleOf(lcls1(p), len(family.GainModes) > 0),
		paths: map[repo.Product]map[int]string{}}
	if w.repo == nil {
		w.repo = opt.Repo
	}
	if w.repo == nil {
		w.opt.Names = nil
	}
	if w.opt.Short == "" {
		w.opt.Short = strings.ToLower(p.Dataset.Type)
		if len(w.opt.Names) > 0 && (w.style == repo.Psana2Panels || w.style == repo.Psana2Array) {
			w.notes = append(w.notes, fmt.Sprintf("the short name of the detector is not known: files of products are called %s (--shortname says another)", w.opt.Short))
		}
	}
	for _, name := range w.opt.Names {
		w.paths[name] = map[int]string{}
	}
	return w
}

// file names the products of a unit.
func (w *products) file(unit int) repo.DarkFile {
	f := repo.DarkFile{StatusFile: statusFile(w.p, unit, w.dirs), Style: w.style, Short: w.opt.Short, Work: w.work}
	u := w.p.Units[unit]
	for _, panel := range w.p.Dataset.Panels {
		if f.IDs = append(f.IDs, panel.ID); panel.ID == "" {
			f.IDs = nil
			break
		}
	}
	if i := slices.Index(detector.JungfrauGains, f.GainMode); i >= 0 {
		f.Setting = []string{"Normal", "FixedGain1", "FixedGain2"}[i]
		for _, s := range w.p.Dataset.Steps {
			if slices.Contains(w.p.Groups[u.Group].Steps, s.Number) {
				config := s.Gain(u.Panel).Config
				if gain, known := jungfrauIndex[config]; known && gain == i {
					f.Setting = config
				}
			}
		}
	}
	return f
}

// jungfrauIndex has the configurations that give their gain mode another name than usual.
var jungfrauIndex = map[string]int{"HighGain0": 0, "ForcedGain1": 1, "ForcedGain2": 2}

// group writes the products of the units of a group and returns the paths, by unit.
func (w *products) group(ctx context.Context, units []int, v *judgement) ([][]string, error) {
	paths := make([][]string, len(units))
	if len(w.opt.Names) == 0 {
		return paths, nil
	}
	if !w.style.Panels() {
		path, err := w.array(ctx, units, v)
		paths[0] = path
		return paths, err
	}
	if mode := w.p.Groups[w.p.Units[units[0]].Group].GainMode; mode == "" {
		return nil, fault.New(fault.Input, "step %v: the gain mode is not known, so its products have no name", w.p.Groups[w.p.Units[units[0]].Group].Steps).
			WithHint("say it with --gain-mode, or leave --products out")
	}
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, u := range units {
		paths[i] = make([]string, len(w.opt.Names))
		f := w.file(u)
		for k, name := range w.opt.Names {
			path, err := w.repo.ProductPath(ctx, f, name, false)
			if err != nil {
				return nil, err
			}
			paths[i][k], w.paths[name][u] = path, path
			g.Go(func() error {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				return w.save(path, w.body(nil, name, &v.panels[i], f.Cols))
			})
		}
	}
	return paths, g.Wait()
}

// save writes a file of products.
func (w *products) save(path string, text []byte) error {
	opt := w.repo.Policy.File()
	opt.Keep = true
	if err := atomicfile.WriteFile(path, opt, text); err != nil {
		return fmt.Errorf("could not write products: %w", err)
	}
	return nil
}

// body appends the rows of a product of a panel.
func (w *products) body(text []byte, name repo.Product, j *judged, cols int) []byte {
	if text == nil {
		text = make([]byte, 0, 10*len(j.Status))
	}
	width := w.style.Width(name, w.p.Dataset.Type)
	switch name {
	case repo.Pedestals:
		return calibtxt.AppendFixedRows(text, j.constants.ave, cols)
	case repo.PixelRMS:
		return calibtxt.AppendFixedRows(text, j.constants.rms, cols)
	case repo.PixelMin:
		return calibtxt.AppendIntRows(text, j.constants.min, cols, width)
	case repo.PixelMax:
		return calibtxt.AppendIntRows(text, j.constants.max, cols, width)
	}
	return calibtxt.AppendIntRows(text, j.Status, cols, width)
}

// array writes one file of all panels for each product, as the originals do for detectors of one gain.
func (w *products) array(ctx context.Context, units []int, v *judgement) (paths []string, err error) {
	f := w.file(units[0])
	shape := []int{f.Rows, f.Cols}
	if len(units) > 1 {
		shape = append([]int{len(units)}, shape...)
	}
	for _, name := range w.opt.Names {
		path, err := w.repo.ProductPath(ctx, f, name, false)
		if err != nil {
			return nil, err
		}
		if len(units) > 1 && slices.ContainsFunc(units, func(u int) bool { return w.p.Panel(u).Rows != f.Rows || w.p.Panel(u).Cols != f.Cols }) {
			return nil, fault.New(fault.Input, "the panels of %s differ in size: they make no array", w.p.Dataset.Detector)
		}
		h := w.header(path, shape)
		dtype := w.dtype(name)
		if w.style == repo.Psana1Array {
			word := map[repo.Product]string{repo.Pedestals: "average", repo.PixelRMS: "RMS", repo.PixelStatus: "status", repo.PixelMax: "max", repo.PixelMin: "min"}[name]
			frames := v.panels[0].Frames
			if w.p.Params.Compat != "" && frames > 0 {
				frames-- // the original does not count the record that it loses
			}
			h.Comments = []string{"DATASET  exp=" + f.Run.Experiment + fmt.Sprintf(":run=%d", f.Run.Number), fmt.Sprintf("STATISTICS  %d", frames),
				"ARR_TYPE  " + word, "SOURCE  " + f.DetName}
		}
		text := h.Text(dtype)
		for i := range units {
			text = w.body(text, name, &v.panels[i], f.Cols)
		}
		if err := w.save(path, text); err != nil {
			return nil, err
		}
		paths = append(paths, path)
		w.paths[name][units[0]] = path
	}
	return paths, nil
}

// dtype is the type in the header of an array: the one in which analysis reads it, or, with --compat lcls1, that of
// the merged files of the original.
func (w *products) dtype(name repo.Product) string {
	if w.style == repo.Psana1Panels && w.p.Params.Compat != "" {
		return "float32"
	}
	return name.DType()
}

func (w *products) header(path string, shape []int) calibtxt.Header {
	dir, err := os.Getwd()
	if err != nil {
		dir = "unknown"
	}
	return calibtxt.Header{Host: access.Host(), WorkDir: dir, UID: access.Login(), Time: time.Now().In(w.repo.Loc), FileName: path, Shape: shape}
}

// merge puts the files of all gain modes of each panel, and those of all panels, together: one after the other they are
// the rows of the array. It says why it does not where some of them are missing.
func (w *products) merge(ctx context.Context) (paths []string, err error) {
	if len(w.opt.Names) == 0 || !w.style.Panels() {
		return nil, nil
	}
	family, _ := detector.Lookup(w.p.Dataset.Type)
	at := map[[2]int]int{} // unit by panel and gain
	for u := range w.p.Units {
		if gain := family.GainIndex(w.p.Groups[w.p.Units[u].Group].GainMode); gain >= 0 && w.p.Units[u].Selected > 0 {
			at[[2]int{w.p.Units[u].Panel, gain}] = u
		}
	}
	var missing []string
	whole := true
	for panel, q := range w.p.Dataset.Panels {
		for gain, mode := range family.GainModes {
			if _, ok := at[[2]int{panel, gain}]; !ok && len(missing) < 3 {
				missing = append(missing, fmt.Sprintf("segment %d %s", q.Segment, mode))
			}
		}
		whole = whole && q.Segment == panel && q.Sub == 0
	}
	switch {
	case missing != nil:
		w.notes = append(w.notes, "products of the gain modes are not put together: "+strings.Join(missing, ", ")+" and perhaps more are missing")
		return nil, nil
	case !whole:
		w.notes = append(w.notes, "products of the panels are not put together: segments are missing")
	}
	for _, name := range w.opt.Names {
		var all []string
		for gain := range family.GainModes {
			for panel := range w.p.Dataset.Panels {
				all = append(all, w.paths[name][at[[2]int{panel, gain}]])
			}
		}
		n := len(w.p.Dataset.Panels)
		for panel := range n {
			f := w.file(at[[2]int{panel, 0}])
			path, err := w.repo.ProductPath(ctx, f, name, true)
			if err != nil {
				return nil, err
			}
			var files []string
			for gain := range family.GainModes {
				files = append(files, all[gain*n+panel])
			}
			if err := w.concat(path, name, []int{len(family.GainModes), 1, f.Rows, f.Cols}, files); err != nil {
				return nil, err
			}
		}
		if !whole {
			continue
		}
		f := w.file(at[[2]int{0, 0}])
		path, err := w.repo.ProductStack(f, name)
		if err != nil {
			return nil, err
		}
		if err := w.concat(path, name, []int{len(family.GainModes), n, f.Rows, f.Cols}, all); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// concat writes header and files as one file.
func (w *products) concat(path string, name repo.Product, shape []int, files []string) error {
	opt := w.repo.Policy.File()
	opt.Keep = true
	return atomicfile.Write(path, opt, func(out io.Writer) error {
		h := w.header(path, shape)
		if _, err := io.Copy(out, bytes.NewReader(h.Text(w.dtype(name)))); err != nil {
			return err
		}
		for _, file := range files {
			in, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("could not merge products of %s: %w", filepath.Base(path), err)
			}
			_, err = io.Copy(out, in)
			in.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Constants are the constants that a dark run has of one unit.
type Constants struct {
	Panel    int // position in the plan's panels
	GainMode string
	Frames   uint64 // 0: the panel has none
	Ave, Rms []float64
	Status   []uint64
	Min, Max []uint16
}

// DarkConstants returns the constants of all units of a plan of profile dark, by the rules of its last reduction, from
// what is stored of it.
func DarkConstants(ctx context.Context, work string, p *plan.Plan) ([]Constants, error) {
	if err := CheckProducts(p, repo.DarkSet); err != nil {
		return nil, err
	}
	q, err := InForce(work, p)
	if err != nil {
		return nil, err
	}
	var out []Constants
	for g := range p.Groups {
		units, in, err := loadGroup(ctx, p, g, func(unit int) (planes, error) { return stored(work, p, unit) })
		if err != nil {
			return nil, err
		}
		if gatesOnly(p, units) {
			return nil, fault.New(fault.Usage, "the job in %q makes gates for others: it has no constants", work)
		}
		v, err := judge(q, units, in)
		if err != nil {
			return nil, err
		}
		for i, u := range units {
			c := v.panels[i].constants
			out = append(out, Constants{Panel: p.Units[u].Panel, GainMode: p.Groups[g].GainMode, Frames: v.panels[i].Frames, Ave: c.ave, Rms: c.rms,
				Status: v.panels[i].Status, Min: c.min, Max: c.max})
		}
	}
	return out, nil
}
