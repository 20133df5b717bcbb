package publish

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// The model of publishing: random histories of runs that are judged, masks that are saved and retired, deployments and
// rollbacks. After each step every run masks the pixels that the model says, which keeps sets of pixels and knows no files.
// Faults, kills and changes by hand are those of the model of package calibtest.
var (
	modelSeed = flag.Uint64("model.seed", 0, "first seed of the model of publishing; 0: 1")
	modelRuns = flag.Int("model.n", 0, "number of random histories; 0: the test's own")
)

const (
	modelPanels = 2
	modelPixels = 6 // of a panel
	modelLast   = 9 // runs are judged, and ranges begin, up to here
)

// pixelSet has a bit for each pixel of the detector.
type pixelSet uint16

// judged is the status of a panel in one run and type.
type judged struct{ bad, unseen pixelSet }

type modelMask struct {
	saved   repo.SavedMask
	runs    calib.Range
	pixels  pixelSet
	retired bool
}

type modelDeployment struct {
	id   string
	runs calib.Range
	mask pixelSet
}

type publishModel struct {
	t      *testing.T
	r      *rand.Rand
	repo   *repo.Repo
	dest   func() calib.Destination
	ws     bool
	log    []string
	files  map[string]map[int][modelPanels]*judged // by type and run
	masks  []*modelMask
	in     []modelDeployment // in force, oldest first
	serial int
}

func (m *publishModel) say(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (m *publishModel) failf(format string, args ...any) {
	m.t.Helper()
	test, seed, _ := strings.Cut(m.t.Name(), "/")
	m.t.Fatalf("%s\nhistory:\n  %s\nrepeat with: go test ./internal/publish -run '^%s$' -model.seed=%s -model.n=1",
		fmt.Sprintf(format, args...), strings.Join(m.log, "\n  "), test, seed)
}

func (m *publishModel) check(err error) {
	m.t.Helper()
	if err != nil {
		m.failf("%v", err)
	}
}

func (m *publishModel) some() pixelSet {
	return pixelSet(m.r.Uint32()&m.r.Uint32()) & (1<<modelPixels - 1)
}

func (m *publishModel) runs() calib.Range {
	r := calib.Range{Begin: m.r.IntN(modelLast + 1), End: calib.Last}
	if m.r.IntN(2) == 0 {
		r.End = r.Begin + m.r.IntN(4)
	}
	return r
}

func modelFile(ctype string, run, panel int) repo.StatusFile {
	return repo.StatusFile{DetType: "cam", DetName: "cam", Panel: fmt.Sprintf("id-%02d", panel), Segment: panel, CType: ctype, Rows: 2, Cols: modelPixels / 2, Run: of(run)}
}

// judge writes the status of a panel, once for each type and run.
func (m *publishModel) judge(ctype string, run, panel int, j judged) {
	all := m.files[ctype]
	of := all[run]
	if of[panel] != nil {
		return
	}
	of[panel] = &j
	all[run] = of
	m.say("%s of run %d, panel %d: bad %06b, not seen %06b", ctype, run, panel, j.bad, j.unseen)
	words := make([]uint64, modelPixels)
	for i := range words {
		if j.bad&(1<<i) != 0 {
			words[i] = status.RmsHigh
		}
		if j.unseen&(1<<i) != 0 {
			words[i] |= status.NoData
		}
	}
	_, _, err := m.repo.WriteStatus(m.t.Context(), modelFile(ctype, run, panel), calibtxt.SparseOf(words), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false)
	m.check(err)
}

// save saves a mask of both panels, or retires one, or saves it again.
func (m *publishModel) save() {
	if m.r.IntN(3) == 0 && len(m.masks) > 0 {
		x := m.masks[m.r.IntN(len(m.masks))]
		if !x.retired {
			m.say("retire mask %s", x.saved.Short())
			m.check(m.repo.Retire(m.t.Context(), x.saved, "model"))
		}
		x.retired = true
		return
	}
	m.serial++
	x := &modelMask{runs: m.runs(), pixels: m.some() | m.some()<<modelPixels | 1<<m.r.IntN(modelPanels*modelPixels)}
	run := m.r.IntN(modelLast + 1)
	for _, y := range m.masks { // one content is one mask, of each run
		if y.pixels == x.pixels && y.saved.Run == run {
			x.runs = y.runs
			y.retired = true // by the new entry
		}
	}
	var planes []repo.MaskPlane
	for panel := range modelPanels {
		words := make([]uint64, modelPixels)
		for i := range words {
			if x.pixels&(1<<(panel*modelPixels+i)) != 0 {
				words[i] = status.User
			}
		}
		planes = append(planes, repo.MaskPlane{Words: words, StatusFile: modelFile(repo.TypeUser, run, panel)})
	}
	saved, err := m.repo.SaveMask(m.t.Context(), planes, repo.Sidecar{Profile: repo.ProfileUser, Family: repo.FamilyUser,
		Mask: &repo.Mask{Author: "model", Saved: time.Unix(int64(m.serial), 0), Validity: x.runs}})
	m.check(err)
	list, _, err := m.repo.Masks()
	m.check(err)
	x.saved = list[slices.IndexFunc(list, func(y repo.SavedMask) bool { return y.Hash == saved.Hash && y.Run == run })]
	m.say("save mask %s of run %d for %s: %012b", saved.Short(), run, x.runs, x.pixels)
	m.masks = append(m.masks, x)
}

// merged returns what a merge for a run masks: of each type the youngest judgement not after the run; what one type has
// seen is as it says, what none has seen is masked; and all masks that are valid for the run.
func (m *publishModel) merged(run int) (mask pixelSet) {
	for panel := range modelPanels {
		bad, seen := pixelSet(0), pixelSet(0)
		for _, all := range m.files {
			for r := run; r >= 0; r-- {
				if j := all[r][panel]; j != nil {
					bad |= j.bad
					seen |= ^j.unseen | j.bad
					break
				}
			}
		}
		mask |= (bad | ^seen) & (1<<modelPixels - 1) << (panel * modelPixels)
	}
	for _, x := range m.masks {
		if !x.retired && x.runs.Has(run) {
			mask |= x.pixels
		}
	}
	return mask
}

// uses returns what a run masks: of the deployments in force the largest begin, then the smallest end, then the last one.
func (m *publishModel) uses(run int) (mask pixelSet) {
	var best *modelDeployment
	for _, d := range m.in {
		better := best == nil || d.runs.Begin > best.runs.Begin || d.runs.Begin == best.runs.Begin && d.runs.End <= best.runs.End
		if d.runs.Has(run) && better {
			best = &d
		}
	}
	if best == nil && m.ws && len(m.in) > 0 {
		best = &m.in[len(m.in)-1] // the detector's database helps out
	}
	if best == nil {
		return 0
	}
	return best.mask
}

func (m *publishModel) deploy() {
	var known []int
	for run := range m.files["status_dark"] {
		known = append(known, run)
	}
	slices.Sort(known)
	run := known[m.r.IntN(len(known))]
	subject, err := Find(m.t.Context(), m.repo, Wanted{Experiment: "mfxx1", Run: run})
	m.check(err)
	merged, err := Merge(m.t.Context(), m.repo, subject, MergeOptions{CType: "status_extra"})
	m.check(err)
	g := Gate{MaxBad: 1, MaxNew: 1, MaxUnseen: 1, SourceRun: -1}
	for _, r := range Rules {
		if r.Forcible() {
			g.Force = append(g.Force, r.Name)
		}
	}
	p, err := NewPlan(m.t.Context(), m.dest(), nil, merged, "status_extra", m.runs(), g)
	m.check(err)
	rec, unchanged, err := p.Execute(m.t.Context(), m.dest(), nil, "")
	m.say("deploy run %d for %s: %s, unchanged %v, %v", run, p.Range, rec.ID, unchanged, err)
	m.check(err)
	if !unchanged {
		m.in = append(m.in, modelDeployment{rec.ID, rec.Range, m.merged(run)})
	}
}

func (m *publishModel) rollback() {
	p, err := NewRollback(m.t.Context(), m.dest(), RollbackOptions{Of: m.in[len(m.in)-1].id})
	m.check(err)
	_, err = p.Execute(m.t.Context(), m.dest(), nil)
	m.say("rollback of %s: %v", p.Undoes.ID, err)
	m.check(err)
	m.in = m.in[:len(m.in)-1]
}

// compare resolves every run and compares it with the model.
func (m *publishModel) compare() {
	dest := m.dest()
	arrays := map[string]pixelSet{"": 0}
	for run := range modelLast + 5 {
		item, _, err := dest.Find(m.t.Context(), run)
		m.check(err)
		name := ""
		if item != nil {
			name = item.Name
		}
		if _, known := arrays[name]; !known {
			a, _, err := dest.Read(m.t.Context(), *item)
			m.check(err)
			set := pixelSet(0)
			for i, w := range a.Words.Dense() {
				if w != 0 {
					set |= 1 << i
				}
			}
			arrays[name] = set
		}
		if got, want := arrays[name], m.uses(run); got != want {
			m.failf("run %d masks %012b, want %012b", run, got, want)
		}
	}
}

func (m *publishModel) play() {
	m.files = map[string]map[int][modelPanels]*judged{"status_dark": {}, "status_light": {}}
	for panel := range modelPanels {
		m.judge("status_dark", 0, panel, judged{bad: m.some()})
	}
	for range 6 + m.r.IntN(10) {
		switch k := m.r.IntN(10); {
		case k < 2:
			ctype := []string{"status_dark", "status_light"}[m.r.IntN(2)]
			j := judged{bad: m.some(), unseen: m.some()}
			j.unseen &^= j.bad
			m.judge(ctype, m.r.IntN(modelLast+1), m.r.IntN(modelPanels), j)
		case k < 5:
			m.save()
		case k < 8 || len(m.in) == 0:
			m.deploy()
		default:
			m.rollback()
		}
		m.compare()
	}
	for len(m.in) > 0 {
		m.rollback()
		m.compare()
	}
}

// playModel plays histories, each with a destination of its own.
func playModel(t *testing.T, histories int, ws bool, fresh func() func() calib.Destination) {
	seed, n := max(*modelSeed, 1), histories
	if testing.Short() {
		n /= 5
	}
	if *modelRuns > 0 {
		n = *modelRuns
	}
	for i := range uint64(n) {
		t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
			t.Parallel()
			m := &publishModel{t: t, r: rand.New(rand.NewPCG(seed+i, 15)), repo: newRepo(t), ws: ws, dest: fresh()}
			m.play()
		})
	}
}

// TestModelDirectory publishes into a calibration directory.
func TestModelDirectory(t *testing.T) {
	playModel(t, 30, false, func() func() calib.Destination {
		files := disk.NewMemory(nil)
		return func() calib.Destination {
			d, err := calibdir.New("/calib", "Group::CalibV1", "cam", "status_extra", files, time.UTC)
			if err != nil {
				panic(err)
			}
			return d.Destination()
		}
	})
}

// service is a web service without a network.
type service struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (s service) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.Host = r.URL.Host
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestModelDatabase publishes into the databases of a service.
func TestModelDatabase(t *testing.T) {
	playModel(t, 30, true, func() func() calib.Destination {
		files := disk.NewMemory(nil)
		client := &http.Client{Transport: service{(&calibserve.Server{Root: "/db", Disk: files, Writable: true}).Handler()}}
		return func() calib.Destination {
			s := &calibws.Store{Client: &calibws.Client{ReadURL: "http://127.0.0.1/", WriteURL: "http://127.0.0.1/", HTTP: client}, Experiment: "mfxx1", DetName: "cam",
				DetType: "cam", LongName: "cam_panel-one_panel-two", CType: "status_extra", Ledger: &calib.Ledger{Dir: "/ledger", Disk: files}}
			return s.Destination()
		}
	})
}
