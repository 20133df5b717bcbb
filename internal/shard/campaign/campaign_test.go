package campaign

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/stats/status"
)

func campaignFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile(t *testing.T) {
	f, err := ReadFile(campaignFile(t, `
name = "night-1"
[[entry]]
exp = "mfx1"
runs = "3,7-8"
detectors = ["jungfrau", "epix10k"]
profiles = ["data", "dark"]
tag = "ar"
[[entry]]
exp = "cxi2"
runs = "1"
dir = "/d"
detectors = ["jungfrau"]
options = ["--min-frames", "9"]
`))
	if err != nil {
		t.Fatal(err)
	}
	items, err := f.Items()
	if err != nil || len(items) != 13 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if got := items[4]; got.Key() != "mfx1-r0007-jungfrau-dark" || got.Tag != "ar" {
		t.Errorf("%+v", got)
	}
	if got, want := items[12], (Item{Experiment: "cxi2", Run: 1, Dir: "/d", Detector: "jungfrau", Profile: "data", Options: []string{"--min-frames", "9"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestFileErrors(t *testing.T) {
	const entry = "[[entry]]\nexp = \"e\"\nruns = \"1-3\"\ndetectors = [\"d\"]\n"
	for text, want := range map[string]string{
		"name = \"n\"\n":                                                               "no [[entry]]",
		"name = \"../n\"\n" + entry:                                                    "names a directory",
		"name = \"n\"\nrun = 1\n" + entry:                                              "unknown key \"run\"",
		"name = \"n\"\n" + entry + "colour = \"red\"\n":                                "unknown key \"entry.colour\"",
		"name = \"n\"\nname = \n":                                                      "line 2",
		"name = 3\n":                                                                   "name",
		"name = \"n\"\n" + entry + entry:                                               "there twice",
		"name = \"n\"\n[[entry]]\nexp = \"e\"\nruns = \"1\"\n":                         "no detectors",
		"name = \"n\"\n[[entry]]\nexp = \"e\"\ndetectors = [\"d\"]\n":                  "no runs",
		"name = \"n\"\n[[entry]]\nexp = \"e\"\nruns = \"x\"\ndetectors = [\"d\"]\n":    "runs \"x\"",
		"name = \"n\"\n[[entry]]\nexp = \"a/b\"\nruns = \"1\"\ndetectors = [\"d\"]\n":  "not a name",
		"name = \"n\"\n[[entry]]\nexp = \"e\"\nruns = \"1\"\ndetectors = [\"../d\"]\n": "not a name",
	} {
		f, err := ReadFile(campaignFile(t, text))
		if err == nil {
			_, err = f.Items()
		}
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadFile("/nowhere.toml"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no file: %v", err)
	}
	if _, err := ReadFile(t.TempDir()); fault.CodeOf(err) != fault.Input || !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

// TestPackLosesNothing packs random campaigns: every task is in exactly one piece, no element is beyond reason.
func TestPackLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		sizes := map[string][]int64{}
		var pieces []Piece
		for range r.IntN(30) {
			key := string(rune('a'+len(sizes)%26)) + strings.Repeat("x", len(sizes)/26)
			var tasks []int
			for n := range r.IntN(6) {
				sizes[key] = append(sizes[key], r.Int64N(elementBytes))
				tasks = append(tasks, n)
			}
			pieces = append(pieces, cut(Piece{Key: key}, tasks, func(n int) int64 { return sizes[key][n] })...)
		}
		budget := r.IntN(12)
		elements, later := pack(pieces, budget)
		if len(elements) > budget {
			t.Fatalf("%d elements for a budget of %d", len(elements), budget)
		}
		var got []Piece
		for i, element := range elements {
			var load int64
			for _, p := range element {
				load += p.Bytes
			}
			if len(element) == 0 || len(element) > 1 && load > 2*elementBytes {
				t.Fatalf("element %d has %d pieces of %d bytes", i, len(element), load)
			}
			got = append(got, element...)
		}
		got = append(got, later...)
		order := func(a, b Piece) int {
			if a.Key != b.Key {
				return strings.Compare(a.Key, b.Key)
			}
			return slices.Compare(a.Tasks, b.Tasks)
		}
		slices.SortFunc(got, order)
		slices.SortFunc(pieces, order)
		if !reflect.DeepEqual(got, pieces) && len(pieces) > 0 {
			t.Fatalf("packed %v\nof %v", got, pieces)
		}
		if budget > 0 && len(pieces) > 0 && len(elements) == 0 {
			t.Fatal("nothing is packed")
		}
	}
}

// TestSettle wants the right thing to be done about an item of three tasks, of which 1 and 2 lack partials.
func TestSettle(t *testing.T) {
	ended := func(s slurm.State, exit int) *slurm.Element {
		return &slurm.Element{State: s, Exit: exit, Node: "n", ReqMemMB: 100, TimeLimit: time.Hour}
	}
	piece := func(tasks ...int) Piece { return Piece{Tasks: tasks} }
	lacks := []int{1, 2}
	for name, tt := range map[string]struct {
		parts []part
		lacks []int
		state string
		todo  []int
		mem   int64
	}{
		"never submitted":              {nil, lacks, Waiting, lacks, 0},
		"all with Slurm":               {[]part{{piece: piece(0, 1, 2), active: true, element: ended(slurm.Pending, 0)}}, lacks, Pending, nil, 0},
		"one task with Slurm":          {[]part{{piece: piece(1), active: true, element: ended(slurm.Running, 0)}}, lacks, Running, []int{2}, 0},
		"out of memory":                {[]part{{piece: piece(0, 1, 2), element: ended(slurm.OutOfMemory, 0)}}, lacks, Waiting, lacks, 200},
		"user error":                   {[]part{{piece: piece(0, 1, 2), element: ended(slurm.Failed, 10), told: true, outcome: Outcome{Code: 10, Error: "no data"}}}, lacks, Failed, lacks, 0},
		"another item's user error":    {[]part{{piece: piece(0, 1, 2), element: ended(slurm.Failed, 10)}}, lacks, Waiting, lacks, 0},
		"temporary":                    {[]part{{piece: piece(0, 1, 2), element: ended(slurm.Failed, 75), told: true, outcome: Outcome{Code: 75}}}, lacks, Waiting, lacks, 0},
		"cancelled":                    {[]part{{piece: piece(0, 1, 2), element: ended(slurm.Cancelled, 0)}}, lacks, Failed, lacks, 0},
		"damaged afterwards":           {[]part{{piece: piece(0, 1, 2), element: ended(slurm.Completed, 0), told: true}}, lacks, Waiting, lacks, 0},
		"reduce found a damaged one":   {[]part{{piece: piece(0, 1, 2), element: ended(slurm.Failed, 11), told: true, outcome: Outcome{Code: 11}}}, lacks, Waiting, lacks, 0},
		"reduce alone is left":         {[]part{{piece: piece(0, 1, 2), element: ended(slurm.OutOfMemory, 0)}}, nil, Waiting, nil, 200},
		"reduce was refused":           {[]part{{piece: piece(0, 1, 2), element: ended(slurm.Failed, 2), told: true, outcome: Outcome{Code: 2}}}, nil, Failed, nil, 0},
		"the later wave counts":        {[]part{{piece: piece(1, 2), element: ended(slurm.OutOfMemory, 0)}, {piece: piece(1, 2), element: ended(slurm.NodeFail, 0)}}, lacks, Waiting, lacks, 0},
		"unknown to Slurm and no word": {[]part{{piece: piece(0, 1, 2)}}, lacks, Waiting, lacks, 0},
	} {
		s := &State{}
		s.settle(tt.parts, tt.lacks, false)
		var mem int64
		for _, v := range s.verdicts {
			mem = max(mem, v.Mem)
		}
		if s.State != tt.state || !slices.Equal(s.todo, tt.todo) || mem != tt.mem {
			t.Errorf("%s: %s, to do %v, memory %d; want %s, %v, %d", name, s.State, s.todo, mem, tt.state, tt.todo, tt.mem)
		}
		if s.State == Failed && s.Reason == "" && name == "cancelled" {
			t.Errorf("%s: no reason", name)
		}
	}
	// The work of an element for an earlier plan of the item says nothing about this one.
	failed := part{piece: piece(0, 1, 2), element: ended(slurm.Failed, 10), told: true, outcome: Outcome{Code: 10, Plan: "a", Error: "why"}}
	for id, want := range map[string]string{"a": Failed, "b": Waiting} {
		s := &State{plan: &plan.Plan{ID: id}}
		if s.settle([]part{failed}, lacks, false); s.State != want || len(s.todo) != 2 {
			t.Errorf("plan %s: %s, %v", id, s.State, s.todo)
		}
	}
	s := &State{}
	s.settle([]part{{piece: piece(0, 1, 2), element: ended(slurm.Cancelled, 0)}}, lacks, true)
	if s.State != Waiting {
		t.Errorf("a person asks for another try: %s", s.State)
	}
}

// doneItem is an item of one panel of 2 x 2 pixels with a status file of this name.
func doneItem(run int, file string) *State {
	it := Item{Experiment: "e", Run: run, Detector: "d", Profile: "data"}
	return &State{Item: it, Key: it.Key(), State: Done, Bytes: 2e9, Seconds: 4, Panels: 1, Events: 10, Tries: 1,
		plan: &plan.Plan{Dataset: plan.Dataset{Panels: []frame.Panel{{Rows: 2, Cols: 2}}}},
		Summary: &reduce.Summary{Groups: []reduce.Group{{Pixels: 4, Bad: 1, Bits: []status.Line{{Value: 2, Name: "RMS_LOW", Count: 1}, {Value: 1, Name: "RMS_HIGH"}},
			Panels: []reduce.Panel{{ID: "p", File: file}}}}}}
}

func TestTrendAndTable(t *testing.T) {
	files := map[string][]uint64{"a": {1, 0, 0, 0}, "b": {2, 0, 1, 0}, "c": {0, 0, 1, 0}, "d": {4, 0, 1, 0}}
	// Runs in any order; what is not done takes no part.
	v := &View{Items: []*State{doneItem(9, "d"), doneItem(2, "a"), doneItem(3, "b"), {Item: Item{Experiment: "e", Run: 4, Detector: "d", Profile: "data"}, Key: "k", State: Failed, Reason: "no\ndata"}, doneItem(5, "c")}}
	trend, err := MakeTrend(v, func(path string) ([]uint64, error) { return files[path], nil })
	if err != nil {
		t.Fatal(err)
	}
	want := []RunTrend{{2, 1, 0, 0, 0}, {3, 2, 1, 0, 1}, {5, 1, 0, 1, 0}, {9, 2, 1, 0, 0}}
	if len(trend.Series) != 1 || !reflect.DeepEqual(trend.Series[0].Runs, want) {
		t.Errorf("got %+v, want %+v", trend.Series[0].Runs, want)
	}
	var out bytes.Buffer
	if err := trend.WritePixels(&out); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(lines) != 3 || strings.Join(lines[1], ",") != "e,d,data,0,p,,0,0,2,3,4,2,true" || strings.Join(lines[2], ",") != "e,d,data,0,p,,1,0,3,3,4,1,true" {
		t.Errorf("%v\n%q", err, lines)
	}
	table := MakeTable("n", v, trend)
	if !slices.Equal(table.Bits, []string{"RMS_HIGH", "RMS_LOW"}) {
		t.Errorf("bits %v are not by value", table.Bits)
	}
	r := table.Rows[0]
	if r.Change == nil || *r.Change != (Change{5, 1, 0}) || r.Rate != 0.5 || r.Bits["RMS_LOW"] != 1 || r.Pixels != 4 {
		t.Errorf("%+v", r)
	}
	out.Reset()
	if err := table.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	if lines, err = csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll(); err != nil || len(lines) != 6 || lines[4][5] != Failed {
		t.Errorf("%v\n%s", err, &out)
	}
	out.Reset()
	if err := errors.Join(table.WriteText(&out), trend.WriteText(&out)); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"no ...", "runs 2 to 9: 1 bad pixel became 2; 1 turned once, 1 come and go"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "RMS_HIGH") || strings.Contains(text, "TAG") {
		t.Errorf("columns without anything are shown:\n%s", text)
	}
	if _, err := MakeTrend(v, func(string) ([]uint64, error) { return nil, os.ErrNotExist }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unreadable status file: %v", err)
	}
}

// TestElementGoesOnAfterAFailure wants one bad run not to take the others of its element with it, and each outcome to be kept.
func TestElementGoesOnAfterAFailure(t *testing.T) {
	c, err := Create(nil, t.TempDir(), &File{Name: "n", Entries: []Entry{{Experiment: "e", Runs: "1-3", Detectors: []string{"d"}}}},
		slurm.Request{MaxAttempts: 2}, 5)
	if err != nil {
		t.Fatal(err)
	}
	w := &Wave{Schema: schema, Number: 1, Elements: [][]Piece{{}}}
	for _, it := range c.Items {
		w.Elements[0] = append(w.Elements[0], Piece{Key: it.Key(), Tasks: []int{0, 2}})
	}
	if err := slurm.WriteRecord(c.wavePath(1), w, true); err != nil {
		t.Fatal(err)
	}
	calls, code := 0, map[int]int{0: 10, 1: 75, 2: 1}
	err = c.Element(t.Context(), 1, 0, Hands{Do: func(_ context.Context, p slurm.Piece, tasks []int) error {
		if p.Work != c.Work(c.Items[calls].Key()) || !slices.Equal(tasks, []int{0, 2}) {
			t.Errorf("call %d: %+v, tasks %v", calls, p, tasks)
		}
		if calls++; calls == 3 {
			panic("a defect")
		}
		return fault.New(fault.Code(code[calls-1]), "why")
	}})
	if fault.CodeOf(err) != fault.Temporary || calls != 3 {
		t.Errorf("%v, %d calls", err, calls)
	}
	for i, it := range c.Items {
		o, told, err := loadOutcome(c.OutcomePath(it.Key(), 1, 0))
		if err != nil || !told || o.Code != code[i] || o.Begin.IsZero() {
			t.Errorf("item %d: %+v, %v", i, o, err)
		}
	}
	if err := c.Element(t.Context(), 1, 1, Hands{}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("an element that is not: %v", err)
	}
}

// TestPlanAgainWhenOptionsChange wants no result of options that the file no longer has.
func TestPlanAgainWhenOptionsChange(t *testing.T) {
	c, err := Create(nil, t.TempDir(), &File{Name: "n", Entries: []Entry{{Experiment: "e", Runs: "1", Detectors: []string{"d"}}}}, slurm.Request{}, 5)
	if err != nil {
		t.Fatal(err)
	}
	calls, code := 0, 0
	plan := func(it Item, again bool) {
		t.Helper()
		if err := c.Plan(t.Context(), it, again, Hands{Plan: func(context.Context, Item, string) error {
			if calls++; code == 0 {
				return nil
			}
			return fault.New(fault.Code(code), "e")
		}}); err != nil {
			t.Fatal(err)
		}
	}
	it := c.Items[0]
	for _, step := range []struct {
		options []string
		again   bool
		code    int
		want    int
	}{{nil, false, 10, 1}, {nil, false, 0, 2}, {nil, false, 0, 2}, {[]string{"--skip", "1"}, false, 0, 3}, {[]string{"--skip", "1"}, true, 0, 4}, {[]string{"--skip", "2"}, false, 2, 5}} {
		it.Options, code = step.options, step.code
		if plan(it, step.again); calls != step.want {
			t.Errorf("%+v: %d calls", step, calls)
		}
	}
	s := &State{Item: it, Key: it.Key()}
	if err := c.look(s, nil, false); err != nil || s.State != Failed || s.Reason != "e" {
		t.Errorf("%v %+v", err, s)
	}
}

// TestFileWrite wants a file that is written to be read as it was, with what is not said left out.
func TestFileWrite(t *testing.T) {
	for _, f := range []File{
		{Name: "rerun-1", Entries: []Entry{{Experiment: "mfxx1", Runs: "5,8-11", Detectors: []string{"XppGon.0:Epix100a.1"}}}},
		{Name: "all", Entries: []Entry{{Experiment: "a", Runs: "1", Dir: "/data/\"x\"", Detectors: []string{"d"}, Profiles: []string{"dark"}, Tag: "new\nline", Options: []string{"--min-frames", "10"}},
			{Experiment: "b", Runs: "2", Detectors: []string{"e", "f"}}}},
	} {
		path := filepath.Join(t.TempDir(), "c.toml")
		var b bytes.Buffer
		if err := f.Write(&b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(path)
		if err != nil || !reflect.DeepEqual(*got, f) {
			t.Errorf("%v: read %+v, wanted %+v", err, got, f)
		}
	}
	if text := new(bytes.Buffer); (&File{Name: "x", Entries: []Entry{{Experiment: "a", Runs: "1", Detectors: []string{"d"}}}}).Write(text) != nil || strings.Contains(text.String(), "options") {
		t.Errorf("%s", text)
	}
}

// TestTrendComparesEqualWithEqual has a panel that leaves and one that comes, in two gain modes: what is compared is a panel
// in a mode with itself, and files are read panel by panel, each once.
func TestTrendComparesEqualWithEqual(t *testing.T) {
	item := func(run int, panels ...string) *State {
		s := doneItem(run, "")
		s.Summary.Groups = nil
		for _, mode := range []string{"g0", "g1"} {
			g := reduce.Group{GainMode: mode}
			for _, id := range panels {
				g.Panels = append(g.Panels, reduce.Panel{ID: id, File: strings.Join([]string{id, mode, string(rune('0' + run))}, "-")})
			}
			s.Summary.Groups = append(s.Summary.Groups, g)
		}
		return s
	}
	bad := map[string]int{"a-g0-1": 1, "a-g0-2": 2, "a-g0-3": 3, "a-g1-3": 1, "b-g0-1": 4, "b-g1-1": 4, "c-g0-3": 4, "c-g1-3": 4}
	var read []string
	trend, err := MakeTrend(&View{Items: []*State{item(1, "a", "b"), item(2, "a"), item(3, "a", "c")}}, func(path string) ([]uint64, error) {
		read = append(read, path)
		status := make([]uint64, 4)
		for i := range bad[path] {
			status[i] = 1
		}
		return status, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []RunTrend{{1, 9, 0, 0, 0}, {2, 2, 1, 0, 1}, {3, 12, 2, 0, 2}}
	s := trend.Series[0]
	if !reflect.DeepEqual(s.Runs, want) || s.Common.First != 1 || s.Common.Last != 4 || s.Common.Panels != 2 {
		t.Errorf("%+v, common %+v", s.Runs, s.Common)
	}
	if got := strings.Join(read, " "); got != "a-g0-1 a-g0-2 a-g0-3 a-g1-1 a-g1-2 a-g1-3 b-g0-1 b-g1-1 c-g0-3 c-g1-3" {
		t.Error(got)
	}
}
