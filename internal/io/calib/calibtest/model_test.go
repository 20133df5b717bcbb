package calibtest_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calib/calibtest"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
)

// The model: random histories of deployments, rollbacks, repetitions, changes by hand, faults and kills. After
// every step, what analysis resolves for every run is what the model says; what the model says comes from
// entries that the world lists in its own way and from psana's rule as the specification words it.
var (
	modelSeed = flag.Uint64("model.seed", 0, "first seed of the model of deployments; 0: each test's own")
	modelRuns = flag.Int("model.n", 0, "number of random histories; 0: each test's own")
)

// lastRun bounds the ranges of the model. Runs beyond it are those of ranges without an end.
const lastRun = 12

// runsAsked are the runs that are resolved after every step.
func runsAsked() []int {
	var runs []int
	for run := range lastRun + 2 {
		runs = append(runs, run)
	}
	return append(runs, 9998, 9999, 20000)
}

// entry is a constant as the world lists it.
type entry struct {
	begin, end int
	time       int64
	detector   bool // in the detector's database, which helps out
	word       uint64
}

// resolve returns the word that analysis uses for each run; 0 for nothing. It follows CALIB_REPO 7.4 and
// LCLS2_CALIBDB 2.2 to the letter, slowly: sort, then the last one that has the run.
func resolve(entries []entry) map[int]uint64 {
	var own, detector []entry
	for _, e := range entries {
		if e.detector {
			detector = append(detector, e)
		} else {
			own = append(own, e)
		}
	}
	slices.SortStableFunc(own, func(a, b entry) int { return int(a.time - b.time) })
	slices.SortStableFunc(own, func(a, b entry) int { return b.end - a.end })
	slices.SortStableFunc(own, func(a, b entry) int { return a.begin - b.begin })
	slices.SortStableFunc(detector, func(a, b entry) int { return int(a.time - b.time) })
	uses := map[int]uint64{}
	for _, run := range runsAsked() {
		uses[run] = 0
		for _, e := range detector {
			uses[run] = e.word
		}
		for _, e := range own {
			if e.begin <= min(run, 9999) && min(run, 9999) <= e.end {
				uses[run] = e.word
			}
		}
	}
	return uses
}

// world is a store under test.
type world interface {
	// real reports whether the world is of files and connections; others are in memory.
	real() bool
	// settle waits until nothing happens any more that a killed process has asked for.
	settle()
	// address lets another process open the same world.
	address() string
	// open returns the destination for a new process. In memory at is called at each write, sync, rename and request.
	open(at func(point string) error) (dest calib.Destination, die func())
	// entries lists the constants without the code under test.
	entries() []entry
	// added returns the entries after a deployment.
	added(old []entry, r calib.Range, word uint64) []entry
	// edit changes something by hand.
	edit(r *rand.Rand, word uint64) string
	// agree compares the store's own records with the ledger.
	agree(records []calib.Record) error
	// powerCut takes back what was not durable.
	powerCut(r *rand.Rand)
}

// deployment is one that the model remembers.
type deployment struct {
	id      string
	runs    calib.Range
	word    uint64
	before  map[int]uint64 // what every run used
	changed map[int]bool   // runs that used it afterwards
	undone  bool
}

// model is one random history.
type model struct {
	t      *testing.T
	r      *rand.Rand
	w      world
	log    []string
	word   uint64
	done   []*deployment
	edited bool
	first  []entry
}

// failf ends the test with the history.
func (m *model) failf(format string, args ...any) {
	m.t.Helper()
	test, seed, _ := strings.Cut(m.t.Name(), "/")
	m.t.Fatalf("%s\nhistory:\n  %s\nrepeat with: go test ./internal/io/calib/calibtest -run '^%s$' -model.seed=%s -model.n=1",
		fmt.Sprintf(format, args...), strings.Join(m.log, "\n  "), test, seed)
}

func (m *model) say(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

// play plays a history of some steps and then takes everything back.
func (m *model) play(steps int, byHand bool) {
	for range m.r.IntN(3) {
		m.word++
		m.say("before all: %s", m.w.edit(m.r, m.word))
	}
	m.first = m.w.entries()
	for range steps {
		switch k := m.r.IntN(12); {
		case k < 6 || len(m.done) == 0:
			m.act(m.deploy(m.randomRange()))
		case k < 8:
			m.act(m.rollback(m.done[len(m.done)-1]))
		case k < 9:
			m.act(m.rollback(m.done[m.r.IntN(len(m.done))]))
		case k < 10:
			m.act(m.restore(m.done[m.r.IntN(len(m.done))]))
		case m.w.real() && k == 10:
			m.atOnce()
		case byHand:
			m.word++
			m.edited = true
			m.say("by hand: %s", m.w.edit(m.r, m.word))
		}
		m.check()
	}
	m.takeBack()
}

func (m *model) randomRange() calib.Range {
	r := calib.Range{Begin: m.r.IntN(lastRun), End: calib.Last}
	if m.r.IntN(3) == 0 {
		r.Begin = 0
	}
	if m.r.IntN(2) == 0 {
		r.End = r.Begin + m.r.IntN(lastRun-r.Begin)
	}
	return r
}

// operation is something that a process does to the destination.
type operation struct {
	name string
	spec string // for another process
	// plan looks at the destination; do carries out what was planned.
	plan func(p calib.Destination) (do func() (calib.Record, error), err error)
	// after returns what every run uses once it is done, given what it uses now.
	after func(now map[int]uint64) map[int]uint64
	// mayRefuse reports whether a refusal is right; nil: never.
	mayRefuse func() bool
	// then remembers it.
	then func(rec calib.Record, before, after map[int]uint64)
}

func content(word uint64) calib.Content {
	return calibtest.Content(&calib.Array{Shape: []int{1, 2}, Words: calibtxt.SparseOf([]uint64{0, word})})
}

func record(r calib.Range, word uint64) calib.Record {
	rec := calibtest.Record(r, r.Begin, word)
	rec.Shape, rec.Array = []int{1, 2}, ""
	return rec
}

func planDeploy(p calib.Destination, r calib.Range, word uint64) (func() (calib.Record, error), error) {
	ctx := context.Background()
	items, _, err := p.Items(ctx)
	if err != nil {
		return nil, err
	}
	rec := record(r, word)
	if rec.Seen, err = p.Outlook(ctx, items, r); err != nil {
		return nil, err
	}
	return func() (calib.Record, error) {
		done, _, err := p.Deploy(ctx, rec, content(word))
		return done, err
	}, nil
}

func planRestore(p calib.Destination, r calib.Range, word uint64, id string) (func() (calib.Record, error), error) {
	ctx := context.Background()
	records, err := p.Records()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(records, func(x calib.Record) bool { return x.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("no record %s", id)
	}
	c, err := p.Kept(ctx, records[i])
	if err != nil {
		return nil, err
	}
	rec := record(r, word)
	rec.Action, rec.Restores, rec.Key = calib.ActionRollback, id, ""
	return func() (calib.Record, error) {
		done, _, err := p.Deploy(ctx, rec, c)
		return done, err
	}, nil
}

func planRollback(p calib.Destination, id string) (func() (calib.Record, error), error) {
	ctx := context.Background()
	rec := calib.Record{Action: calib.ActionRollback}
	records, err := p.Records()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(records, func(x calib.Record) bool { return x.ID == id && x.State == calib.Done })
	if i >= 0 && calib.Undone(records, id) == nil {
		u, err := p.PlanUndo(ctx, records[i])
		if err != nil {
			return nil, err
		}
		rec.Seen = u.Changes
	}
	return func() (calib.Record, error) { return p.Undo(ctx, rec, id) }, nil
}

func (m *model) remember(word uint64) func(rec calib.Record, before, after map[int]uint64) {
	return func(rec calib.Record, before, after map[int]uint64) {
		d := &deployment{id: rec.ID, runs: rec.Range, word: word, before: before, changed: map[int]bool{}}
		for run, w := range after {
			d.changed[run] = w == word && before[run] != word
		}
		m.done = append(m.done, d)
	}
}

func (m *model) deploy(r calib.Range) operation {
	m.word++
	word := m.word
	return operation{
		name:  fmt.Sprintf("deploy %d for %s", word, r),
		spec:  fmt.Sprintf("deploy %s %d", r, word),
		plan:  func(p calib.Destination) (func() (calib.Record, error), error) { return planDeploy(p, r, word) },
		after: func(map[int]uint64) map[int]uint64 { return resolve(m.w.added(m.w.entries(), r, word)) },
		then:  m.remember(word),
	}
}

// restore deploys the content of an earlier deployment for other runs.
func (m *model) restore(d *deployment) operation {
	r := m.randomRange()
	return operation{
		name: fmt.Sprintf("restore %d for %s", d.word, r),
		spec: fmt.Sprintf("restore %s %d %s", r, d.word, d.id),
		plan: func(p calib.Destination) (func() (calib.Record, error), error) {
			return planRestore(p, r, d.word, d.id)
		},
		after: func(map[int]uint64) map[int]uint64 { return resolve(m.w.added(m.w.entries(), r, d.word)) },
		then:  m.remember(d.word),
	}
}

// goal returns what a run used before a deployment; false when that was taken back since, or when the words
// do not say whose it is.
func (m *model) goal(d *deployment, run int) (uint64, bool) {
	if !d.changed[run] || m.shared(d.word) || m.shared(d.before[run]) {
		return 0, false
	}
	for _, e := range m.done {
		if e.word == d.before[run] && e.undone {
			return 0, false
		}
	}
	return d.before[run], true
}

// shared reports whether several deployments have a content.
func (m *model) shared(word uint64) bool {
	n := 0
	for _, d := range m.done {
		if d.word == word {
			n++
		}
	}
	return n > 1
}

func (m *model) rollback(d *deployment) operation {
	return operation{
		name: fmt.Sprintf("rollback of %d (%s)", d.word, d.id),
		spec: "rollback " + d.id,
		plan: func(p calib.Destination) (func() (calib.Record, error), error) { return planRollback(p, d.id) },
		after: func(now map[int]uint64) map[int]uint64 {
			then := map[int]uint64{}
			for run, word := range now {
				if d.undone || word != d.word {
					then[run] = word
				} else if goal, known := m.goal(d, run); known {
					then[run] = goal
				}
			}
			return then
		},
		mayRefuse: func() bool { return m.edited || d != m.last() },
		then:      func(calib.Record, map[int]uint64, map[int]uint64) { d.undone = true },
	}
}

// last returns the last deployment that was not taken back.
func (m *model) last() *deployment {
	for _, d := range slices.Backward(m.done) {
		if !d.undone {
			return d
		}
	}
	return nil
}

// trouble is a fault that happens to an operation.
type trouble struct {
	at    int   // point from which on; 0: nothing happens
	err   error // of the point; disk.ErrKilled for all that follow
	power bool
	other *operation // of another process, done at that point
}

var errFault = errors.New("a fault that the model has planned")

func (m *model) trouble() trouble {
	if m.w.real() || m.r.IntN(3) > 0 {
		return trouble{}
	}
	x := trouble{at: 1 + m.r.IntN(60), err: disk.ErrKilled}
	switch m.r.IntN(4) {
	case 0:
		x.err = errFault
	case 1:
		x.power = true
	case 2:
		other := m.deploy(m.randomRange())
		x = trouble{at: 1 + m.r.IntN(25), other: &other}
	}
	return x
}

// act does an operation, with trouble or without, and checks the outcome.
func (m *model) act(op operation) {
	if m.w.real() && m.r.IntN(4) == 0 {
		m.kill(op)
		return
	}
	now := m.uses()
	want := op.after(now)
	known := m.ids()
	tr := m.trouble()
	count := 0
	dest, die := m.w.open(func(string) error {
		switch count++; {
		case tr.other != nil && count == tr.at:
			if m.alone(*tr.other) {
				now, known = m.uses(), m.ids()
				want = op.after(now)
			}
		case tr.other == nil && tr.at > 0 && (count == tr.at || count > tr.at && tr.err == disk.ErrKilled):
			return tr.err
		}
		return nil
	})
	do, err := op.plan(dest)
	var rec calib.Record
	if err == nil {
		rec, err = do()
	}
	die()
	if tr.power && count >= tr.at {
		m.w.powerCut(m.r)
	}
	m.say("%s: %v (at %d of %d: %v, power %v)", op.name, err, tr.at, count, tr.err, tr.power)
	got := m.uses()
	if err == nil && !(tr.power && count >= tr.at) {
		m.fits("done", got, want)
		op.then(rec, now, want)
		return
	}
	switch {
	case tr.other == nil && tr.at > 0 && count >= tr.at:
		for run, word := range got { // each run old or new; both databases are not written at once
			if w, sure := want[run]; sure && word != w && word != now[run] {
				m.failf("after the fault run %d uses %d, before it %d, wanted was %d", run, word, now[run], w)
			}
		}
	case fault.CodeOf(err) == fault.Refused && op.mayRefuse != nil && op.mayRefuse(), errors.Is(err, calib.ErrStale) && tr.other != nil:
		m.fits("refused", got, now)
		return
	default:
		m.failf("%s: %v (code %d)", op.name, err, fault.CodeOf(err))
	}
	m.repaired(op, known, now, want)
}

// repaired lets gc end what was interrupted, and finds out whether the operation was done.
func (m *model) repaired(op operation, known map[string]bool, now, want map[int]uint64) {
	dest, die := m.w.open(func(string) error { return nil })
	defer die()
	if _, err := dest.Collect(m.t.Context()); err != nil {
		m.failf("gc after a fault: %v", err)
	}
	for _, r := range m.news(known) {
		m.say("it was completed")
		m.fits("completed", m.uses(), want)
		op.then(r, now, want)
		return
	}
	m.fits("aborted", m.uses(), now)
}

// news returns the completed records that were not known.
func (m *model) news(known map[string]bool) (list []calib.Record) {
	dest, die := m.w.open(func(string) error { return nil })
	defer die()
	records, err := dest.Records()
	if err != nil {
		m.failf("%v", err)
	}
	for _, r := range records {
		if !known[r.ID] && r.State == calib.Done {
			list = append(list, r)
		}
	}
	return list
}

// process starts another process that does an operation.
func (m *model) process(op operation) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), worldEnv+"="+m.w.address(), specEnv+"="+op.spec)
	cmd.Stderr = new(bytes.Buffer)
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	return cmd
}

// kill does an operation in a process that is killed after some time.
func (m *model) kill(op operation) {
	now, known := m.uses(), m.ids()
	want := op.after(now)
	cmd := m.process(op)
	time.Sleep(time.Duration(m.r.IntN(60)) * time.Millisecond)
	cmd.Process.Kill()
	err := cmd.Wait()
	m.w.settle()
	m.say("%s: killed (%v)", op.name, err)
	for run, word := range m.uses() {
		if w, sure := want[run]; sure && word != w && word != now[run] {
			m.failf("after the kill run %d uses %d, before it %d, wanted was %d", run, word, now[run], w)
		}
	}
	m.repaired(op, known, now, want)
}

// atOnce lets processes deploy at the same time: each is done or finds its plan stale, one after the other.
func (m *model) atOnce() {
	entries, known := m.w.entries(), m.ids()
	ops := map[uint64]operation{}
	var cmds []*exec.Cmd
	for range 2 {
		op := m.deploy(m.randomRange())
		ops[m.word] = op
		cmds = append(cmds, m.process(op))
	}
	for _, cmd := range cmds {
		err := cmd.Wait()
		m.say("%s at once: %v", cmd.Env[len(cmd.Env)-1], err)
		if err != nil && cmd.ProcessState.ExitCode() != int(fault.Temporary) {
			m.failf("%v: %s", err, cmd.Stderr)
		}
	}
	done := m.news(known)
	if len(done) == 0 {
		m.failf("none of two processes has deployed")
	}
	for _, r := range done { // in the order of the ledger
		var word uint64
		if _, err := fmt.Sscanf(r.Key[strings.LastIndex(r.Key, " ")+1:], "%d", &word); err != nil {
			m.failf("key %q", r.Key)
		}
		now := resolve(entries)
		entries = m.w.added(entries, r.Range, word)
		ops[word].then(r, now, resolve(entries))
	}
	m.fits("at once", m.uses(), resolve(entries))
}

const (
	worldEnv = "RAWSTATUS_TEST_MODEL_WORLD"
	specEnv  = "RAWSTATUS_TEST_MODEL_OPERATION"
)

// TestMain makes the test binary a process that does one operation.
func TestMain(m *testing.M) {
	if os.Getenv(worldEnv) == "" {
		debug.SetGCPercent(800) // thousands of small worlds: collecting them would take half of the time
		os.Exit(m.Run())
	}
	if err := child(strings.Fields(os.Getenv(worldEnv)), strings.Fields(os.Getenv(specEnv))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(int(fault.CodeOf(err)))
	}
}

func child(where, spec []string) error {
	var w world = &directory{files: files, root: where[1]}
	if where[0] == "database" {
		w = &database{files: files, url: where[1], ledger: where[2]}
	}
	p, _ := w.open(nil)
	var do func() (calib.Record, error)
	var err error
	if spec[0] == "rollback" {
		do, err = planRollback(p, spec[1])
	} else {
		var r calib.Range
		var word uint64
		if r, err = calib.ParseRange(spec[1]); err == nil {
			_, err = fmt.Sscan(spec[2], &word)
		}
		if err != nil {
			return err
		}
		if spec[0] == "deploy" {
			do, err = planDeploy(p, r, word)
		} else {
			do, err = planRestore(p, r, word, spec[3])
		}
	}
	if err == nil {
		_, err = do()
	}
	return err
}

// alone does an operation of another process without trouble, and reports whether it was done.
func (m *model) alone(op operation) bool {
	now := m.uses()
	want := op.after(now)
	dest, die := m.w.open(func(string) error { return nil })
	defer die()
	do, err := op.plan(dest)
	var rec calib.Record
	if err == nil {
		rec, err = do()
	}
	m.say("meanwhile %s: %v", op.name, err)
	if err != nil {
		if fault.CodeOf(err) != fault.Busy {
			m.failf("the other process: %v (code %d)", err, fault.CodeOf(err))
		}
		return false
	}
	m.fits("the other process", m.uses(), want)
	op.then(rec, now, want)
	return true
}

func (m *model) uses() map[int]uint64 { return resolve(m.w.entries()) }

// ids returns the records that there are.
func (m *model) ids() map[string]bool {
	dest, die := m.w.open(func(string) error { return nil })
	defer die()
	records, err := dest.Records()
	if err != nil {
		m.failf("%v", err)
	}
	ids := map[string]bool{}
	for _, r := range records {
		ids[r.ID] = true
	}
	return ids
}

// fits compares what runs use with what the model says of them.
func (m *model) fits(what string, got, want map[int]uint64) {
	m.t.Helper()
	for run, word := range want {
		if got[run] != word {
			m.failf("%s: run %d uses %d, want %d", what, run, got[run], word)
		}
	}
}

// check compares the code under test with the model, and all records with each other.
func (m *model) check() {
	dest, die := m.w.open(func(string) error { return nil })
	defer die()
	items, _, err := dest.Items(m.t.Context())
	if err != nil {
		m.failf("%v", err)
	}
	words := map[string]uint64{}
	for run, want := range m.uses() {
		got := uint64(0)
		if i := calib.Pick(items, run); i >= 0 {
			name := items[i].Name
			if _, known := words[name]; !known {
				a, _, err := dest.Read(m.t.Context(), items[i])
				if err != nil {
					m.failf("%s: %v", name, err)
				}
				words[name] = a.Words.Word(1)
			}
			got = words[name]
		}
		if got != want {
			m.failf("run %d is said to use %d, psana uses %d", run, got, want)
		}
	}
	records, err := dest.Records()
	if err != nil {
		m.failf("%v", err)
	}
	undone := map[string]bool{}
	for _, r := range records {
		if r.State == calib.Intent {
			m.failf("an intent is left: %s", r.ID)
		}
		if r.State == calib.Done && r.Undoes != "" {
			if undone[r.Undoes] {
				m.failf("%s was taken back twice", r.Undoes)
			}
			undone[r.Undoes] = true
		}
	}
	// Without changes by hand it is as if what was taken back had never happened.
	entries := slices.Clone(m.first)
	for _, d := range m.done {
		if !d.undone {
			entries = m.w.added(entries, d.runs, d.word)
		}
		if d.undone != undone[d.id] {
			m.failf("%s (%d) is taken back: the ledger says %v", d.id, d.word, undone[d.id])
		}
	}
	if !m.edited {
		m.fits("without what was taken back", m.uses(), resolve(entries))
	}
	if err := m.w.agree(records); err != nil {
		m.failf("%v", err)
	}
}

// takeBack rolls everything back, the last one first: in the end, as check sees to, every run uses what it
// used at first. After changes by hand some of that may be refused, and what was changed stays.
func (m *model) takeBack() {
	for d := m.last(); d != nil; d = m.last() {
		m.act(m.rollback(d))
		if m.check(); m.edited && !d.undone {
			return
		}
	}
}

// playAll plays random histories in fresh worlds.
func playAll(t *testing.T, histories int, fresh func(t *testing.T) world) {
	seed, n := *modelSeed, *modelRuns
	if seed == 0 {
		seed = 1
	}
	if n == 0 {
		n = histories
	}
	for i := range uint64(n) {
		t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed+i, 14))
			m := &model{t: t, r: r, w: fresh(t)}
			m.play(2+r.IntN(6), (seed+i)%2 == 1)
		})
	}
}
