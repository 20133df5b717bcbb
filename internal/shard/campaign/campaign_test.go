package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

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

func TestFileNamesItsItems(t *testing.T) {
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
	if got, want := items[12], (slurm.Item{Experiment: "cxi2", Run: 1, Dir: "/d", Detector: "jungfrau", Profile: "data", Options: []string{"--min-frames", "9"}}); !reflect.DeepEqual(got, want) {
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

// doneItem is an item of one panel of 2 x 2 pixels with a status file of this name.
func doneItem(run int, file string) *slurm.Report {
	it := slurm.Item{Experiment: "e", Run: run, Detector: "d", Profile: "data"}
	return &slurm.Report{Item: it, Key: it.Key(), State: slurm.Done, Seconds: 4, Tries: 1,
		Plan: &plan.Plan{Dataset: plan.Dataset{Panels: []frame.Panel{{Rows: 2, Cols: 2}}, Events: 10}, Tasks: []plan.Task{{Bytes: 2e9}}},
		Summary: &reduce.Summary{Groups: []reduce.Group{{Pixels: 4, Bad: 1, Bits: []status.Line{{Value: 2, Name: "RMS_LOW", Count: 1}, {Value: 1, Name: "RMS_HIGH"}},
			Panels: []reduce.PanelResult{{ID: "p", File: file}}}}}}
}

func TestTrendAndTable(t *testing.T) {
	files := map[string][]uint64{"a": {1, 0, 0, 0}, "b": {2, 0, 1, 0}, "c": {0, 0, 1, 0}, "d": {4, 0, 1, 0}}
	// Runs in any order; what is not done takes no part.
	v := &slurm.View{Items: []*slurm.Report{doneItem(9, "d"), doneItem(2, "a"), doneItem(3, "b"), {Item: slurm.Item{Experiment: "e", Run: 4, Detector: "d", Profile: "data"}, Key: "k", State: slurm.Ended, Reason: "no\ndata"}, doneItem(5, "c")}}
	trend, err := MakeTrend(v, func(path string) ([]uint64, error) { return files[path], nil })
	if err != nil {
		t.Fatal(err)
	}
	want := []RunTrend{{2, 1, status.Turned{}, 0}, {3, 2, status.Turned{NewlyBad: 1}, 1}, {5, 1, status.Turned{NewlyGood: 1}, 0}, {9, 2, status.Turned{NewlyBad: 1}, 0}}
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
	if r.Change == nil || *r.Change != (Change{5, status.Turned{NewlyBad: 1}}) || r.Rate != 0.5 || r.Bits["RMS_LOW"] != 1 || r.Pixels != 4 {
		t.Errorf("%+v", r)
	}
	out.Reset()
	if err := table.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	if lines, err = csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll(); err != nil || len(lines) != 6 || lines[4][5] != slurm.Ended {
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
	item := func(run int, panels ...string) *slurm.Report {
		s := doneItem(run, "")
		s.Summary.Groups = nil
		for _, mode := range []string{"g0", "g1"} {
			g := reduce.Group{GainMode: mode}
			for _, id := range panels {
				g.Panels = append(g.Panels, reduce.PanelResult{ID: id, File: strings.Join([]string{id, mode, string(rune('0' + run))}, "-")})
			}
			s.Summary.Groups = append(s.Summary.Groups, g)
		}
		return s
	}
	bad := map[string]int{"a-g0-1": 1, "a-g0-2": 2, "a-g0-3": 3, "a-g1-3": 1, "b-g0-1": 4, "b-g1-1": 4, "c-g0-3": 4, "c-g1-3": 4}
	var read []string
	trend, err := MakeTrend(&slurm.View{Items: []*slurm.Report{item(1, "a", "b"), item(2, "a"), item(3, "a", "c")}}, func(path string) ([]uint64, error) {
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
	want := []RunTrend{{1, 9, status.Turned{}, 0}, {2, 2, status.Turned{NewlyBad: 1}, 1}, {3, 12, status.Turned{NewlyBad: 2, NewlyGood: 0}, 2}}
	s := trend.Series[0]
	if !reflect.DeepEqual(s.Runs, want) || s.Common.First != 1 || s.Common.Last != 4 || s.Common.Panels != 2 {
		t.Errorf("%+v, common %+v", s.Runs, s.Common)
	}
	if got := strings.Join(read, " "); got != "a-g0-1 a-g0-2 a-g0-3 a-g1-1 a-g1-2 a-g1-3 b-g0-1 b-g1-1 c-g0-3 c-g1-3" {
		t.Error(got)
	}
}
