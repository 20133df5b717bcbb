package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/plan"
)

// TestRandomRuns draws runs by seed, does to them what storage, movers and data acquisitions do, and
// compares what the program says with the slow reader: a run in which nothing is lost is read as the slow
// reader reads it, and one in which something is lost and leaves a trace ends with exit code 11. There is
// nothing between.
//
// RAWSTATUS_RANDOM_RUNS is the number of seeds, RAWSTATUS_RANDOM_SEED the first one.
func TestRandomRuns(t *testing.T) {
	runs, seed := 300, uint64(1)
	if testing.Short() {
		runs = 60
	}
	if n, err := strconv.Atoi(os.Getenv("RAWSTATUS_RANDOM_RUNS")); err == nil {
		runs = n
	}
	if n, err := strconv.ParseUint(os.Getenv("RAWSTATUS_RANDOM_SEED"), 10, 64); err == nil {
		seed = n
	}
	codes, deeds := map[fault.Code]int{}, map[string]int{}
	for i := range runs {
		s := seed + uint64(i)
		r, err := newRandomRun(s, t.TempDir())
		if err != nil {
			t.Fatalf("seed %d: %v", s, err)
		}
		code, problem := r.judge()
		if problem != "" {
			t.Errorf("%s\n%s\nrepeat: RAWSTATUS_RANDOM_RUNS=1 RAWSTATUS_RANDOM_SEED=%d go test ./internal/simulate -run TestRandomRuns", r, problem, s)
		}
		codes[code]++
		for _, d := range r.done {
			name, _, _ := strings.Cut(d, " ")
			deeds[name]++
		}
		os.RemoveAll(r.cfg.Dir)
	}
	t.Logf("%d runs: exit codes %v, deeds %v", runs, codes, deeds)
}

// randomRun is a run of which something may be lost.
type randomRun struct {
	*rand.Rand
	seed uint64
	cfg  Config
	slow int      // every so many events have a second, slow detector; 0: there is none
	done []string // what was done to it
	want *slowRun // as it was written

	untraced bool   // something is lost that leaves no trace
	must     bool   // it must be refused, whether frames are lost or not
	mention  string // what the refusal must mention
	bySmall  bool   // only smalldata shows what is lost
	stale    bool   // data that smalldata describes have been changed: it is not believed
	usage    bool   // it must be refused with code 2
	may      bool   // it may be refused: something is lost, if only in a stream without panels
	torn     bool   // there is perhaps nothing left that can be read (code 10)
	mapped   bool   // the configuration sets different gains for pixels
}

// String describes the run for a failure.
func (r *randomRun) String() string {
	return fmt.Sprintf("seed %d: %s, %s, %d panels, %d streams, %d chunks, %d steps of %d events, lost %d, damaged %d, no smalldata %v, no EndRun %v, slow %d; done: %s",
		r.seed, r.cfg.Format, r.cfg.Type, r.cfg.Panels, r.cfg.Streams, r.cfg.Chunks, r.cfg.Steps, r.cfg.Events, r.cfg.LostEvents, r.cfg.DamagedEvents,
		r.cfg.NoSmalldata, r.cfg.NoEndRun, r.slow, strings.Join(r.done, "; "))
}

const secondDetector = "slowcam"

func newRandomRun(seed uint64, dir string) (*randomRun, error) {
	r := &randomRun{Rand: rand.New(rand.NewPCG(seed, 7)), seed: seed}
	c := Config{Dir: dir, Run: 1 + r.IntN(20), Rows: 2, Cols: 4, Events: 6 + r.IntN(10), Steps: 1 + r.IntN(3), Streams: 1 + r.IntN(3), Chunks: 1 + r.IntN(3), Seed: seed,
		NoSmalldata: r.IntN(3) == 0, NoEndRun: r.IntN(6) == 0}
	if c.Format = XTC2; r.IntN(2) == 0 {
		c.Format = XTC1
	}
	switch r.IntN(4) {
	case 0:
		c.Type, c.Panels = "jungfrau", 2
	case 3:
		if c.Type, c.Panels = "epix10ka", 1+r.IntN(3); c.Format == XTC1 {
			c.Type, c.Panels = "jungfrau", 2
		}
	case 1:
		c.Type, c.Panels = "epix100", 1
	default:
		c.Type, c.Panels = "opal", 1
	}
	if c.Format == XTC2 && c.Type != "jungfrau" {
		c.Panels = 1 + r.IntN(4)
	}
	for modes := modesOf(c.Type); len(modes) > 0 && len(c.GainModes) < c.Steps; {
		c.GainModes = append(c.GainModes, modes[r.IntN(len(modes))])
	}
	switch r.IntN(8) {
	case 0:
		c.LostEvents = 1 + r.IntN(2)
	case 1:
		c.DamagedEvents = 1 + r.IntN(2)
	}
	if _, err := Write(context.Background(), c); err != nil {
		return nil, err
	}
	r.cfg = c.withDefaults()
	if c.Format == XTC2 && r.IntN(3) == 0 {
		if err := r.addSlow(2 + r.IntN(4)); err != nil {
			return nil, err
		}
	}
	var err error
	if r.want, err = slowRead(dir, r.lcls1(), r.pixels()); err != nil {
		return nil, err
	}
	for n := r.IntN(3); n > 0 && r.multiGain(); n-- {
		if err := r.gainDeed(); err != nil {
			return r, err
		}
	}
	for range r.IntN(3) {
		if err := r.deed(); err != nil || r.must || r.usage {
			return r, err
		}
	}
	return r, nil
}

func (r *randomRun) lcls1() bool { return r.cfg.Format == XTC1 }

// addSlow adds a stream of another detector that has every so many of the events.
func (r *randomRun) addSlow(every int) error {
	c := r.cfg
	c.Dir, c.Detector, c.Type, c.Panels, c.Streams, c.Chunks, c.GainModes, c.LostEvents, c.DamagedEvents, c.NoSmalldata = r.cfg.Dir+"-slow", secondDetector, "opal", 1, 1, 1, nil, 0, 0, true
	defer os.RemoveAll(c.Dir)
	if _, err := Write(context.Background(), c); err != nil {
		return err
	}
	path := filepath.Join(c.Dir, fmt.Sprintf("%s-r%04d-s000-c000.xtc2", c.Experiment, c.Run))
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kept []byte
	n := 0
	for _, d := range r.datagrams(b) {
		if d.event {
			if n++; (n-1)%every != 0 {
				continue
			}
		}
		kept = append(kept, b[d.from:d.to]...)
	}
	r.slow = every
	return os.WriteFile(filepath.Join(r.cfg.Dir, fmt.Sprintf("%s-r%04d-s090-c000.xtc2", c.Experiment, c.Run)), kept, 0o644)
}

// datagram is a piece of a file.
type datagram struct {
	from, to int
	service  int // of LCLS-II, also for the other format
	ts       uint64
	event    bool
}

// services of LCLS-I in the numbers of LCLS-II.
var services1 = map[int]int{4: 2, 5: 3, 6: 4, 7: 5, 8: 6, 9: 7, 10: 8, 11: 9, 12: 12}

func (r *randomRun) datagrams(b []byte) (list []datagram) {
	head := 24
	if r.lcls1() {
		head = 40
	}
	for at := 0; at+head <= len(b); {
		var d datagram
		if r.lcls1() {
			d = datagram{at, at + 20 + int(u32(b[at+36:])), services1[int(b[at+11]&0xf)], uint64(u32(b[at+4:]))<<32 | uint64(u32(b[at:])), false}
		} else {
			d = datagram{at, at + 12 + int(u32(b[at+20:])), int(b[at+11] & 0xf), uint64(u32(b[at+4:]))<<32 | uint64(u32(b[at:])), false}
		}
		if d.to > len(b) {
			break // it was cut by a deed before
		}
		d.event = d.service == 12
		list = append(list, d)
		at = d.to
	}
	return list
}

// dataFile is a data file of the run.
type dataFile struct {
	path          string
	stream, chunk int
	last          bool // of its stream
}

func (r *randomRun) files() (list []dataFile) {
	entries, _ := os.ReadDir(r.cfg.Dir)
	for _, e := range entries {
		if m := slowName.FindStringSubmatch(e.Name()); m != nil {
			s, _ := strconv.Atoi(m[2])
			c, _ := strconv.Atoi(m[3])
			list = append(list, dataFile{path: filepath.Join(r.cfg.Dir, e.Name()), stream: s, chunk: c})
		}
	}
	for i := range list {
		list[i].last = !slices.ContainsFunc(list, func(f dataFile) bool { return f.stream == list[i].stream && f.chunk > list[i].chunk })
	}
	return list
}

// smallOf returns the smalldata file beside a data file; of LCLS-II that of its stream.
func (r *randomRun) smallOf(f dataFile) string {
	dir, base := filepath.Split(f.path)
	if r.lcls1() {
		return filepath.Join(dir, "smalldata", strings.TrimSuffix(base, ".xtc")+".smd.xtc")
	}
	return filepath.Join(dir, "smalldata", regexp.MustCompile(`-c\d+\.xtc2$`).ReplaceAllString(base, "-c000.smd.xtc2"))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// streams is the number of streams that have data.
func (r *randomRun) streams() int {
	have := map[int]bool{}
	for _, f := range r.files() {
		have[f.stream] = true
	}
	return len(have)
}

// rewrite replaces a data file by a selection of its datagrams, of which each may come any number of times.
func (r *randomRun) rewrite(f dataFile, pick func(list []datagram) []datagram) (changed bool, err error) {
	b, err := os.ReadFile(f.path)
	if err != nil {
		return false, err
	}
	list := r.datagrams(b)
	var out []byte
	for _, d := range pick(slices.Clone(list)) {
		out = append(out, b[d.from:d.to]...)
	}
	if bytes.Equal(out, b) {
		return false, nil
	}
	r.stale = true
	return true, os.WriteFile(f.path, out, 0o644)
}

// note adds what was done.
func (r *randomRun) note(format string, args ...any) {
	r.done = append(r.done, fmt.Sprintf(format, args...))
}

// deed does something to the run.
func (r *randomRun) deed() error {
	files := r.files()
	if len(files) == 0 {
		return nil
	}
	f := files[r.IntN(len(files))]
	others := r.streams() > 1
	base := filepath.Base(f.path)
	deeds := []func() error{
		func() error { return r.loseChunk(f, others) },
		func() error { return r.cut(f, others) },
		func() error { return r.hole(f, others) },
		func() error { return r.smallHole(f) },
		func() error { return r.repeat(f) },
		func() error { return r.dropTransition(f, files) },
		func() error { return r.twice(f) },
		func() error { return r.swap(f) },
		func() error { return r.copied(f) },
		func() error { return r.endEarly(f, others) },
		func() error { return r.loseSmalldata(f) },
		func() error { // a file that is still being copied
			r.note("inprogress %s", base)
			r.must, r.mention = true, "in progress"
			return os.Rename(f.path, f.path+".inprogress")
		},
		func() error { return r.otherRun(files) },
		func() error { return r.loseBegin(f) },
		func() error { return r.loseConfigure(f, others) },
	}
	if r.multiGain() && r.IntN(3) == 0 {
		return r.loseBegin(f)
	}
	return deeds[r.IntN(len(deeds))]()
}

// loseChunk removes a file, and sometimes its smalldata.
func (r *randomRun) loseChunk(f dataFile, others bool) error {
	r.note("lose %s", filepath.Base(f.path))
	announced := f.chunk > 0 && !r.lcls1() // by the chunk before, or its smalldata
	small := r.smallOf(f)
	if exists(small) && r.IntN(2) == 0 && (r.lcls1() || f.chunk == 0) {
		r.note("lose its smalldata")
		if err := os.Remove(small); err != nil {
			return err
		}
	}
	first := f.chunk == 0 && f.last && !exists(small)                                                         // all of the stream
	r.untraced = r.untraced || first || f.last && !announced && !exists(small) && (!others || r.cfg.NoEndRun) // what is left may be too little for a rhythm
	r.must, r.torn = !r.untraced, first
	return os.Remove(f.path)
}

// cut shortens a file.
func (r *randomRun) cut(f dataFile, others bool) error {
	b, err := os.ReadFile(f.path)
	if err != nil || len(b) == 0 {
		return err
	}
	n := r.IntN(len(b))
	ends := map[int]bool{0: true}
	first, last := len(b), 0
	for _, d := range r.datagrams(b) {
		ends[d.to] = true
		if d.event {
			first, last = min(first, d.to), d.to
		}
	}
	r.note("cut %s to %d of %d bytes", filepath.Base(f.path), n, len(b))
	r.may = true
	switch {
	case !ends[n] || n == 0:
		r.must, r.torn = true, true
	case n < last: // between two datagrams: the others, or smalldata, must show it
		if !others || r.lcls1() && !f.last {
			r.bySmall, r.untraced = true, r.untraced || !exists(r.smallOf(f))
		}
		r.torn = r.torn || n < first && !others // no frame is left
	}
	return os.WriteFile(f.path, b[:n], 0o644)
}

// hole takes some events out of a data file.
func (r *randomRun) hole(f dataFile, others bool) error {
	first, n := r.IntN(12), 1+r.IntN(4)
	changed, err := r.rewrite(f, func(list []datagram) []datagram {
		k := 0
		return slices.DeleteFunc(list, func(d datagram) bool {
			if !d.event {
				return false
			}
			k++
			return k > first && k <= first+n
		})
	})
	if changed {
		r.note("hole of %d events behind %d in %s", n, first, filepath.Base(f.path))
		r.may = true
		// Where each event is in one stream, or there is one stream only, nothing else knows of it; the events of
		// the slow detector are few.
		r.untraced = r.untraced || !others || r.lcls1() || f.stream == 90 || r.slow > 0 && r.cfg.Streams == 1 || r.cfg.LostEvents > 0 // perhaps the same event
	}
	return err
}

// smallHole takes something out of the smalldata, which loses nothing.
func (r *randomRun) smallHole(f dataFile) error {
	path := r.smallOf(f)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	list := r.datagrams(b)
	if len(list) == 0 {
		return nil
	}
	first := 1 + r.IntN(len(list))
	n := 1 + r.IntN(len(list))
	if r.IntN(3) == 0 { // cut, anywhere
		r.note("cut its smalldata")
		return os.WriteFile(path, b[:r.IntN(len(b))], 0o644)
	}
	var out []byte
	for i, d := range list {
		if i < first || i >= first+n {
			out = append(out, b[d.from:d.to]...)
		}
	}
	r.note("smallhole of %d datagrams behind %d of %d", n, first, len(list))
	return os.WriteFile(path, out, 0o644)
}

// repeat puts a Configure, Unconfigure or BeginRun somewhere into the run, where it changes nothing.
func (r *randomRun) repeat(f dataFile) error {
	var first []byte
	for _, g := range r.files() {
		if g.stream == f.stream && g.chunk == 0 {
			var err error
			if first, err = os.ReadFile(g.path); err != nil {
				return err
			}
		}
	}
	b, err := os.ReadFile(f.path)
	if err != nil || len(r.datagrams(first)) == 0 || len(r.datagrams(b)) == 0 {
		return err
	}
	which := []int{2, 3, 4}[r.IntN(3)]
	list := r.datagrams(b)
	var piece []byte
	for _, d := range r.datagrams(first) {
		if d.service == which || which == 3 && d.service == 9 {
			piece = bytes.Clone(first[d.from:d.to])
			break
		}
	}
	if piece == nil {
		return nil
	}
	if which == 3 { // a Disable becomes an Unconfigure
		code := byte(3)
		if r.lcls1() {
			code = 5
		}
		piece[11] = piece[11]&0xf0 | code
	}
	after := r.IntN(len(list))
	if list[after].service < 4 || slices.ContainsFunc(list[:after+1], func(d datagram) bool { return d.service == 5 }) {
		return nil // before the run, or behind its end
	}
	copy(piece[:8], b[list[after].from:][:8]) // at the time of the datagram before
	r.note("repeat service %d behind datagram %d of %s", which, after, filepath.Base(f.path))
	r.stale = true
	return os.WriteFile(f.path, slices.Concat(b[:list[after].to], piece, b[list[after].to:]), 0o644)
}

// dropTransition takes a transition out of a stream.
func (r *randomRun) dropTransition(f dataFile, files []dataFile) error {
	which := []int{5, 6, 7, 9}[r.IntN(4)]
	streams := map[int]bool{}
	for _, g := range files {
		streams[g.stream] = true
	}
	if which == 6 && (len(streams) == 1 || f.stream == 90) || which == 5 && f.stream == 90 {
		return nil
	}
	dropped := 0
	changed, err := r.rewrite(f, func(list []datagram) []datagram {
		nth := r.IntN(3)
		return slices.DeleteFunc(list, func(d datagram) bool {
			if d.service != which {
				return false
			}
			dropped++
			return which == 5 || dropped-1 == nth
		})
	})
	if changed {
		r.note("drop service %d of %s", which, filepath.Base(f.path))
		r.may = r.may || exists(r.smallOf(f))
		if which == 5 && len(streams) > 1 {
			r.must = true
			if !exists(r.smallOf(f)) {
				r.mention = "EndRun"
			}
		}
	}
	return err
}

// loseBegin takes a BeginStep that another stream has out of a stream, and its smalldata away.
func (r *randomRun) loseBegin(f dataFile) error {
	run, err := slowRead(r.cfg.Dir, r.lcls1(), 0)
	if err != nil {
		return err
	}
	var others []uint64
	for stream, begins := range run.took {
		if stream != f.stream {
			others = append(others, begins...)
		}
	}
	mine := slices.DeleteFunc(run.took[f.stream], func(ts uint64) bool { return !slices.Contains(others, ts) })
	if len(mine) == 0 || f.stream == 90 {
		return nil
	}
	lost := mine[r.IntN(len(mine))]
	for _, g := range r.files() {
		if g.stream != f.stream {
			continue
		}
		if err := os.Remove(r.smallOf(g)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err := r.rewrite(g, func(list []datagram) []datagram {
			return slices.DeleteFunc(list, func(d datagram) bool { return d.service == 6 && d.ts == lost })
		})
		if err != nil {
			return err
		}
	}
	r.note("losebegin of step %d in stream %d", r.want.step(lost), f.stream)
	if i := slices.IndexFunc(r.files(), func(g dataFile) bool { return g.stream != f.stream }); i >= 0 && r.IntN(2) == 0 {
		return r.loseBegin(r.files()[i])
	}
	return nil
}

// loseConfigure takes the Configure out of a stream of LCLS-II, where no other stream has it.
func (r *randomRun) loseConfigure(f dataFile, others bool) error {
	if r.lcls1() || f.chunk > 0 {
		return nil
	}
	changed, err := r.rewrite(f, func(list []datagram) []datagram {
		return slices.DeleteFunc(list, func(d datagram) bool { return d.service == 2 })
	})
	if changed {
		r.note("loseconfigure of %s", filepath.Base(f.path))
		r.must, r.torn = true, !others
	}
	return err
}

// twice repeats an event.
func (r *randomRun) twice(f dataFile) error {
	nth, later := r.IntN(20), r.IntN(3)
	changed, err := r.rewrite(f, func(list []datagram) []datagram {
		var at []int
		for i, d := range list {
			if d.event {
				at = append(at, i)
			}
		}
		if nth >= len(at) || len(at) < 2 {
			return list
		}
		to := at[nth] + 1
		for range later {
			if to < len(list) && list[to].event {
				to++
			}
		}
		return slices.Insert(list, to, list[at[nth]])
	})
	if changed {
		r.note("twice event %d of %s", nth, filepath.Base(f.path))
	}
	return err
}

// swap exchanges two neighbouring events.
func (r *randomRun) swap(f dataFile) error {
	nth := r.IntN(20)
	changed, err := r.rewrite(f, func(list []datagram) []datagram {
		for i := nth; i+1 < len(list); i++ {
			if list[i].event && list[i+1].event {
				list[i], list[i+1] = list[i+1], list[i]
				break
			}
		}
		return list
	})
	if changed {
		r.note("swap events in %s", filepath.Base(f.path))
	}
	return err
}

// copied copies a file to a second name.
func (r *randomRun) copied(f dataFile) error {
	b, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	events := 0
	for _, d := range r.datagrams(b) {
		if d.event {
			events++
		}
	}
	if events < 2 {
		return nil
	}
	stream := f.stream + 50
	if r.lcls1() {
		stream = f.stream + 20
	}
	to := regexp.MustCompile(`-s\d+-`).ReplaceAllString(filepath.Base(f.path), fmt.Sprintf("-s%03d-", stream))
	if r.IntN(2) == 0 {
		to = regexp.MustCompile(`-c\d+\.`).ReplaceAllString(filepath.Base(f.path), fmt.Sprintf("-c%03d.", r.cfg.Chunks))
	} else { // the first chunk of a stream
		to = regexp.MustCompile(`-c\d+\.`).ReplaceAllString(to, "-c000.")
	}
	r.note("copy %s to %s", filepath.Base(f.path), to)
	r.must, r.mention = true, to
	return os.WriteFile(filepath.Join(r.cfg.Dir, to), b, 0o644)
}

// endEarly ends the last file of a stream behind some of its events.
func (r *randomRun) endEarly(f dataFile, others bool) error {
	if !f.last || f.stream == 90 {
		return nil
	}
	keep := 1 + r.IntN(5)
	changed, err := r.rewrite(f, func(list []datagram) []datagram {
		n := 0
		for i, d := range list {
			if d.event {
				if n++; n > keep {
					return list[:i]
				}
			}
		}
		return list
	})
	if changed {
		r.note("end %s behind %d events", filepath.Base(f.path), keep)
		r.may = true
		if r.must = others && !r.cfg.NoEndRun; !others {
			r.bySmall, r.untraced = true, r.untraced || !exists(r.smallOf(f))
		}
		r.untraced = r.untraced || others && r.cfg.NoEndRun && (r.lcls1() || r.slow > 0 && r.cfg.Streams == 1)
	}
	return err
}

// loseSmalldata removes a smalldata file, which loses nothing.
func (r *randomRun) loseSmalldata(f dataFile) error {
	if err := os.Remove(r.smallOf(f)); err == nil {
		r.note("nosmall of %s", filepath.Base(f.path))
	}
	return nil
}

// otherRun renames all files to those of another run.
func (r *randomRun) otherRun(files []dataFile) error {
	now, then := fmt.Sprintf("-r%04d-", r.cfg.Run), fmt.Sprintf("-r%04d-", r.cfg.Run+100)
	list, err := filepath.Glob(filepath.Join(r.cfg.Dir, "smalldata", "*"+now+"*"))
	for _, f := range files {
		list = append(list, f.path)
	}
	for _, path := range list {
		dir, base := filepath.Split(path)
		err = errors.Join(err, os.Rename(path, filepath.Join(dir, strings.Replace(base, now, then, 1))))
	}
	r.cfg.Run += 100
	r.note("rename to run %d", r.cfg.Run)
	r.usage = true
	return err
}

// verdict is the answer of the program.
func (r *randomRun) verdict() (x *frame.Index, lacks []string, err error) {
	d := open.Dataset{Experiment: r.cfg.Experiment, Runs: ranges.One(r.cfg.Run), Dir: r.cfg.Dir, Detector: r.cfg.Detector}
	x, err = open.Index(context.Background(), d, open.Options{Settle: time.Nanosecond, MaxLost: 1, AllHeaders: r.IntN(2) == 0})
	if err == nil {
		lacks = plan.Lacks(x, 1, nil)
		err = plan.Incomplete(x.Run, lacks)
	}
	return x, lacks, err
}

// judge compares what the program says with what is so.
func (r *randomRun) judge() (code fault.Code, problem string) {
	have, err := slowRead(r.cfg.Dir, r.lcls1(), r.pixels())
	if err != nil {
		return 0, err.Error()
	}
	x, _, err := r.verdict()
	code = fault.CodeOf(err)
	switch {
	case r.usage && code != fault.Usage:
		return code, fmt.Sprintf("data of another run than asked for: %v", err)
	case r.usage:
		return code, ""
	case r.torn && code == fault.Input:
		return code, ""
	case code != fault.OK && code != fault.Incomplete:
		return code, fmt.Sprintf("unexpected error: %v", err)
	case r.must && code != fault.Incomplete:
		return code, "it must be refused, and is not"
	case r.mention != "" && !strings.Contains(fmt.Sprint(err), r.mention):
		return code, fmt.Sprintf("the refusal does not mention %q: %v", r.mention, err)
	}
	lost := r.lost(have)
	r.untraced = r.untraced || r.bySmall && r.stale
	switch {
	case code == fault.Incomplete && !r.must && !r.may && lost == 0:
		return code, fmt.Sprintf("nothing is lost, and it is refused: %v", err)
	case code == fault.OK && lost > 0 && !r.untraced:
		return code, fmt.Sprintf("%d frames are lost, and it is accepted: notes %q", lost, x.Notes)
	case code == fault.OK:
		if problem := r.compare(x, have); problem != "" || !r.multiGain() {
			return code, problem
		}
		return code, r.judgeGains(x, have)
	}
	return code, ""
}

// mine reports whether a panel is one of the detector that is asked for.
func (r *randomRun) mine(p slowPanel) bool { return p.detector != secondDetector }

// lost counts the frames of the detector that the run should have and has not; more than a hundredth of a
// panel's is too much, and there are always fewer than a hundred of them.
func (r *randomRun) lost(have *slowRun) (n int) {
	for ts, panels := range r.want.frames {
		for p := range panels {
			if _, ok := have.frames[ts][p]; !ok && r.mine(p) {
				n++
			}
		}
	}
	for _, panels := range r.want.lost {
		for p := range panels {
			if r.mine(p) {
				n++
			}
		}
	}
	return n + r.cfg.LostEvents
}

// compare compares an index with what the slow reader found: same events, steps, and frames at the same
// places.
func (r *randomRun) compare(x *frame.Index, have *slowRun) string {
	type place struct {
		path string
		off  int64
		step int
	}
	got, want := map[uint64]map[int]place{}, map[uint64]map[int]place{}
	for e, event := range x.Events {
		for p, panel := range x.Panels {
			at := x.At(e, p)
			if at.State != frame.Present {
				continue
			}
			if got[event.TS] == nil {
				got[event.TS] = map[int]place{}
			}
			if _, twice := got[event.TS][panel.Segment]; twice {
				return fmt.Sprintf("event %d is in the index twice", event.TS)
			}
			got[event.TS][panel.Segment] = place{x.Files[at.File].Path, at.Offset, int(event.Step)}
		}
	}
	for ts, panels := range have.frames {
		for p, f := range panels {
			if !r.mine(p) {
				continue
			}
			if want[ts] == nil {
				want[ts] = map[int]place{}
			}
			want[ts][p.segment] = place{f.path, f.off, have.step(ts)}
		}
	}
	if reflect.DeepEqual(got, want) {
		return ""
	}
	var diff []string
	for _, ts := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[ts], want[ts]) {
			diff = append(diff, fmt.Sprintf("event %d: got %v, want %v", ts, got[ts], want[ts]))
		}
	}
	for _, ts := range slices.Sorted(maps.Keys(got)) {
		if want[ts] == nil {
			diff = append(diff, fmt.Sprintf("event %d: got %v, want none", ts, got[ts]))
		}
	}
	return strings.Join(diff[:min(len(diff), 6)], "\n")
}
