package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// results are the figures of a run of the program; they are stored as JSON.
type results struct {
	Machine  facts       `json:"machine"`
	Options  optionsJSON `json:"options"`
	Lines    []line      `json:"results"`
	Values   []value     `json:"values"`
	Criteria []criterion `json:"criteria"`
}

type optionsJSON struct {
	Size  int64 `json:"size"`
	RAM   int   `json:"ram_frames"`
	Numpy int64 `json:"numpy_bytes"`
	Reps  int   `json:"reps"`
}

// line is a timed variant.
type line struct {
	Group   string    `json:"group"`
	Name    string    `json:"name"`
	Cores   int       `json:"cores"` // 0: all
	Bytes   int64     `json:"bytes"`
	Seconds []float64 `json:"seconds"`
	CPU     []float64 `json:"cpu_seconds"`
	GBs     float64   `json:"gb_per_s"` // median, 1e9 bytes of raw input
}

// value is a number that is not a rate.
type value struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Remark string  `json:"remark,omitempty"`
}

// criterion is a mark that the project set itself.
type criterion struct {
	Number string  `json:"number"`
	What   string  `json:"what"`
	Want   float64 `json:"want"`
	AtMost bool    `json:"at_most,omitempty"`
	Got    float64 `json:"got"`
	Met    bool    `json:"met"`
	Known  bool    `json:"measured"`
}

func (r *results) add(group, name string, bytes int64, cores int, seconds, cpu []float64) {
	r.Lines = append(r.Lines, line{group, name, cores, bytes, seconds, cpu, float64(bytes) / 1e9 / median(seconds)})
}

func (r *results) value(name string, v float64, unit, remark string) {
	r.Values = append(r.Values, value{name, v, unit, remark})
}

func (r *results) line(group, name string) *line {
	for i := range r.Lines {
		if r.Lines[i].Group == group && r.Lines[i].Name == name {
			return &r.Lines[i]
		}
	}
	return nil
}

// ratio returns the median over repetitions of the rate of one variant to that of another in the same
// group; ok is false if one was not measured.
func (r *results) ratio(group, name, to string) (ratio float64, ok bool) {
	a, b := r.line(group, name), r.line(group, to)
	if a == nil || b == nil {
		return 0, false
	}
	var v []float64
	for i := range min(len(a.Seconds), len(b.Seconds)) {
		v = append(v, float64(a.Bytes)/a.Seconds[i]/(float64(b.Bytes)/b.Seconds[i]))
	}
	return median(v), true
}

func (r *results) number(name string) (float64, bool) {
	for _, v := range r.Values {
		if v.Name == name {
			return v.Value, true
		}
	}
	return 0, false
}

// judge compares with the marks. A mark whose measurement this machine could not make is not met and
// says so.
func (r *results) judge() {
	mark := func(number, what string, want, got float64, known bool) {
		r.Criteria = append(r.Criteria, criterion{number, what, want, false, got, known && got >= want, known})
	}
	least := func(number, what string, want, got float64, known bool) {
		r.Criteria = append(r.Criteria, criterion{number, what, want, true, got, known && got <= want, known})
	}
	ratio := func(number, what string, want float64, group, name, to string) {
		got, ok := r.ratio(group, name, to)
		mark(number, what, want, got, ok)
	}
	value := func(number, what string, want float64, name string) {
		got, ok := r.number(name)
		mark(number, what, want, got, ok)
	}
	most := func(number, what string, want float64, name string) {
		got, ok := r.number(name)
		least(number, what, want, got, ok)
	}
	ratio("1", "dark kernel, in cache: AVX2 / plain loop", 12, kernelCache, "dark avx2", "dark plain loop")
	ratio("1", "dark kernel, in cache: AVX-512 / plain loop", 20, kernelCache, "dark avx512", "dark plain loop")
	for _, c := range []struct {
		level           string
		dark, data, max float64
	}{{"avx512", 0.6, 0.8, 1}, {"avx2", 0.4, 0.75, 1}} {
		ratio("2", "dark / dd, one core, "+c.level, c.dark, e2e, "dark "+c.level+" 1 core", "dd bs=1M")
		ratio("2", "data / dd, one core, "+c.level, c.data, e2e, "data "+c.level+" 1 core", "dd bs=1M")
		ratio("2", "max / dd, one core, "+c.level, c.max, e2e, "max "+c.level+" 1 core", "dd bs=1M")
	}
	got, ok := r.number("dark one core / numpy")
	mark("2", "dark / numpy loop, one core", 80, got, ok)
	two, ok2 := r.ratio(e2e, "dark avx512 all cores", "dark avx512 1 core")
	limit, ok3 := r.ratio(e2e, "dark avx512 all cores", "AVX read, mapped, all cores")
	mark("2", "dark, two cores: of 1.7 x one core or 0.85 x AVX read", 1, max(two/1.7, limit/0.85), ok2 && ok3)
	value("3", "first-block quantiles / numpy.quantile", 50, "quantiles / numpy")
	value("3", "median of a frame, GB/s per core", 6, "median of a frame")
	value("3", "feature 6 / 0.38 s per frame, avx512", 200, "feature 6 avx512 / original")
	value("3", "feature 6 / 0.38 s per frame, avx2", 110, "feature 6 avx2 / original")
	value("3", "charge injection / transcription, space 5, ramp 1024", 100, "charge injection / transcription, 24 x 32 pixels")
	most("4", "cost per frame, 20000 to 1000 frames: deviation", 0.10, "frames 20000 / 1000 deviation")
	most("4", "memory beyond the planned arena, MiB", 64, "memory beyond plan")
	ratio("5", "slow store: reached of 8 GB/s, two cores", 0.8, storeGroup, "dark from the store", "the store's rate")
	most("5", "slow store: share of indexing", 0.05, "indexing share")
	most("5", "store of 4000 reads a second: share of indexing", 0.05, "indexing share, 4000 reads a second")
	ratio("6", "dark with gain bits / dark, in cache, avx512", 0.95, kernelCache, "dark and gain bits avx512", "dark avx512")
	ratio("6", "dark with gain bits / dark, in cache, avx2", 0.8, kernelCache, "dark and gain bits avx2", "dark avx2")
	ratio("6", "gates / dark kernel in cache, avx512", 0.5, kernelCache, "gates avx512", "dark avx512")
	ratio("6", "dark / dd, one core, positioned reads, avx512", 0.45, e2e, "dark avx512 1 core", "dd bs=1M")
	ratio("6", "data / dd, one core, positioned reads, avx512", 0.5, e2e, "data avx512 1 core", "dd bs=1M")
	r.judgeCommands()
}

// judgeCommands compares whole commands with their marks.
func (r *results) judgeCommands() {
	most := func(what string, want float64, name string) {
		got, ok := r.number(name)
		r.Criteria = append(r.Criteria, criterion{"7", what, want, true, got, ok && got <= want, ok})
	}
	most("run, 32 x 3 x 60: wall / dd", 7, "big: run dark, wall / dd")
	most("run, 32 x 3 x 60: CPU ms per unit beside the frames", 12, "big: run dark, fixed CPU ms per unit")
	most("run, 32 x 3 x 60: memory, MiB", 400, "big: run dark, memory")
	most("run, 32 x 3 x 60: MB written per unit, beside 1 MB of text", 7, "big: run dark, written per unit")
	most("run, 32 x 3 x 60: minor faults per unit", 200, "big: run dark, minor faults per unit")
	most("reduce, 32 x 3 x 60: CPU ms per unit", 12, "big: reduce, CPU ms per unit")
	most("mergedeploy -D, 32 x 3: CPU ms per unit", 8, "big: mergedeploy -D, CPU ms per unit")
	most("mergedeploy -D, 32 x 3: memory, MiB", 100, "big: mergedeploy -D, memory")
	most("run, 2 x 3 x 300: wall / dd", 4, "small: run dark, wall / dd")
	most("run, 2 x 3 x 300: CPU seconds, a fiftieth of psana2's 28", 0.56, "small: run dark, CPU seconds")
}

// print writes the tables.
func (r *results) print(w io.Writer) {
	r.Machine.print(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	group := ""
	for _, l := range r.Lines {
		if l.Group != group {
			group = l.Group
			fmt.Fprintf(t, "\n%s\tGB/s\tmin\tmax\tper CPU second\n", group)
		}
		lo, hi := l.rates()
		fmt.Fprintf(t, "  %s\t%.3g\t%.3g\t%.3g\t%.3g\n", l.Name, l.GBs, lo, hi, float64(l.Bytes)/1e9/median(l.CPU))
	}
	fmt.Fprintf(t, "\nother\tvalue\n")
	for _, v := range r.Values {
		fmt.Fprintf(t, "  %s\t%.4g %s\t%s\n", v.Name, v.Value, v.Unit, v.Remark)
	}
	fmt.Fprintf(t, "\nmarks\twanted\tgot\n")
	for _, c := range r.Criteria {
		sign, verdict := ">=", "met"
		if c.AtMost {
			sign = "<="
		}
		if !c.Met {
			verdict = "MISSED"
		}
		if !c.Known {
			verdict = "not measured"
		}
		fmt.Fprintf(t, "  %s  %s\t%s %.3g\t%.3g\t%s\n", c.Number, c.What, sign, c.Want, c.Got, verdict)
	}
	t.Flush()
}

// compare prints two stored results side by side.
func compare(w io.Writer, oldPath, newPath string) error {
	var r [2]results
	for i, path := range []string{oldPath, newPath} {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &r[i]); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if a, b := r[0].Machine.CPU, r[1].Machine.CPU; a != b {
		fmt.Fprintf(w, "different processors: %s, %s\n", a, b)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\told GB/s\tnew GB/s\tnew/old\n")
	for _, l := range r[1].Lines {
		if o := r[0].line(l.Group, l.Name); o != nil {
			note := ""
			// Ranges that do not overlap are a difference; anything else may be the machine's mood.
			alo, ahi := o.rates()
			if blo, bhi := l.rates(); ahi < blo || bhi < alo {
				note = "*"
			}
			fmt.Fprintf(t, "%s: %s\t%.3g\t%.3g\t%.2f%s\n", l.Group, l.Name, o.GBs, l.GBs, l.GBs/o.GBs, note)
		}
	}
	for _, v := range r[1].Values {
		if o, ok := r[0].number(v.Name); ok {
			fmt.Fprintf(t, "%s (%s)\t%.4g\t%.4g\t%.2f\n", v.Name, v.Unit, o, v.Value, v.Value/o)
		}
	}
	fmt.Fprintln(t, "* ranges over the repetitions do not overlap")
	return t.Flush()
}

func (l *line) rates() (lo, hi float64) {
	for i, s := range l.Seconds {
		g := float64(l.Bytes) / 1e9 / s
		if i == 0 {
			lo, hi = g, g
		}
		lo, hi = min(lo, g), max(hi, g)
	}
	return lo, hi
}
