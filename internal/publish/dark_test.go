package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

const darkRows, darkCols = 8, 512 // two chips of a jungfrau

// darkRunOf is a run of two panels whose pedestals tell segment, gain and pixel.
func darkRunOf(run int) *DarkRun {
	d := &DarkRun{Run: frame.Run{Experiment: "mfxx1", Number: run, Begin: time.Date(2026, 1, run, 12, 0, 0, 0, time.UTC)}, Detector: "jungfrau", Type: "jungfrau",
		Source: "scratch/plan.json", PlanID: fmt.Sprint("plan ", run)}
	for seg := range 2 {
		d.Panels = append(d.Panels, frame.Panel{Detector: "jungfrau", Type: "jungfrau", Segment: seg, ID: fmt.Sprint("id-", seg), Rows: darkRows, Cols: darkCols})
		for gain, mode := range []string{"g0", "g1", "g2"} {
			u := DarkUnit{Panel: seg, GainMode: mode, Frames: 100}
			for i := range darkRows * darkCols {
				u.Ave = append(u.Ave, float32(calibtxt.Fixed(1000+5000*float64(gain)+float64(100*seg)+float64(i%97)/7)))
				u.Rms = append(u.Rms, float32(calibtxt.Fixed(3+float64(i%5)/9)))
				u.Min, u.Max = append(u.Min, uint16(900)), append(u.Max, uint16(15000+i%11))
			}
			u.Status = make([]uint16, len(u.Ave))
			u.Status[seg] = 1
			d.Units = append(d.Units, u)
		}
	}
	return d
}

func (d *DarkRun) unit(seg int, mode string) *DarkUnit {
	i := slices.IndexFunc(d.Units, func(u DarkUnit) bool { return d.Panels[u.Panel].Segment == seg && u.GainMode == mode })
	return &d.Units[i]
}

// darkPlaces returns the destinations of a calibration directory.
func darkPlaces(root string) func(string) (calib.Destination, error) {
	return func(ctype string) (calib.Destination, error) {
		d, err := calibdir.New(root, "Jungfrau::CalibV1", "jungfrau", ctype, disk.Files{Policy: &access.Policy{DirMode: 0o775, FileMode: 0o664}}, time.UTC)
		if err != nil {
			return calib.Destination{}, err
		}
		return d.Destination(), nil
	}
}

// planDark plans a set for a run.
func planDark(t *testing.T, root string, d *DarkRun, change func(*DarkOptions)) *DarkPlan {
	t.Helper()
	s, err := d.Subject(repo.New(t.TempDir(), nil, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	opt := DarkOptions{Products: repo.Products, Destination: darkPlaces(root), Range: calib.Range{Begin: d.Run.Number, End: calib.Last}, Gate: DefaultGate}
	if opt.Standing, err = LookUp(context.Background(), func(ctype string) (Reader, error) {
		p, err := opt.Destination(ctype)
		return p.Store.(Reader), err
	}, d.Run.Number); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&opt)
	}
	p, err := NewDarkPlan(context.Background(), s, d, time.UTC, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDarkSet deploys a set and reads it as psana does; the same again changes nothing; a rollback takes all of it back.
func TestDarkSet(t *testing.T) {
	root := t.TempDir()
	d := darkRunOf(5)
	if err := planDark(t, root, d, nil).Execute(context.Background(), nil, "", false); err != nil {
		t.Fatal(err)
	}
	for _, name := range repo.Products {
		path := filepath.Join(root, "Jungfrau::CalibV1/jungfrau", string(name), "5-end.data")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a, err := calibtxt.Load(bytes.NewReader(text), int64(len(text)), path)
		if err != nil || a.DType != name.DType() || !slices.Equal(a.Shape, []int{3, 2, darkRows, darkCols}) {
			t.Fatalf("%s: %v, %s %v", name, err, a.DType, a.Shape)
		}
		u := d.unit(1, "g2")
		at := (2*2 + 1) * darkRows * darkCols
		for i := range darkRows * darkCols {
			var got, want float64
			switch name {
			case repo.Pedestals:
				got, want = a.Floats[at+i], float64(u.Ave[i])
			case repo.PixelRMS:
				got, want = a.Floats[at+i], float64(u.Rms[i])
			case repo.PixelStatus:
				got, want = float64(a.Ints[at+i]), float64(u.Status[i])
			case repo.PixelMax:
				got, want = float64(a.Ints[at+i]), float64(u.Max[i])
			case repo.PixelMin:
				got, want = float64(a.Ints[at+i]), float64(u.Min[i])
			}
			if got != want {
				t.Fatalf("%s of pixel %d is %v, wanted %v", name, i, got, want)
			}
		}
	}
	again := planDark(t, root, d, nil)
	if err := again.Execute(context.Background(), nil, "", false); err != nil {
		t.Fatal(err)
	}
	if !again.Unchanged {
		t.Error("the same set is deployed a second time")
	}
	set := SetOf(again.Parts[0].dest, darkPlaces(root))
	if records, err := set.Records(); err != nil || len(records) != 1 || len(records[0].Parts) != len(repo.Products) || records[0].ID != again.Set {
		t.Errorf("the ledger of sets has %+v (%v), wanted one entry, %s", records, err, again.Set)
	}
	if err := planDark(t, root, darkRunOf(6), nil).Execute(context.Background(), nil, "", false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"5-end.data", ""} {
		last, err := set.Last("")
		if err != nil {
			t.Fatal(err)
		}
		rec, err := set.Undo(context.Background(), calib.Record{}, last.ID)
		if err != nil || len(rec.Parts) != len(repo.Products) {
			t.Fatal(err, rec)
		}
		if got := usedBy(t, darkPlaces(root), repo.Products, 7); got != strings.Repeat(want+" ", len(repo.Products)) {
			t.Errorf("after the rollback run 7 uses %q, wanted %q of each", got, want)
		}
	}
	if _, err := set.Last(""); fault.CodeOf(err) != fault.Input {
		t.Errorf("nothing is left to take back, and the answer is %v", err)
	}
}

// usedBy lists what a run uses of some types.
func usedBy(t *testing.T, dests func(string) (calib.Destination, error), types []repo.Product, run int) (names string) {
	t.Helper()
	for _, name := range types {
		dest, err := dests(string(name))
		if err != nil {
			t.Fatal(err)
		}
		item, _, err := dest.Find(context.Background(), run)
		if err != nil {
			t.Fatal(err)
		}
		if item != nil {
			names += item.Name
		}
		names += " "
	}
	return names
}

// TestDarkSetKilled ends the process at every change that it makes to the file system, while it deploys a set and while it
// takes one back: the next one finds all types or none, and can go on.
func TestDarkSetKilled(t *testing.T) {
	ctx := context.Background()
	d := smallDark()
	killed := errors.New("killed")
	for _, undo := range []bool{false, true} {
		for n := 0; ; n++ {
			mem := disk.NewMemory(nil)
			if undo {
				if err := planIn(t, memPlaces(mem), d).Execute(ctx, nil, "", false); err != nil {
					t.Fatal(err)
				}
			}
			at := 0
			process := mem.Process(func(string, string) error {
				if at++; at > n {
					return killed
				}
				return nil
			})
			dying := memPlaces(process)
			first, _ := dying(string(repo.Pedestals))
			if set := SetOf(first, dying); !undo {
				_ = planIn(t, dying, d).Execute(ctx, nil, "", false)
			} else if last, err := set.Last(""); err == nil {
				_, _ = set.Undo(ctx, calib.Record{}, last.ID)
			}
			finished := at <= n
			process.Die()
			dests := memPlaces(mem)
			dest, _ := dests(string(repo.Pedestals))
			set := SetOf(dest, dests)
			if err := set.Collect(ctx); err != nil {
				t.Fatalf("killed at change %d: %v", n, err)
			}
			all := strings.Repeat("5-end.data ", len(repo.DarkSet))
			got := usedBy(t, dests, repo.DarkSet, 7)
			if got != all && strings.Trim(got, " ") != "" || finished && (got == all) == undo {
				t.Fatalf("killed at change %d (undo: %v): run 7 uses %q", n, undo, got)
			}
			if err := planIn(t, dests, d).Execute(ctx, nil, "", false); err != nil {
				t.Fatalf("killed at change %d: %v", n, err)
			}
			if got := usedBy(t, dests, repo.DarkSet, 7); got != all {
				t.Fatalf("killed at change %d, and deployed again: run 7 uses %q", n, got)
			}
			if finished {
				if n < 20 {
					t.Fatalf("only %d changes", n)
				}
				break
			}
		}
	}
}

// smallDark is a run of one small panel.
func smallDark() *DarkRun {
	d := darkRunOf(5)
	d.Panels = d.Panels[:1]
	d.Panels[0].Rows, d.Panels[0].Cols = 2, 4
	d.Units = slices.DeleteFunc(d.Units, func(u DarkUnit) bool { return u.Panel > 0 })
	for i := range d.Units {
		u := &d.Units[i]
		u.Ave, u.Rms, u.Status, u.Min, u.Max = u.Ave[:8], u.Rms[:8], u.Status[:8], u.Min[:8], u.Max[:8]
	}
	return d
}

// memPlaces returns the destinations of a calibration directory in memory.
func memPlaces(m *disk.Memory) func(string) (calib.Destination, error) {
	return func(ctype string) (calib.Destination, error) {
		d, err := calibdir.New("/calib", "Jungfrau::CalibV1", "jungfrau", ctype, m, time.UTC)
		if err != nil {
			return calib.Destination{}, err
		}
		d.LockWait = 0
		return d.Destination(), nil
	}
}

// planIn plans the usual set in some destinations.
func planIn(t *testing.T, dests func(string) (calib.Destination, error), d *DarkRun) *DarkPlan {
	t.Helper()
	s, err := d.Subject(repo.New("/repo", nil, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewDarkPlan(context.Background(), s, d, time.UTC, DarkOptions{Products: repo.DarkSet, Destination: dests, Range: calib.Range{Begin: 5, End: calib.Last},
		Gate: DefaultGate, Standing: &Standing{}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDarkGate plants what must not be deployed, each beside a good run.
func TestDarkGate(t *testing.T) {
	root := t.TempDir()
	if err := planDark(t, root, darkRunOf(5), nil).Execute(context.Background(), nil, "", false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, rule, text string
		plant            func(*DarkRun)
	}{
		{"as before", "", "", func(*DarkRun) {}},
		{"zero pedestals", "zero-pedestals", "segment 1 g1", func(d *DarkRun) { clear(d.unit(1, "g1").Ave) }},
		{"zero rms", "zero-rms", "segment 0 g2", func(d *DarkRun) { clear(d.unit(0, "g2").Rms) }},
		{"rms not finite", "zero-rms", "1 not finite", func(d *DarkRun) { u := d.unit(0, "g2"); u.Rms[3] /= 0 * u.Rms[3] }},
		{"swapped gains", "moved", "look like those of g1 in force", func(d *DarkRun) {
			a, b := d.unit(0, "g0"), d.unit(0, "g1")
			a.GainMode, b.GainMode = "g1", "g0"
		}},
		{"missing panel", missing, "segment 1 has no data", func(d *DarkRun) {
			for _, mode := range []string{"g0", "g1", "g2"} {
				d.unit(1, mode).Frames = 0
			}
		}},
		{"missing gain", missing, "segment 0 gain mode g2 has no data", func(d *DarkRun) { d.unit(0, "g2").Frames = 0 }},
		{"no step of a gain", missing, "gain mode g2 has no data", func(d *DarkRun) {
			d.Units = slices.DeleteFunc(d.Units, func(u DarkUnit) bool { return u.GainMode == "g2" })
		}},
		{"moved chip", "moved", "segment 1 g0 chip at row 0 column 256 by +50.0 ADU", func(d *DarkRun) {
			u := d.unit(1, "g0")
			for i := range u.Ave {
				if i%darkCols >= 256 {
					u.Ave[i] += 50
				}
			}
		}},
		{"no statistics", "unjudged", "segment 0 g0", func(d *DarkRun) {
			u := d.unit(0, "g0")
			for i := range len(u.Status) * 3 / 5 {
				u.Status[i] = uint16(status.LowStats)
			}
		}},
		{"most bad", "most-bad", "segment 1 g2", func(d *DarkRun) {
			u := d.unit(1, "g2")
			for i := range len(u.Status) * 3 / 5 {
				u.Status[i] = uint16(status.IntHigh)
			}
		}},
	} {
		d := darkRunOf(6)
		c.plant(d)
		p := planDark(t, root, d, nil)
		err := p.Allowed()
		if c.rule == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		i := slices.IndexFunc(p.Findings, func(f Finding) bool { return f.Rule == c.rule })
		if fault.CodeOf(err) != fault.Refused || i < 0 || !strings.Contains(p.Findings[i].Text, c.text) {
			t.Errorf("%s: %v, %v", c.name, err, p.Findings)
			continue
		}
		if err := p.Execute(context.Background(), nil, "", false); fault.CodeOf(err) != fault.Refused {
			t.Errorf("%s: executed: %v", c.name, err)
		}
		if c.rule != missing {
			var force []string
			for _, f := range p.Findings {
				force = append(force, f.Rule)
			}
			if err := planDark(t, root, d, func(o *DarkOptions) { o.Gate.Force = force }).Allowed(); err != nil {
				t.Errorf("%s: forced: %v", c.name, err)
			}
		}
	}
	dest, _ := darkPlaces(root)("pedestals")
	if records, err := dest.Records(); err != nil || len(records) != 1 {
		t.Errorf("refused plans have left %d records (%v)", len(records), err)
	}
}

// TestDarkMissingIsNoData: what the user lets be is NO_DATA, never good.
func TestDarkMissingIsNoData(t *testing.T) {
	d := darkRunOf(5)
	for _, mode := range []string{"g0", "g1", "g2"} {
		d.unit(1, mode).Frames = 0
	}
	p := planDark(t, t.TempDir(), d, func(o *DarkOptions) { o.MissingPanel = "bad" })
	if err := p.Allowed(); err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Parts {
		for i, v := range q.array.Words.Dense() {
			want := uint64(0)
			if q.CType == repo.PixelStatus {
				want = status.NoData
			}
			if i/(darkRows*darkCols)%2 == 1 && v != want {
				t.Fatalf("%s of pixel %d of the missing panel is %d", q.CType, i, v)
			}
		}
	}
}

// TestDarkSetIsWhole: when a type cannot be deployed, those before it are taken back.
func TestDarkSetIsWhole(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "Jungfrau::CalibV1/jungfrau")
	p := planDark(t, root, darkRunOf(5), nil)
	if err := os.MkdirAll(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pixel_status"), nil, 0o664); err != nil {
		t.Fatal(err)
	}
	err := p.Execute(context.Background(), nil, "", false)
	if err == nil || !strings.Contains(err.Error(), "nothing of the set is deployed") {
		t.Fatalf("a file in place of pixel_status: %v", err)
	}
	for _, name := range []string{"pedestals", "pixel_rms"} {
		if _, err := os.Stat(filepath.Join(dir, name, "5-end.data")); !os.IsNotExist(err) {
			t.Errorf("%s stays deployed: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "pixel_status")); err != nil {
		t.Fatal(err)
	}
	if err := planDark(t, root, darkRunOf(5), nil).Execute(context.Background(), nil, "", false); err != nil {
		t.Errorf("after the cause is gone: %v", err)
	}
}

// TestDarkPlanesNotToldApart: constants of a type whose gain modes are not told apart do not go into any of its planes, for the
// others would be zeros that analysis takes for pedestals of good pixels. An array in force without that axis takes them.
func TestDarkPlanesNotToldApart(t *testing.T) {
	d := darkRunOf(10)
	d.Type, d.Units, d.Panels = "epixm320", d.Units[:1], d.Panels[:1]
	d.Units[0].GainMode = ""
	s, err := d.Subject(repo.New(t.TempDir(), nil, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	opt := DarkOptions{Products: repo.Products, Destination: darkPlaces(t.TempDir()), Range: calib.Range{Begin: 10, End: calib.Last}, Gate: DefaultGate, Standing: &Standing{}}
	_, err = NewDarkPlan(context.Background(), s, d, time.UTC, opt)
	if fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "3 gain planes") {
		t.Fatal(err)
	}
	opt.Standing = &Standing{Shape: []int{1, darkRows, darkCols}, From: "pedestals"}
	p, err := NewDarkPlan(context.Background(), s, d, time.UTC, opt)
	if err != nil {
		t.Fatal(err)
	}
	if a := p.Parts[0].array; a.Len() != darkRows*darkCols {
		t.Errorf("%d elements of shape %v", a.Len(), a.Shape)
	}
}
