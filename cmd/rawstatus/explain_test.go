package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/explain"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/simulate"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv"
)

// The campaign of these tests: 20 runs of two panels.
const (
	campaignRuns = 20
	panelRows    = 32
	panelCols    = 48
	fewFrames    = 13 // the run with too few frames to judge
)

// lives are pixels with what they are in each run: . good, d dead, n noisy, h hot, s saturated, c cold.
var lives = []struct {
	panel, row, col int
	life            string
}{
	{0, 0, 0, "........hhhhhhhhhhhh"},   // turns bad
	{0, 5, 47, "dddddd.............."},  // heals
	{1, 31, 0, "n.n..nn..n....n....."},  // flickers
	{1, 31, 47, "..n....n..nnnnnnnnnn"}, // flickers and stays bad
	{1, 10, 20, "...................s"}, // bad in the last run
	{0, 16, 24, "cccccccccccccccccccc"}, // always bad
	{0, 17, 30, "............d......."}, // only in the run that nobody could judge
	{1, 3, 3, "...........hd..nnn.n"},   // changes its fault
	{1, 12, 12, "...................."}, // never bad
	{0, 30, 1, "s..................s"},  // first and last
	{0, 31, 2, "h.h.h.h.h.h.h.h.h.h."},  // every other run
	{1, 0, 40, "..............n.n.nn"},  // late flicker
}

// faults are the bits that each fault must have.
var faults = map[byte]uint64{'.': 0, 'd': status.RmsLow, 'n': status.RmsHigh, 'h': status.AveHigh, 's': status.IntHigh, 'c': status.IntLow}

// frames makes the frames of a run: events x panels x rows x columns.
func frames(run int) (data []uint16, events int) {
	events = 30
	if run == fewFrames {
		events = 2
	}
	r := rand.New(rand.NewPCG(uint64(run), 18))
	n := panelRows * panelCols
	data = make([]uint16, events*2*n)
	for e := range events {
		for i := range 2 * n {
			data[e*2*n+i] = uint16(1000 + i%7 + r.IntN(41))
		}
		for _, l := range lives {
			i := e*2*n + l.panel*n + l.row*panelCols + l.col
			switch l.life[run-1] {
			case 'd':
				data[i] = 1003
			case 'n':
				data[i] = uint16(1000 + 400*(1-2*(e%2)))
			case 'h':
				data[i] = uint16(30000 + r.IntN(41))
			case 's':
				data[i] = 65535
			case 'c':
				data[i] = uint16(e % 2)
			}
		}
	}
	return data, events
}

// runsInto puts the first runs of the campaign into a repository; the site file says where everything is.
func runsInto(t *testing.T, runs int) (site string) {
	t.Helper()
	dir := t.TempDir()
	site = filepath.Join(dir, "site.toml")
	text := fmt.Sprintf("timezone = \"UTC\"\ngroup = \"\"\nrepository = %q\nwork_root = %q\n", filepath.Join(dir, "constants"), filepath.Join(dir, "work"))
	if err := os.WriteFile(site, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for run := 1; run <= runs; run++ {
		data, events := frames(run)
		path := filepath.Join(dir, fmt.Sprintf("run%d.npy", run))
		if err := npy.Write(path, []int{events, 2, panelRows, panelCols}, data); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 3, 1, run, 0, 0, 0, time.UTC)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := call(t, "run", "--quiet", "--site", site, "-e", "tstx1", "-r", strconv.Itoa(run), "-d", "cam", "--file", path); code != 0 {
			t.Fatalf("run %d: exit code %d: %s", run, code, stderr)
		}
	}
	return site
}

// explained calls the program and reads its answer.
func explained(t *testing.T, args ...string) *explain.Answer {
	t.Helper()
	code, stdout, stderr := call(t, append([]string{"explain", "--json"}, args...)...)
	var a explain.Answer
	if err := json.Unmarshal([]byte(stdout), &a); code != 0 || err != nil {
		t.Fatalf("%q: exit code %d, %v: %s", args, code, err, stderr)
	}
	return &a
}

// TestExplainTellsWhatBecameOfPlantedPixels compares the history of pixels that turn bad, flicker and heal with what they were made to be, and the
// rules of each run with numbers computed here from its frames.
func TestExplainTellsWhatBecameOfPlantedPixels(t *testing.T) {
	site := runsInto(t, campaignRuns)
	for _, l := range lives {
		if len(l.life) != campaignRuns {
			t.Fatalf("life %q has %d runs", l.life, len(l.life))
		}
		t.Run(fmt.Sprintf("%d-%d-%d", l.panel, l.row, l.col), func(t *testing.T) {
			a := explained(t, "--site", site, "-d", "cam", strconv.Itoa(l.panel), strconv.Itoa(l.row), strconv.Itoa(l.col))
			if len(a.History) != 1 || len(a.Verdicts) != 1 || a.Verdicts[0].Run != campaignRuns {
				t.Fatalf("%d histories, %d verdicts: %+v", len(a.History), len(a.Verdicts), a.Verdicts)
			}
			checkHistory(t, &a.History[0], l.life)
		})
	}
	runs := []int{1, 9, fewFrames, 20}
	if testing.Short() {
		runs = runs[1:3]
	}
	for _, run := range runs {
		m := measured(run)
		for _, l := range lives {
			a := explained(t, "--site", site, "-d", "cam", "-r", strconv.Itoa(run), strconv.Itoa(l.panel), strconv.Itoa(l.row), strconv.Itoa(l.col))
			if v := a.Verdicts[0]; v.Run != run || v.Word&faults[l.life[run-1]] != faults[l.life[run-1]] && run != fewFrames {
				t.Fatalf("run %d: %d, status %d of a pixel that is %q", run, v.Run, v.Word, l.life[run-1])
			}
			m.check(t, &a.Verdicts[0], l.panel*panelRows*panelCols+l.row*panelCols+l.col)
		}
	}
}

// checkHistory compares with the life of a pixel, told by another algorithm: from the end backwards.
func checkHistory(t *testing.T, h *explain.History, life string) {
	t.Helper()
	judged := strings.Split(life, "")
	var states []string // of judged runs
	var runs []int
	bad := 0
	for i, s := range judged {
		if i+1 == fewFrames {
			continue
		}
		states, runs = append(states, strconv.FormatBool(s != ".")), append(runs, i+1)
		if s != "." {
			bad++
		}
	}
	changes := strings.Count(strings.Join(states, ""), "truefalse") + strings.Count(strings.Join(states, ""), "falsetrue")
	if h.Bad != bad || h.Good != len(states)-bad || h.Unjudged != 1 || h.Changes != changes || len(h.Runs) != campaignRuns {
		t.Errorf("life %s: %d bad, %d good, %d unjudged, %d changes; wanted %d, %d, 1, %d", life, h.Bad, h.Good, h.Unjudged, h.Changes, bad, len(states)-bad, changes)
	}
	since := 0
	for i := len(states) - 1; i >= 0 && states[i] == "true"; i-- {
		since = runs[i]
	}
	healed := 0
	if since == 0 && bad > 0 {
		for i := len(states) - 1; states[i] == "false"; i-- {
			healed = runs[i]
		}
	}
	for _, c := range []struct {
		what string
		got  *explain.Event
		want int
	}{{"bad since", h.Since, since}, {"good since", h.Healed, healed}} {
		got := 0
		if c.got != nil {
			got = c.got.Run
		}
		if got != c.want {
			t.Errorf("life %s: %s run %d, wanted %d", life, c.what, got, c.want)
		}
	}
	text := h.Sentence()
	if since > 0 && !strings.Contains(text, fmt.Sprintf("since run %d of tstx1", since)) || healed > 0 && !strings.Contains(text, fmt.Sprintf("good again since run %d of tstx1", healed)) {
		t.Errorf("life %s: %q, wanted since run %d, good since %d", life, text, since, healed)
	}
}

// measurement holds the values of a run's frames, computed pixel by pixel in float64.
type measurement struct {
	events         int
	average, rms   []float64
	above, below   []float64
	averageLimits  [2]float64
	rmsLimits      [2]float64
	framesOverMost float64
}

func measured(run int) measurement {
	data, events := frames(run)
	n := len(data) / events
	m := measurement{events: events, framesOverMost: math.Trunc(0.1 * float64(events))}
	limits := func(v []float64) [2]float64 {
		sum, dev := 0.0, 0.0
		for _, x := range v {
			sum += x
		}
		mean := sum / float64(n)
		for _, x := range v {
			dev += (x - mean) * (x - mean)
		}
		std := math.Sqrt(dev / float64(n))
		return [2]float64{mean - 6*std, mean + 6*std}
	}
	for i := range n {
		var s, q, hi, lo float64
		for e := range events {
			v := float64(data[e*n+i])
			s, q = s+v, q+v*v
			if v > 65534 {
				hi++
			}
			if v < 1 {
				lo++
			}
		}
		mean := s / float64(events)
		m.average = append(m.average, mean)
		m.rms = append(m.rms, math.Sqrt(q/float64(events)-mean*mean))
		m.above, m.below = append(m.above, hi), append(m.below, lo)
	}
	m.averageLimits, m.rmsLimits = limits(m.average), limits(m.rms)
	m.averageLimits[0], m.rmsLimits[0] = max(m.averageLimits[0], 1), max(m.rmsLimits[0], 0.001)
	return m
}

// check compares value, limit and outcome of every rule with numbers of its own.
func (m *measurement) check(t *testing.T, v *explain.Verdict, i int) {
	t.Helper()
	if v.Run == fewFrames {
		if v.Word != status.LowStats || len(v.Rules) == 0 || v.Rules[0].Name != "LOW_STATS" || !v.Rules[0].Fired {
			t.Errorf("run with 2 frames: %d, %+v", v.Word, v.Rules)
		}
		return
	}
	want := map[string]struct{ value, limit float64 }{
		"RMS_HIGH": {m.rms[i], m.rmsLimits[1]}, "RMS_LOW": {m.rms[i], m.rmsLimits[0]},
		"AVE_HIGH": {m.average[i], m.averageLimits[1]}, "AVE_LOW": {m.average[i], m.averageLimits[0]},
		"INT_HIGH": {m.above[i], m.framesOverMost}, "INT_LOW": {m.below[i], m.framesOverMost},
	}
	near := func(a *float64, b float64) bool { return a != nil && math.Abs(*a-b) <= 1e-6*math.Max(1, math.Abs(b)) }
	var word uint64
	for _, r := range v.Rules {
		w, ok := want[r.Name]
		if !ok || !near(r.Value, w.value) || !near(r.Limit, w.limit) {
			t.Errorf("run %d pixel %d: rule %+v, wanted value %v, limit %v", v.Run, i, r, w.value, w.limit)
			continue
		}
		fired := r.High && w.value > w.limit || !r.High && w.value < w.limit
		if fired != r.Fired {
			t.Errorf("run %d pixel %d: %s fired: %v, but %v is compared with %v", v.Run, i, r.Name, r.Fired, w.value, w.limit)
		}
		if fired {
			word |= r.Bit
		}
		delete(want, r.Name)
	}
	if len(want) > 0 || word != v.Word {
		t.Errorf("run %d pixel %d: status %d, rules make %d, not shown: %v", v.Run, i, v.Word, word, want)
	}
}

// TestExplainEveryProfile wants the rules that are shown as fired to be the bits of the status, and each to hold for the value and
// limit that are shown, in every profile and with hints about surroundings.
func TestExplainEveryProfile(t *testing.T) {
	const n, events = panelRows * panelCols, 40
	r := rand.New(rand.NewPCG(5, 18))
	data := make([]uint16, events*n)
	for e := range events {
		for i := range n {
			v := 1000 + i%11 + r.IntN(60)
			switch {
			case i%97 == 0:
				v += r.IntN(3000)
			case i%89 == 0:
				v += 4000
			case i/panelCols == 9 && i%panelCols > 12:
				v = 1000
			case i%83 == 0 && e%9 == 0:
				v |= 0x8000
			}
			data[e*n+i] = uint16(v)
		}
	}
	dir := t.TempDir()
	path, peds := filepath.Join(dir, "frames.npy"), filepath.Join(dir, "pedestals.npy")
	if err := npy.Write(path, []int{events, panelRows, panelCols}, data); err != nil {
		t.Fatal(err)
	}
	if err := npy.Write(peds, []int{panelRows, panelCols}, make([]float64, n)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for name, flags := range map[string][]string{
		"data":     {"--profile", "data", "--limits", "robust", "--limits-per", "asic", "--line-fraction", "0.5", "--asic-fraction", "0.01", "--neighbours", "8"},
		"dark":     {"--profile", "dark", "--gain-rule", "impossible", "--gate-frames", "20", "--fraclm", "0.05", "--int-hi", "1500"},
		"features": {"--profile", "features", "-F", "2,3"},
		"light":    {"-F", "6", "--window", "5,5"},
		"max":      {"--profile", "max", "--pedestals", peds},
	} {
		t.Run(name, func(t *testing.T) {
			repository, work := filepath.Join(dir, name), filepath.Join(dir, name+"-work")
			args := append([]string{"run", "--quiet", "-o", repository, "--work", work, "-e", "tstx1", "-r", "5", "--det-type", "jungfrau", "--gain-mode", "g0", "--file", path}, flags...)
			if code, _, stderr := call(t, args...); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			for i := 0; i < n; i += 83 {
				checkRules(t, explained(t, "-o", repository, "--work", work, "0", strconv.Itoa(i/panelCols), strconv.Itoa(i%panelCols)), seen)
			}
			for i := 9*panelCols + 10; i < 9*panelCols+16; i++ {
				checkRules(t, explained(t, "-o", repository, "--work", work, "0", "9", strconv.Itoa(i%panelCols)), seen)
			}
		})
	}
	for _, b := range []string{"RMS_HIGH", "RMS_LOW", "AVE_HIGH", "INT_HIGH", "GAIN_STATE", "MEAN_HIGH", "STD_HIGH", "STD_LOW", "RESID_HIGH", "MAX_HIGH", "ROW_COL", "ASIC"} {
		if !seen[b] {
			t.Errorf("no pixel of the test has %s: %v", b, seen)
		}
	}
}

// checkRules compares the rules of an answer with its status.
func checkRules(t *testing.T, a *explain.Answer, seen map[string]bool) {
	t.Helper()
	v := a.Verdicts[0]
	var word uint64
	for _, r := range v.Rules {
		if r.Fired {
			word |= r.Bit
			seen[r.Name] = true
		}
		switch {
		case r.Bit&status.Hints != 0 && (!strings.Contains(r.Rule, " are bad") || !r.Fired):
			t.Errorf("%+v", r)
		case r.Bit&status.Hints != 0:
		case r.Limit == nil || r.Value == nil:
			t.Errorf("row %d column %d: %s without numbers: %+v, %q", a.Pixel.Row, a.Pixel.Col, r.Name, r, v.Notes)
		case r.Fired != (r.High && *r.Value > *r.Limit || !r.High && *r.Value < *r.Limit || r.Equal && *r.Value == *r.Limit):
			t.Errorf("row %d column %d: %s fired: %v with value %v and limit %v", a.Pixel.Row, a.Pixel.Col, r.Name, r.Fired, *r.Value, *r.Limit)
		}
	}
	if word != v.Word {
		t.Errorf("row %d column %d: status %d, rules make %d", a.Pixel.Row, a.Pixel.Col, v.Word, word)
	}
}

// TestExplainRefusesWrongCallsWithWhatIsThere wants wrong calls to be refused with what is there.
func TestExplainRefusesWrongCallsWithWhatIsThere(t *testing.T) {
	site := runsInto(t, 1)
	for name, c := range map[string]struct {
		args []string
		code fault.Code
		want string
	}{
		"words":      {[]string{"0", "1"}, fault.Usage, "takes PANEL ROW COLUMN, not 2 words"},
		"row":        {[]string{"0", "x", "1"}, fault.Usage, `"x" is not a row or column`},
		"outside":    {[]string{"0", "32", "1"}, fault.Usage, "row 32 column 1 is not in panel cam-seg00 of 32 x 48 pixels"},
		"panel":      {[]string{"7", "0", "1"}, fault.Input, `no panel "7"; segments (ids): 0 (cam-seg00), 1 (cam-seg01)`},
		"run":        {[]string{"-r", "3", "0", "0", "1"}, fault.Input, "has no status files of run 3"},
		"detector":   {[]string{"-d", "dog", "0", "0", "1"}, fault.Input, `no status files of detector "dog", but of cam`},
		"gain":       {[]string{"-C", "status_dark", "0", "0", "1"}, fault.Input, "no such type or gain mode"},
		"work":       {[]string{"--work", "/nowhere", "0", "0", "1"}, fault.Usage, "/nowhere"},
		"no file":    {[]string{"--file", "/nowhere.dat", "0", "0", "1"}, fault.Input, "/nowhere.dat"},
		"other file": {[]string{"--file", site, "0", "0", "1"}, fault.Input, "is not a status file of a repository"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := call(t, append([]string{"explain", "--site", site}, c.args...)...)
			if code != int(c.code) || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %s, wanted %d %q", code, stderr, c.code, c.want)
			}
		})
	}
}

// TestExplainOfAFileIsThatOfItsRun wants a named file to be explained as its run is, without values when the counts are gone.
func TestExplainOfAFileIsThatOfItsRun(t *testing.T) {
	site := runsInto(t, 1)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(site), "constants", "*", "cam-seg01", "status_data", "*.dat"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.RemoveAll(filepath.Join(filepath.Dir(site), "work")); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, "explain", "--site", site, "--file", files[0], "1", "31", "0")
	for _, want := range []string{"run 1 of tstx1, status_data: 1 = RMS_HIGH", "1 RMS_HIGH (noisy): rms > ", "values are not known: no plan in work directory",
		"bad in the chip: 1 of 1536", "-      -      -      -      -", "bad in all of 1 run, since run 1 of tstx1"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, lacks %q: %s%s", code, want, stdout, stderr)
		}
	}
	// A constant that another program has deployed, and none.
	calibDir := t.TempDir()
	deployed := filepath.Join(calibDir, "Npy::CalibV1", "cam", "status_extra", "3-end.data")
	if err := os.MkdirAll(filepath.Dir(deployed), 0o755); err != nil {
		t.Fatal(err)
	}
	words := make([]uint64, 2*panelRows*panelCols)
	words[panelRows*panelCols+31*panelCols] = 16
	var array bytes.Buffer
	if err := calibtxt.WriteArray(&array, calibtxt.Header{Shape: []int{2, panelRows, panelCols}}, calibtxt.SparseOf(words)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(deployed, array.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for pixel, want := range map[string]string{"0": "3-end.data, used by runs 3..end: MASKED (16)\n    deployed by another program", "1": "3-end.data, used by runs 3..end: good"} {
		if code, stdout, stderr := call(t, "explain", "--site", site, "-c", calibDir, "1", "31", pixel); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, lacks %q: %s%s", code, want, stdout, stderr)
		}
	}
	if code, _, stderr := call(t, "explain", "--site", site, "--file", files[0], "0", "31", "0"); code != int(fault.Usage) || !strings.Contains(stderr, "is segment 1") {
		t.Errorf("another panel than the file's: %d %s", code, stderr)
	}
}

// TestExplainOriginalFiles wants status files of the original programs, which have no sidecars, to be explained as far as they go,
// with the constants that were deployed from them.
func TestExplainOriginalFiles(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	calib := filepath.Join(testenv.Shared(t), "data", "calib")
	const panel = "3925999616-0996579585-0553648138-1232098304-1221641739-2650251521-3976200215"
	code, stdout, stderr := call(t, "explain", "-o", filepath.Join(calib, "repo_example"), "-c", filepath.Join(calib, "calib_example"), panel, "10", "20")
	for _, want := range []string{"XppGon.0:Epix100a.1 (epix100a) panel " + panel + ": row 10, column 20", "run 137 of xppn4116, status_dark: 5 = MEAN_LOW|STD_LOW",
		"status_light: 16 = RESID_LOW", "status_max: 0 = good", "no sidecar", "137-end.data, used by runs 137..end: MASKED (21)", "deployed by another program"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, lacks %q: %s%s", code, want, stdout, stderr)
		}
	}
}

// TestExplainShowsConstantsOfAnyProgramInTheDatabase wants constants in the calibration database to be shown whichever program has deployed them: here from another
// repository.
func TestExplainShowsConstantsOfAnyProgramInTheDatabase(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("CALIB_JWT", "")
	web := httptest.NewServer((&calibserve.Server{Root: t.TempDir(), Disk: disk.Files{Policy: &access.Policy{}}, Writable: true}).Handler())
	t.Cleanup(web.Close)
	for _, v := range []string{"READ", "WRITE"} {
		t.Setenv("RAWSTATUS_CALIBWS_"+v+"_URL", web.URL+"/calib_ws/")
	}
	dir := t.TempDir()
	truth, err := simulate.Write(t.Context(), simulate.Config{Dir: dir, Experiment: "tstx00117", Run: 5, Panels: 1, Events: 12, Noisy: 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"theirs", "ours"} {
		must(t, fault.OK, "run", "--quiet", "-e", "tstx00117", "-r", "5", "--dir", dir, "-o", filepath.Join(dir, name), "--work", filepath.Join(dir, name+"-work"))
	}
	out, err := exec.Command(filepath.Join(programs(t), "mergedeploy"), "deploy", "-e", "tstx00117", "-r", "5", "--dir", dir, "-o", filepath.Join(dir, "theirs"), "--backend", "calibws", "--missing-gain", "good", "-D").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := truth.Panels[0]
	i := p.Planted[0].Pixels[0]
	code, stdout, stderr := call(t, "explain", "-o", filepath.Join(dir, "ours"), "0", strconv.Itoa(i/p.Cols), strconv.Itoa(i%p.Cols))
	if code != 0 || !strings.Contains(stdout, "MASKED (g0 1") || !strings.Contains(stdout, "deployed by another program") {
		t.Errorf("exit code %d, the constant in the database is not told: %s%s", code, stdout, stderr)
	}
}
