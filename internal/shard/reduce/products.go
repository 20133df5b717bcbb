package reduce

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/memory"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
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
	paths map[repo.Product]map[cell]string // of what was written
	// single has the constants of units, where merged numbers are those of float32 and not those of the text.
	single map[cell]*constants
	notes  []string
}

// cell is a panel, by its position in the plan, in a gain mode of the detector's family.
type cell struct {
	panel, gain int
}

// float32Merged reports whether merged numbers are rounded to float32 before they are to three decimals, as the second
// job of psana2 does, which takes its gates from the first.
func float32Merged(p *plan.Plan) bool {
	return p.Params.Compat == string(status.LCLS2) && p.Params.GatesFrom != ""
}

func newProducts(work string, p *plan.Plan, opt Options, dirs []string) *products {
	family, _ := detector.Lookup(p.Dataset.Type)
	w := &products{p: p, opt: opt.Products, repo: opt.Products.Repo, work: work, dirs: dirs, style: repo.StyleOf(lcls1(p), len(family.GainModes) > 0),
		paths: map[repo.Product]map[cell]string{}, single: map[cell]*constants{}}
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
		w.paths[name] = map[cell]string{}
	}
	return w
}

// cell returns the place of a unit in merged arrays; false where the gain mode has none.
func (w *products) cell(unit int) (cell, bool) {
	family, _ := detector.Lookup(w.p.Dataset.Type)
	gain := family.GainIndex(w.p.Groups[w.p.Units[unit].Group].GainMode)
	return cell{w.p.Units[unit].Panel, gain}, gain >= 0 && w.p.Units[unit].Selected > 0
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
	var todo []body
	for i, u := range units {
		at, _ := w.cell(u)
		written, err := w.bodies(ctx, w.file(u), at, &v.panels[i], w.opt.Names)
		if err != nil {
			return nil, err
		}
		for _, b := range written {
			paths[i] = append(paths[i], b.path)
		}
		todo = append(todo, written...)
		if float32Merged(w.p) {
			w.single[at] = v.panels[i].constants
		}
		low, err := w.low(ctx, u, &v.panels[i])
		if err != nil {
			return nil, err
		}
		todo = append(todo, low...)
	}
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0)) // they wait for the disk
	for _, b := range todo {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			text := texts.Get().(*[]byte)
			defer texts.Put(text)
			*text = w.body((*text)[:0], b.name, b.of, b.cols)
			return w.save(b.path, *text)
		})
	}
	return paths, g.Wait()
}

// body is a file of a product of a panel.
type body struct {
	path string
	name repo.Product
	of   *judged
	cols int
}

// bodies names the files of a panel in a gain mode.
func (w *products) bodies(ctx context.Context, f repo.DarkFile, at cell, of *judged, names []repo.Product) (list []body, err error) {
	for _, name := range names {
		path, err := w.repo.ProductPath(ctx, f, name, false)
		if err != nil {
			return nil, err
		}
		w.paths[name][at] = path
		list = append(list, body{path, name, of, f.Cols})
	}
	return list, nil
}

// low names the files of the gain mode that shares its amplifier with that of a unit and is in no dark run, where charge
// injection determines its pedestals. The originals write no others of it.
func (w *products) low(ctx context.Context, unit int, high *judged) ([]body, error) {
	f := w.file(unit)
	panel, mode := w.p.Units[unit].Panel, f.GainMode
	low, known := lowGains[mode]
	if !known || measured(w.p, panel, low) || high.Frames == 0 || w.opt.Names == nil {
		return nil, nil
	}
	ave, err := lowPedestals(w.repo, w.p, panel, mode, high.constants.ave)
	if err != nil || ave == nil {
		return nil, err
	}
	names := w.opt.Names
	if w.p.Params.Compat != "" {
		names = slices.DeleteFunc(slices.Clone(names), func(n repo.Product) bool { return n != repo.Pedestals })
	}
	family, _ := detector.Lookup(w.p.Dataset.Type)
	at := cell{panel, family.GainIndex(low)}
	j := *high
	c := *high.constants
	c.ave = ave
	j.constants = &c
	if float32Merged(w.p) {
		w.single[at] = &c
	}
	w.notes = append(w.notes, lowNote(w.p, panel, mode))
	f.GainMode = low
	return w.bodies(ctx, f, at, &j, names)
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

// texts are buffers for files of a panel: pages that are made once.
var texts = sync.Pool{New: func() any { return new([]byte) }}

// body appends the rows of a product of a panel.
func (w *products) body(text []byte, name repo.Product, j *judged, cols int) []byte {
	text = slices.Grow(text, 10*j.Bad.Pixels) // up to 999999.999 and what is between the numbers
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
	return calibtxt.AppendIntRows(text, j.Bad.Dense(), cols, width)
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
	}
	return paths, nil
}

// dtype returns the type in the header of an array: the one in which analysis reads it, or, with --compat lcls1, that of
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
	m := w.newMerging()
	switch {
	case m.missing != nil:
		w.notes = append(w.notes, "products of the gain modes are not put together: "+strings.Join(m.missing, ", ")+" and perhaps more are missing")
		return nil, nil
	case m.stack == nil:
		w.notes = append(w.notes, "products of the panels are not put together: segments are missing")
	}
	var todo []mergedFile
	for _, name := range w.opt.Names {
		for panel := range w.p.Dataset.Panels {
			if !m.have[panel] {
				continue
			}
			f := w.fileOf(panel)
			path, err := w.repo.ProductPath(ctx, f, name, true)
			if err != nil {
				return nil, err
			}
			todo = append(todo, mergedFile{path, name, []int{m.gains, 1, f.Rows, f.Cols}, m.cells([]int{panel})})
		}
		if m.stack == nil {
			continue
		}
		f := w.fileOf(m.stack[slices.IndexFunc(m.stack, func(panel int) bool { return panel >= 0 })])
		path, err := w.repo.ProductStack(f, name)
		if err != nil {
			return nil, err
		}
		todo = append(todo, mergedFile{path, name, []int{m.gains, len(m.stack), f.Rows, f.Cols}, m.cells(m.stack)})
		paths = append(paths, path)
	}
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0)) // they wait for the disk
	for _, f := range todo {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return w.concat(f)
		})
	}
	return paths, g.Wait()
}

// mergedFile is a file that is put together.
type mergedFile struct {
	path  string
	name  repo.Product
	shape []int
	parts []cell
}

// fileOf names the products of a panel, whatever the gain mode.
func (w *products) fileOf(panel int) repo.DarkFile {
	return w.file(slices.IndexFunc(w.p.Units, func(u plan.Unit) bool { return u.Panel == panel }))
}

// merging is a product while it is put together.
type merging struct {
	gains   int
	have    []bool   // by panel: something was measured
	stack   []int    // panels in the order of the array, -1 where there is none; nil: they make no array
	missing []string // what is missing, in words; nil: nothing is
}

// newMerging looks at what there is. With --compat missing gain modes, and panels of LCLS-II, are filled as the originals
// do; without it only gain modes that no dark run shows are, with NO_DATA.
func (w *products) newMerging() *merging {
	family, _ := detector.Lookup(w.p.Dataset.Type)
	m := &merging{gains: len(family.GainModes), have: make([]bool, len(w.p.Dataset.Panels))}
	for u := range w.p.Units {
		if at, ok := w.cell(u); ok {
			m.have[at.panel] = true
		}
	}
	compat := status.Compat(w.p.Params.Compat)
	for panel, q := range w.p.Dataset.Panels {
		for gain, mode := range family.GainModes {
			_, there := w.paths[w.opt.Names[0]][cell{panel, gain}]
			hidden := slices.Contains(slices.Collect(maps.Values(lowGains)), mode)
			if there || hidden || compat != status.Sane || !m.have[panel] || len(m.missing) == 3 {
				continue
			}
			m.missing = append(m.missing, fmt.Sprintf("segment %d %s", q.Segment, mode))
		}
	}
	last := 0
	for _, q := range w.p.Dataset.Panels {
		if q.Sub != 0 {
			return m
		}
		last = max(last, q.Segment)
	}
	n := last + 1
	if compat == status.LCLS2 {
		n = family.StackPanels(last)
	}
	stack := slices.Repeat([]int{-1}, n)
	for panel, q := range w.p.Dataset.Panels {
		if m.have[panel] {
			stack[q.Segment] = panel
		}
	}
	if compat == status.LCLS2 || !slices.Contains(stack, -1) {
		m.stack = stack
	}
	return m
}

// cells lists the parts of an array of panels, gain slowest.
func (m *merging) cells(panels []int) (list []cell) {
	for gain := range m.gains {
		for _, panel := range panels {
			list = append(list, cell{panel, gain})
		}
	}
	return list
}

// concat writes header and parts as one file.
func (w *products) concat(f mergedFile) error {
	opt := w.repo.Policy.File()
	opt.Keep = true
	return atomicfile.Write(f.path, opt, func(out io.Writer) error {
		if _, err := out.Write(w.header(f.path, f.shape).Text(w.dtype(f.name))); err != nil {
			return err
		}
		for _, at := range f.parts {
			if err := w.copyPart(out, f.name, at, f.shape[2], f.shape[3]); err != nil {
				return fmt.Errorf("could not merge products of %s: %w", filepath.Base(f.path), err)
			}
		}
		return nil
	})
}

// copyPart writes the rows of one panel in one gain mode.
func (w *products) copyPart(out io.Writer, name repo.Product, at cell, rows, cols int) error {
	file, there := w.paths[name][at]
	c := w.single[at]
	switch {
	case there && c != nil && name.Real():
		values := c.ave
		if name == repo.PixelRMS {
			values = c.rms
		}
		single := make([]float64, len(values))
		for i, v := range values {
			single[i] = float64(float32(v))
		}
		_, err := out.Write(calibtxt.AppendFixedRows(nil, single, cols))
		return err
	case !there:
		_, err := out.Write(w.filling(name, at, rows, cols))
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(out, in)
	return err
}

// filling stands for pixels that were not measured: NO_DATA, or with --compat the value of the originals, which call them good.
func (w *products) filling(name repo.Product, at cell, rows, cols int) []byte {
	value := uint64(0)
	switch {
	case name == repo.PixelStatus && w.p.Params.Compat == "":
		value = status.NoData
	case w.p.Params.Compat == "" || at.panel < 0:
	case name == repo.PixelRMS && (w.style == repo.Psana1Panels || strings.HasPrefix(strings.ToLower(w.p.Dataset.Type), "epix10ka")):
		value = 1
	case name == repo.PixelMax && w.style == repo.Psana1Panels && strings.HasPrefix(strings.ToLower(w.p.Dataset.Type), "jungfrau"):
		value = 0x3fff
	}
	if name.Real() {
		return calibtxt.AppendFixedRows(nil, slices.Repeat([]float64{float64(value)}, rows*cols), cols)
	}
	return calibtxt.AppendIntRows(nil, slices.Repeat([]uint64{value}, rows*cols), cols, w.style.Width(name, w.p.Dataset.Type))
}

// Constants are the constants that a dark run has of one unit, as they are deployed.
type Constants struct {
	Panel    int // position in the plan's panels
	GainMode string
	Frames   uint64    // 0: the panel has none
	Ave, Rms []float32 // of the numbers that stand in text
	Status   []uint16
	Min, Max []uint16
}

// constantsBytes is the memory that a pixel of Constants takes.
const constantsBytes = 4 + 4 + 2 + 2 + 2

// DarkConstants returns the constants of all units of a plan of profile dark, by the rules of its last reduction, from
// what is stored of it, and those that follow from charge injection in a repository. A note says which those are.
func DarkConstants(ctx context.Context, work string, p *plan.Plan, r *repo.Repo) (out []Constants, notes []string, err error) {
	if err := CheckProducts(p, repo.DarkSet); err != nil {
		return nil, nil, err
	}
	q, err := InForce(work, p)
	if err != nil {
		return nil, nil, err
	}
	m := newMeasurer(work, p, true)
	m.rules = q
	pixels := 0
	for u := range p.Units {
		pixels += p.Pixels(u)
	}
	memory.Huge(int64(pixels) * (constantsBytes + measuredBytes))
	for g := range p.Groups {
		units, in, err := loadGroup(ctx, p, g, m.bytes(), m.stored)
		if err != nil {
			return nil, nil, err
		}
		if gatesOnly(p, units) {
			return nil, nil, fault.New(fault.Usage, "the job in %q makes gates for others: it has no constants", work)
		}
		v, err := judge(q, units, in)
		if err != nil {
			return nil, nil, err
		}
		made, low := make([]Constants, len(units)), make([]*Constants, len(units))
		var together fault.Group
		for i, u := range units {
			together.Go(func() (err error) {
				if made[i], err = constantsOf(p, u, &v.panels[i]); err != nil {
					return err
				}
				low[i], err = lowConstants(r, p, &made[i], v.panels[i].constants.ave)
				return err
			})
		}
		if err := together.Wait(); err != nil {
			return nil, nil, err
		}
		for i := range units {
			if out = append(out, made[i]); low[i] != nil {
				notes, out = append(notes, lowNote(p, made[i].Panel, made[i].GainMode)), append(out, *low[i])
			}
		}
	}
	return out, notes, nil
}

// constantsOf returns the constants of a unit, apart from the memory that its judgement shares with that of others.
func constantsOf(p *plan.Plan, unit int, j *judged) (Constants, error) {
	c := Constants{Panel: p.Units[unit].Panel, GainMode: p.Groups[p.Units[unit].Group].GainMode, Frames: j.Frames, Status: make([]uint16, j.Bad.Pixels),
		Ave: make([]float32, len(j.constants.ave)), Rms: make([]float32, len(j.constants.rms)), Min: j.constants.min, Max: j.constants.max}
	calibtxt.FixedAll(c.Ave, j.constants.ave)
	calibtxt.FixedAll(c.Rms, j.constants.rms)
	all := uint64(0)
	for i, at := range j.Bad.At {
		c.Status[at] = uint16(j.Bad.Words[i])
		all |= j.Bad.Words[i]
	}
	if all > math.MaxUint16 {
		return c, fault.New(fault.Unexpected, "the status of %s has bits %#x, analysis of LCLS-I knows 16 bits", p.UnitName(unit), all)
	}
	return c, nil
}

// lowConstants returns the constants of the gain mode that shares its amplifier with that of a unit, of these averages, and is in no dark run,
// where charge injection determines its pedestals; nil where it does not.
func lowConstants(r *repo.Repo, p *plan.Plan, high *Constants, ave []float64) (*Constants, error) {
	mode, known := lowGains[high.GainMode]
	if !known || high.Frames == 0 || measured(p, high.Panel, mode) {
		return nil, nil
	}
	values, err := lowPedestals(r, p, high.Panel, high.GainMode, ave)
	if err != nil || values == nil {
		return nil, err
	}
	low := *high
	low.GainMode, low.Ave = mode, make([]float32, len(values))
	calibtxt.FixedAll(low.Ave, values)
	return &low, nil
}
