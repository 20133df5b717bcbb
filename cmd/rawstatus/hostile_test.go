package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/xtc1"
	"rawstatus/internal/io/xtc2"
)

// hostile is a run of one stream that a test writes datagram by datagram.
type hostile struct {
	t   *testing.T
	w   *xtc2.StreamWriter
	d   xtc2.Draft
	ts  uint64
	dir string
}

func newHostile(t *testing.T) *hostile {
	h := &hostile{t: t, ts: 1 << 62, dir: t.TempDir()}
	var err error
	if h.w, err = xtc2.CreateStream(rawrun.StreamOptions{Dir: h.dir, Experiment: "tst", Run: 1, NoSmalldata: true}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hostile) put(s xtc2.Service, fill ...func(d *xtc2.Draft)) *hostile {
	h.ts += 1000
	h.d.Begin(s, h.ts, 0, 1)
	for _, f := range fill {
		f(&h.d)
	}
	if err := h.w.Write(&h.d); err != nil {
		h.t.Fatal(err)
	}
	return h
}

// run ends the file and calls the program on it.
func (h *hostile) call(command string, flags ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	if h.w != nil {
		if err := h.put(xtc2.EndRun).w.Close(); err != nil {
			h.t.Fatal(err)
		}
		h.w = nil
	}
	args := []string{command, "--exp", "tst", "--run", "1", "--dir", h.dir, "--settle", "1ms"}
	if command == "run" {
		args = append(args, "-o", filepath.Join(h.dir, "repo"))
	}
	return call(h.t, append(args, flags...)...)
}

// panel describes a panel; image is a frame of it.
func panel(index int, typ, det string, segment int) *xtc2.Names {
	return &xtc2.Names{ID: xtc2.ID(0, index), DetType: typ, DetName: det, DetID: fmt.Sprintf("hw-%s-%d", typ, segment), Alg: "raw", Segment: segment,
		Fields: []xtc2.Field{{Name: "raw", Type: xtc2.UInt16, Rank: 2}}}
}

func image(event, rows, cols int) xtc2.FieldValue {
	return xtc2.FieldValue{Dims: []int{rows, cols}, Fill: func(b []byte) {
		for i := 0; i+1 < len(b); i += 2 {
			v := 1000 + (i*7+event*13)%40
			b[i], b[i+1] = byte(v), byte(v>>8)
		}
	}}
}

func names(list ...*xtc2.Names) func(d *xtc2.Draft) {
	return func(d *xtc2.Draft) {
		for _, n := range list {
			d.Names(n)
		}
	}
}

func value(n *xtc2.Names, v ...any) func(d *xtc2.Draft) {
	return func(d *xtc2.Draft) { d.Values(n, 0, v...) }
}

// TestOddConfigurationsLeaveTheGainModeOpen writes panels with configurations of shapes that nobody uses: nothing but a result
// without gain mode may come of it, for the panel or for another detector of the run.
func TestOddConfigurationsLeaveTheGainModeOpen(t *testing.T) {
	for rank := range 5 {
		h := newHostile(t)
		cam, other := panel(10, "epix10ka", "quad", 0), panel(11, "opal", "eye", 0)
		config := &xtc2.Names{ID: xtc2.ID(0, 1), DetType: "epix10ka", DetName: "quad", Alg: "config",
			Fields: []xtc2.Field{{Name: "asicPixelConfig", Type: xtc2.UInt8, Rank: rank}, {Name: "trbit", Type: xtc2.UInt8, Rank: 1}}}
		var pixels any = uint8(12)
		if rank > 0 {
			pixels = xtc2.FieldValue{Dims: []int{4, 2, 2, 2, 2}[:rank], Fill: func([]byte) {}}
		}
		h.put(xtc2.Configure, names(cam, other, config), value(config, pixels, xtc2.FieldValue{Dims: []int{4}, Fill: func([]byte) {}})).
			put(xtc2.BeginRun).put(xtc2.BeginStep)
		for e := range 6 {
			h.put(xtc2.L1Accept, value(cam, image(e, 4, 8)), value(other, image(e, 4, 8)))
		}
		for _, det := range []string{"quad", "eye"} {
			if code, _, stderr := h.call("run", "-d", det, "--work", filepath.Join(h.dir, det)); code != 0 {
				t.Errorf("rank %d, %s: exit code %d: %s", rank, det, code, stderr)
			}
		}
	}
}

// TestUnequalPanelsAreJudgedAloneAndTogether runs all profiles over panels of unequal shapes, of unequal numbers of frames, and of
// both, in one task and in many of two stages.
func TestUnequalPanelsAreJudgedAloneAndTogether(t *testing.T) {
	for _, c := range []struct{ rows, cols, every int }{{16, 48, 1}, {20, 32, 3}, {48, 16, 40}, {17, 17, 7}} {
		h := newHostile(t)
		a, b := panel(10, "tcam", "cam", 0), panel(11, "tcam", "cam", 1)
		h.put(xtc2.Configure, names(a, b)).put(xtc2.BeginRun).put(xtc2.BeginStep)
		for e := range 300 {
			fill := []func(*xtc2.Draft){value(a, image(e, 20, 32))}
			if e%c.every == 0 {
				fill = append(fill, value(b, image(e, c.rows, c.cols)))
			}
			h.put(xtc2.L1Accept, fill...)
		}
		for i, flags := range [][]string{{"--profile", "dark"}, {"-F", "1,6"}, {"-F", "1,2,3"}, {"--profile", "dark", "--compat", "lcls1"}, {"--compat", "lcls1", "-F", "1,6"},
			{"--compat", "lcls1", "-F", "1,2,3"}, {"--compat", "lcls1", "-F", "1"}, {"--compat", "lcls1", "-F", "1,2,3,6"}, {"--compat", "lcls2"}, {"--limits", "robust", "--limits-per", "asic"}} {
			for _, tasks := range []string{"1", "9"} {
				code, _, stderr := h.call("run", append(flags, "--tasks", tasks, "--max-lost", "100", "--work", filepath.Join(h.dir, fmt.Sprint("w", i, tasks)), "-C", fmt.Sprint("status_t", i))...)
				if code != 0 && code != 2 && code != 10 || strings.Contains(stderr, "unexpected") || code == 2 && !strings.Contains(stderr, "shape") {
					t.Errorf("%+v %v --tasks %s: exit code %d: %s", c, flags, tasks, code, stderr)
				}
			}
		}
	}
}

// TestHostileNamesLeadNowhere writes names and descriptions that are no UTF-8, or lead elsewhere: plans stay readable,
// and nothing is written outside the folders that were named.
func TestHostileNamesLeadNowhere(t *testing.T) {
	outer := t.TempDir()
	inner := filepath.Join(outer, "a", "b", "c")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inner)
	h := newHostile(t)
	cam, info, scan := panel(10, "tc/../\xffam", "../../\xfe\xffcam", 0), xtc2.RunInfoNames(0), xtc2.ScanNames(0)
	cam.DetID = "../../\xffid"
	h.put(xtc2.Configure, names(cam, info, scan)).put(xtc2.BeginRun, value(info, "../../tst", uint32(1))).put(xtc2.BeginStep, value(scan, 0.5, "caf\xe9 \x01\xff"))
	for e := range 6 {
		h.put(xtc2.L1Accept, value(cam, image(e, 4, 8)))
	}
	code, stdout, stderr := h.call("inspect", "--json")
	if code != 0 || !json.Valid([]byte(stdout)) || !strings.Contains(stdout, `caf\\xe9`) {
		t.Errorf("inspect: exit code %d: %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = h.call("plan", "--tasks", "2")
	work := filepath.Join(inner, "rawstatus-work")
	entries, err := os.ReadDir(work)
	if code != 0 || err != nil || len(entries) != 1 {
		t.Fatalf("plan: exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	work = filepath.Join(work, entries[0].Name())
	for _, args := range [][]string{{"task", "--work", work, "--task", "0"}} {
		if code, _, stderr := call(t, args...); code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	h.call("run") // whatever it says of such names
	var outside []string
	filepath.WalkDir(outer, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(path, filepath.Join(inner, "rawstatus-work")+"/") {
			outside = append(outside, path)
		}
		return err
	})
	if len(outside) > 0 {
		t.Errorf("written outside: %q", outside)
	}
}

// TestPipesNamedLikeRawFilesAreRefused refuses pipes that are named like raw files, whichever way they are named.
func TestPipesNamedLikeRawFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tst-r0001-s000-c000.xtc2", "tst-r0002-s00-c00.xtc", "any.npy"} {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o644); err != nil {
			t.Skip(err)
		}
		for _, args := range [][]string{{"inspect"}, {"run", "--work", filepath.Join(dir, "w"), "-o", filepath.Join(dir, "r")}} {
			if code, _, stderr := call(t, append(args, "--file", path)...); code != int(fault.Input) || !strings.Contains(stderr, "pipe") {
				t.Errorf("%s --file %s: exit code %d: %s", args[0], name, code, stderr)
			}
		}
	}
	for _, run := range []string{"1", "2"} {
		if code, _, stderr := call(t, "inspect", "--exp", "tst", "--run", run, "--dir", dir); code != int(fault.Input) || !strings.Contains(stderr, "pipe") {
			t.Errorf("run %s: exit code %d: %s", run, code, stderr)
		}
	}
}

// TestConfigureWithThousandsOfNamesIsRead reads a Configure with thousands of names.
func TestConfigureWithThousandsOfNamesIsRead(t *testing.T) {
	h := newHostile(t)
	var list []*xtc2.Names
	for i := range 6000 {
		n := panel(0, "tcam", fmt.Sprintf("cam%d", i), 0)
		n.ID = uint32(i)
		list = append(list, n)
	}
	h.put(xtc2.Configure, names(list...)).put(xtc2.BeginRun).put(xtc2.BeginStep)
	for e := range 5 {
		h.put(xtc2.L1Accept, value(list[17], image(e, 4, 8)))
	}
	if code, _, stderr := h.call("run", "-d", "cam17", "--work", filepath.Join(h.dir, "w")); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestLittleFileLittleMemory describes many panels and sends many events without any: what a file can make
// the program allocate is bounded by its size.
func TestLittleFileLittleMemory(t *testing.T) {
	h := newHostile(t)
	var list []*xtc2.Names
	for i := range 900 {
		n := panel(0, "tcam", "cam", i)
		n.ID = uint32(i)
		list = append(list, n)
	}
	h.put(xtc2.Configure, names(list...)).put(xtc2.BeginRun).put(xtc2.BeginStep)
	h.put(xtc2.L1Accept, value(list[0], image(0, 4, 8)))
	for range 30000 {
		h.put(xtc2.L1Accept)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code, _, stderr := h.call("inspect")
	runtime.ReadMemStats(&after)
	if code != int(fault.Input) || !strings.Contains(stderr, "panels and") {
		t.Errorf("exit code %d: %.300s", code, stderr)
	}
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 100 {
		t.Errorf("2 MB of files made it allocate %d MiB", mib)
	}
}

// TestCspadWithoutSections reads a CsPad whose configuration excludes everything, beside a camera.
func TestCspadWithoutSections(t *testing.T) {
	dir := t.TempDir()
	w, err := xtc1.CreateStream(rawrun.StreamOptions{Dir: dir, Experiment: "tst", Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	cspad, err := xtc1.ParseSource("CxiDs1.0:Cspad.0")
	if err != nil {
		t.Fatal(err)
	}
	camera, err := xtc1.NewModel("CxiDs1.0:Opal1000.0", 1, 4, 8)
	if err != nil {
		t.Fatal(err)
	}
	var d xtc1.Draft
	put := func(tr xtc1.Transition, n uint64, fill func()) {
		d.Begin(tr, 1464000000<<32+n, uint32(3*n), 1, 0)
		if fill != nil {
			fill()
		}
		if err := w.Write(&d); err != nil {
			t.Fatal(err)
		}
	}
	put(xtc1.Configure, 0, func() { d.Leaf(cspad, 29, 5, 0, 287928); camera.PutConfig(&d, "") })
	put(xtc1.BeginRun, 1, nil)
	put(xtc1.BeginCalibCycle, 2, nil)
	for e := range 6 {
		put(xtc1.L1Accept, uint64(3+e), func() {
			d.Leaf(cspad, 28, 2, 0, 64)
			camera.PutFrame(&d, e, 0, func(b []byte, _ int) { image(e, 4, 8).Fill(b) })
		})
	}
	put(xtc1.EndRun, 20, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	args := func(det string) []string {
		return []string{"run", "--exp", "tst", "--run", "1", "--dir", dir, "-d", det, "-o", filepath.Join(dir, "repo"), "--work", filepath.Join(dir, det)}
	}
	if code, _, stderr := call(t, args("CxiDs1.0:Opal1000.0")...); code != 0 {
		t.Errorf("camera: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := call(t, args("CxiDs1.0:Cspad.0")...); code != int(fault.Input) || !strings.Contains(stderr, "excludes all sections") {
		t.Errorf("CsPad: exit code %d: %s", code, stderr)
	}
}
