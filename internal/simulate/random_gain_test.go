package simulate

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/task"
)

// Random changes of gains, and the second opinion on them. Words decide: of the gain modes whose words have the gain
// bits that most of a panel's words in a step have, description and configuration choose one, or contradict. Words of
// other bits are counted and not summed.

// slowModes are the gain modes of a family with the upper two bits of their words, and the modes that agree with a
// setting, the one of darkness first.
type slowModes struct {
	modes    []string
	patterns map[string]uint16
	mask     uint16
	settings map[string][]string
	codes    []string // what a number in a configuration says (jungfrau)
	steps    []string // what the number of a pedestal scan's step says
}

func modesFor(typ string, lcls1 bool) *slowModes {
	switch typ {
	case "jungfrau":
		all := []string{"g0", "g1", "g2"}
		m := &slowModes{all, map[string]uint16{"g0": 0, "g1": 1, "g2": 3}, 3,
			map[string][]string{"any": all, "1": {"g1"}, "2": {"g2"}}, []string{"any", "1", "2", "1", "2"}, []string{"any", "1", "2"}}
		if lcls1 {
			m.codes = append(m.codes, "any")
		}
		return m
	case "epix10ka":
		return &slowModes{[]string{"FH", "FM", "FL", "AHL-H", "AML-M", "AHL-L", "AML-L"},
			map[string]uint16{"FH": 0, "FM": 0, "FL": 1, "AHL-H": 0, "AML-M": 0, "AHL-L": 1, "AML-L": 1}, 1,
			map[string][]string{"FH": {"FH"}, "FM": {"FM"}, "FL": {"FL"}, "AHL": {"AHL-H", "AHL-L"}, "AML": {"AML-M", "AML-L"}},
			nil, []string{"FH", "FM", "FL", "AHL", "AML"}}
	}
	return nil
}

// bits are the gain bits of a word.
func (m *slowModes) bits(word uint16) uint16 { return word >> 14 & m.mask }

// slowClaim is the gain setting in a transition.
type slowClaim struct {
	stream   int
	ts       uint64
	step     bool // it came with the begin of a step
	path     string
	off, n   int // of what says it, in its file
	panel    slowPanel
	doc      string   // description of the step
	settings []string // of the pixels of a panel: one for all, or one for each; empty texts are not known
	trbit    int      // offset of the trbits of an epix10ka
}

// slowTypes are the sizes of the values of fields.
var slowTypes = []int{1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1, 4, 4}

// slowField is where the values of a field are, and its dimensions.
type slowField struct {
	off, n int
	dims   []int
}

// claims2 reads what a ShapesData of LCLS-II in [from, to) says.
func (r *slowRun) claims2(b []byte, from, to int, n slowNames, c slowClaim) {
	fields := map[string]slowField{}
	shapes, data := -1, -1
	slowXtc2(b, from, to, func(typ uint16, _ uint32, _ uint16, from, _ int) {
		if typ == 2 {
			shapes = from
		} else if typ == 3 {
			data = from
		}
	})
	for i := range n.fields {
		f := n.text[524*i:]
		typ, rank := int(u32(f[516:])), int(u32(f[520:]))
		v := slowField{off: data, n: slowTypes[typ]}
		for d := range rank {
			v.dims = append(v.dims, int(u32(b[shapes+4*d:])))
			v.n *= v.dims[d]
		}
		if rank > 0 {
			shapes += 20
		}
		data += v.n
		fields[text(f[260:516])] = v
	}
	c.panel = n.panel
	if v, ok := fields["step_docstring"]; ok {
		c.off, c.n, c.doc = v.off, v.n, text(b[v.off:v.off+v.n])
		r.claims = append(r.claims, c)
	}
	if v, ok := fields["user.gainMode:gainModeEnum"]; ok {
		c.off, c.n = v.off, v.n
		c.settings = []string{code(modesFor("jungfrau", false).codes, int(u32(b[v.off:])))}
		r.claims = append(r.claims, c)
	}
	if v, ok := fields["asicPixelConfig"]; ok {
		c.off, c.n, c.trbit = v.off, v.n, fields["trbit"].off
		c.settings = slowPixels(b[v.off:v.off+v.n], v.dims, b[c.trbit:])
		r.claims = append(r.claims, c)
	}
}

func code(of []string, n int) string {
	if n < 0 || n >= len(of) {
		return ""
	}
	return of[n]
}

// slowPixels puts the pixels of four chips together: 2 and 1 above, turned around, 3 and 0 below.
func slowPixels(config []byte, dims []int, trbit []byte) []string {
	rows, cols := dims[1], dims[2]
	out := make([]string, 4*rows*cols)
	for y := range 2 * rows {
		for x := range 2 * cols {
			chip, r, c := 3, y-rows, x
			if x >= cols {
				chip, c = 0, x-cols
			}
			if y < rows {
				chip, r, c = 2, rows-1-y, cols-1-x
				if x >= cols {
					chip, c = 1, 2*cols-1-x
				}
			}
			v := config[(chip*rows+r)*cols+c]
			names := map[byte]string{12: "FM", 28: "FH", 8: "FL", 24: "FL", 0: "AML", 16: "AHL"}
			out[y*2*cols+x] = names[v&12|trbit[chip]&1<<4]
		}
	}
	return out
}

// claims1 reads what a Jungfrau's configuration of LCLS-I in [from, to) says, of both panels.
func (r *slowRun) claims1(b []byte, from int, source string, c slowClaim) {
	c.off, c.n = from+16, 2
	for p := range 2 {
		c.panel = slowPanel{source, p}
		c.settings = []string{code(modesFor("jungfrau", true).codes, int(u16(b[from+16:])))}
		r.claims = append(r.claims, c)
	}
}

// configured returns what the configuration of a panel says in a step, nil if nothing; fresh reports that it was said with
// the step. What a stream said holds as long as it takes part in steps; of several streams the one that said it last counts.
func (r *slowRun) configured(begins []uint64, step int, p slowPanel) (settings []string, fresh bool) {
	from, at := append([]uint64{0}, begins...)[step+1], uint64(math.MaxUint64)
	if step >= 0 {
		at = from
	} else if len(begins) > 0 {
		at = begins[0]
	}
	inForce := map[int]slowClaim{} // by stream
	for _, c := range r.claims {   // in the order of the streams' files
		if c.panel == p && c.settings != nil && (c.ts < at || c.step && c.ts == from) {
			inForce[c.stream] = c
		}
	}
	last := slowClaim{}
	for stream, c := range inForce {
		lost := slices.ContainsFunc(begins[:step+1], func(b uint64) bool { return b > c.ts && !slices.Contains(r.took[stream], b) })
		if !lost && c.ts > last.ts {
			last = c
		}
	}
	return last.settings, last.step && last.ts == from
}

// described returns the setting that the description of a step names for the detector.
func (r *slowRun) described(m *slowModes, ts uint64, det string) string {
	for _, c := range r.claims {
		if c.doc == "" || c.ts != ts {
			continue
		}
		var d struct {
			Detname, Scantype string
			Step, GainMode    *int
		}
		if json.Unmarshal([]byte(c.doc), &d) != nil || regexp.MustCompile(`_\d+$`).ReplaceAllString(d.Detname, "") != det {
			return ""
		}
		n := d.Step
		if d.Scantype != "pedestal" {
			n = nil
		}
		if m.codes != nil && d.GainMode != nil {
			n = d.GainMode
		}
		if n != nil {
			return code(m.steps, *n)
		}
		return ""
	}
	return ""
}

// slowUnit is the input of one status file.
type slowUnit struct {
	frames                    int
	words, others, impossible uint64
	members, odd, never       []int // by pixel
}

// slowKey names a unit: mode, or gain bits where the mode is not known, and panel.
type slowKey struct {
	mode    string
	bits    int // -1 with a mode
	segment int
}

// units finds the gain modes of all panels and steps and counts their words. The text says what contradicts.
func (r *slowRun) units(m *slowModes, begins []uint64, det string, pixels int) (map[slowKey]*slowUnit, string) {
	byStep := map[int]map[slowPanel][][]uint16{}
	for ts, panels := range r.frames {
		step := -1
		for _, b := range begins {
			if b <= ts {
				step++
			}
		}
		for p, f := range panels {
			if p.detector == secondDetector {
				continue
			}
			if byStep[step] == nil {
				byStep[step] = map[slowPanel][][]uint16{}
			}
			byStep[step][p] = append(byStep[step][p], f.words)
		}
	}
	units := map[slowKey]*slowUnit{}
	for step, panels := range byStep {
		for p, frames := range panels {
			settings, fresh := r.configured(begins, step, p)
			doc := ""
			if step >= 0 {
				doc = r.described(m, begins[step], det)
			}
			if doc != "" && !fresh {
				settings = nil
			}
			var parts map[string][]int // pixels by setting
			if len(settings) == pixels && slices.ContainsFunc(settings, func(s string) bool { return s != settings[0] }) {
				if why := m.contradiction(doc, most(settings)); why != "" {
					return nil, fmt.Sprintf("step %d segment %d: %s", step, p.segment, why)
				}
				parts = map[string][]int{}
				for i, s := range settings {
					parts[s] = append(parts[s], i)
				}
				delete(parts, "")
				if len(parts) == 0 {
					return nil, "no pixel has a known setting"
				}
			} else {
				whole := make([]int, pixels)
				for i := range whole {
					whole[i] = i
				}
				parts = map[string][]int{"": whole}
			}
			for setting, members := range parts {
				said := [2]string{doc, append(settings, "")[0]}
				if setting != "" {
					said = [2]string{"", setting}
				}
				bits, mode, why := m.settle(frames, members, said)
				if why != "" {
					return nil, fmt.Sprintf("step %d segment %d: %s", step, p.segment, why)
				}
				key := slowKey{mode, -1, p.segment}
				if mode == "" {
					key.bits = int(bits)
				}
				if units[key] == nil {
					units[key] = &slowUnit{members: make([]int, pixels), odd: make([]int, pixels), never: make([]int, pixels)}
				}
				units[key].count(m, bits, frames, members)
			}
		}
	}
	unknown := map[int]int{} // groups without a mode by segment: their files would have one name
	for key := range units {
		if key.mode == "" {
			unknown[key.segment]++
		}
		if unknown[key.segment] > 1 {
			return nil, nobodyKnows
		}
	}
	return units, ""
}

const nobodyKnows = "words of different gain bits, of gain modes that nobody knows"

// most is the setting of more than half of the pixels.
func most(settings []string) string {
	n := map[string]int{}
	for _, s := range settings {
		if n[s]++; 2*n[s] > len(settings) {
			return s
		}
	}
	return ""
}

// contradiction compares two settings.
func (m *slowModes) contradiction(a, b string) string {
	if a == "" || b == "" || slices.ContainsFunc(m.settings[a], func(mode string) bool { return slices.Contains(m.settings[b], mode) }) {
		return ""
	}
	return fmt.Sprintf("%s against %s", a, b)
}

// settle finds the gain mode of some pixels.
func (m *slowModes) settle(frames [][]uint16, members []int, said [2]string) (bits uint16, mode, why string) {
	var n [4]int
	for _, f := range frames {
		for _, i := range members {
			n[m.bits(f[i])]++
		}
	}
	for b := range n {
		if n[b] > n[bits] {
			bits = uint16(b)
		}
	}
	var fit []string
	for _, mode := range m.modes {
		if m.patterns[mode] == bits {
			fit = append(fit, mode)
		}
	}
	told := false
	for _, s := range said {
		if s == "" {
			continue
		}
		told = true
		var both []string
		for _, mode := range m.settings[s] {
			if slices.Contains(fit, mode) {
				both = append(both, mode)
			}
		}
		fit = both
	}
	switch {
	case len(fit) == 0:
		return bits, "", fmt.Sprintf("bits %d against %q", bits, said)
	case told || len(fit) == 1:
		return bits, fit[0], ""
	}
	return bits, "", ""
}

func (u *slowUnit) count(m *slowModes, bits uint16, frames [][]uint16, members []int) {
	u.frames += len(frames)
	for _, f := range frames {
		for _, i := range members {
			u.members[i]++
			u.words++
			if b := m.bits(f[i]); b != bits {
				u.odd[i]++
				u.others++
				if m.mask == 3 && b == 2 {
					u.never[i]++
					u.impossible++
				}
			}
		}
	}
}

// gainDeed does something to the gain bits of words or to what is said of them, in data and smalldata alike.
func (r *randomRun) gainDeed() error {
	m := modesFor(r.cfg.Type, r.lcls1())
	step := r.IntN(r.cfg.Steps)
	segment := r.IntN(r.cfg.Panels)
	mine := func(p slowPanel) bool { return p.detector != secondDetector && p.segment == segment }
	switch r.IntN(5) {
	case 0: // some words of one or two pixels
		if r.mapped {
			return nil
		}
		first, every := r.IntN(r.pixels()-1), 1+r.IntN(4)
		bits, n := uint16(r.IntN(4))<<14, 0
		r.note("words of pixel %d to %#x in every %d. frame of step %d segment %d", first, bits, every, step, segment)
		return r.patchWords(step, mine, func(words []uint16) {
			if n++; n%every == 0 {
				for i := first; i < first+2; i++ {
					words[i] = words[i]&0x3fff | bits
				}
			}
		})
	case 1: // all words of a panel in a step
		bits := uint16(r.IntN(4)) << 14
		r.note("bits %#x in step %d segment %d", bits, step, segment)
		return r.patchWords(step, mine, func(words []uint16) {
			for i := range words {
				words[i] = words[i]&0x3fff | bits
			}
		})
	case 2, 3:
		value, at := byte(r.IntN(7)), r.IntN(r.pixels())
		pixel := []byte{0, 4, 8, 12}[r.IntN(4)]
		r.note("setting %d (pixel %d %d) in step %d segment %d", value, at, pixel, step, segment)
		r.mapped = r.mapped || m.codes == nil
		return r.patchClaims(func(c slowClaim, b []byte) {
			if c.doc != "" || r.want.step(c.ts) != step && !(c.ts < r.want.begins[0] && step == 0) || !mine(c.panel) && !r.lcls1() {
				return
			}
			switch {
			case m.codes != nil:
				b[c.off] = value
			case value == 0:
				b[c.trbit+at%4] ^= 1
			default:
				b[c.off+at] = pixel
				b[c.off+at/2] = pixel
			}
		})
	}
	digit := byte('0' + r.IntN(6))
	r.note("description says %c in step %d", digit, step)
	return r.patchClaims(func(c slowClaim, b []byte) {
		if c.doc == "" || r.want.step(c.ts) != step {
			return
		}
		for _, key := range []string{`"step": `, `"gainMode": `} {
			if i := bytes.Index(b[c.off:c.off+c.n], []byte(key)); i >= 0 {
				b[c.off+i+len(key)] = digit
			}
		}
	})
}

func (r *randomRun) pixels() int { return r.cfg.Rows * r.cfg.Cols }

// patchWords changes the words of a panel's frames in a step.
func (r *randomRun) patchWords(step int, mine func(slowPanel) bool, change func([]uint16)) error {
	var err error
	files := map[string][]byte{}
	for _, ts := range slices.Sorted(maps.Keys(r.want.frames)) {
		for p, f := range r.want.frames[ts] {
			if r.want.step(ts) != step || !mine(p) {
				continue
			}
			if files[f.path] == nil {
				b, readErr := os.ReadFile(f.path)
				files[f.path], err = b, errors.Join(err, readErr)
			}
			change(f.words)
			for i, w := range f.words {
				binary.LittleEndian.PutUint16(files[f.path][int(f.off)+2*i:], w)
			}
		}
	}
	for path, b := range files {
		err = errors.Join(err, os.WriteFile(path, b, 0o644))
	}
	return err
}

// patchClaims changes what transitions say.
func (r *randomRun) patchClaims(change func(c slowClaim, b []byte)) error {
	for _, dir := range []string{r.cfg.Dir, filepath.Join(r.cfg.Dir, "smalldata")} {
		run, err := slowRead(dir, r.lcls1(), 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for _, c := range run.claims {
			b, readErr := os.ReadFile(c.path)
			err = errors.Join(err, readErr)
			change(c, b)
			err = errors.Join(err, os.WriteFile(c.path, b, 0o644))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// judgeGains compares gain modes, counts of words and the pixels that are not judged with what the slow reader says.
func (r *randomRun) judgeGains(x *frame.Index, have *slowRun) string {
	m := modesFor(r.cfg.Type, r.lcls1())
	want, contradiction := have.units(m, have.begins, r.cfg.Detector, r.pixels())
	par := plan.Params{Profile: plan.ProfileData, CType: "status_data",
		Selection: plan.Selection{GateFrames: 50, DataBits: 0x3fff, IntLo: 1, IntHi: 16000, MaxLost: 1},
		Rules:     plan.Rules{IntNLo: 6, IntNHi: 6, RmsLo: 0.001, RmsHi: 16000, RmsNLo: 6, RmsNHi: 6, FracLm: 0.1, LimitsPer: "detector", Limits: "mean", MinFrames: 3, SNRMax: 8}}
	if m.mask == 3 {
		par.GainRule = "impossible"
	}
	var s *reduce.Summary
	y, err := plan.Prepare(context.Background(), x, par, sweep.Cached)
	if err == nil {
		s, err = r.reduce(y, par)
	}
	if err != nil || contradiction != "" {
		if code := fault.CodeOf(err); code != fault.Input && (code != fault.Usage || contradiction != nobodyKnows) || contradiction == "" {
			return fmt.Sprintf("gains: got error %v, want contradiction %q", err, contradiction)
		}
		return ""
	}
	for i, g := range s.Groups {
		for _, p := range g.Panels {
			key := slowKey{g.GainMode, -1, p.Segment}
			for b := 0; g.GainMode == "" && b < 4; b++ { // of several groups without a mode, the one with so many frames
				key = slowKey{"", b, p.Segment}
				if u := want[key]; u != nil && u.frames == int(p.Frames) {
					break
				}
			}
			u := want[key]
			if u == nil {
				return fmt.Sprintf("gains: unit %d (%s segment %d, %d frames) is not wanted", i, g.GainMode, p.Segment, p.Frames)
			}
			delete(want, key)
			if problem := u.compare(p); problem != "" {
				return fmt.Sprintf("gains: %s segment %d: %s", g.GainMode, p.Segment, problem)
			}
		}
	}
	if len(want) > 0 {
		return fmt.Sprintf("gains: missing are %v", slices.Collect(maps.Keys(want)))
	}
	return ""
}

// reduce does a whole job.
func (r *randomRun) reduce(x *frame.Index, par plan.Params) (*reduce.Summary, error) {
	index, sum, err := plan.EncodeIndex(x)
	if err != nil {
		return nil, err
	}
	p, err := plan.Build(x, sum, par, plan.Options{Tasks: 1 + r.IntN(3), Workers: 1})
	if err != nil {
		return nil, err
	}
	work := filepath.Join(r.cfg.Dir, "work")
	if err := errors.Join(os.MkdirAll(work, 0o755), plan.Save(work, p, index, 0o644)); err != nil {
		return nil, err
	}
	tasks := task.NewRunner(work, p, task.Options{Workers: 1})
	defer tasks.Close()
	for n := range p.Tasks {
		if _, err := tasks.Run(context.Background(), n); err != nil {
			return nil, err
		}
	}
	to := repo.New(filepath.Join(work, "repo"), &access.Policy{DirMode: 0o755, FileMode: 0o644}, time.UTC)
	return reduce.Run(context.Background(), work, p, reduce.Options{Repo: to})
}

// compare compares a unit with its result.
func (u *slowUnit) compare(p reduce.PanelResult) string {
	pixels := 0
	for _, n := range u.odd {
		if n > 0 {
			pixels++
		}
	}
	if int(p.Frames) != u.frames {
		return fmt.Sprintf("%d frames, want %d", p.Frames, u.frames)
	}
	got := reduce.GainWords{}
	if p.Gain != nil {
		got = *p.Gain
	}
	if want := (reduce.GainWords{Words: u.words, Others: u.others, Pixels: pixels, Impossible: u.impossible}); got != want {
		return fmt.Sprintf("words %+v, want %+v", got, want)
	}
	b, err := os.ReadFile(p.File)
	if err != nil {
		return err.Error()
	}
	a, err := calibtxt.ReadStatus(bytes.NewReader(b), int64(len(b)), p.File, nil)
	if err != nil {
		return err.Error()
	}
	for i, word := range a.Dense() {
		judged := u.members[i]-u.odd[i] >= 3
		switch {
		case (word&(1024|2048) == 0) != judged || u.members[i] == 0 && word != 1024:
			return fmt.Sprintf("pixel %d: status %d with %d words, %d of other gains", i, word, u.members[i], u.odd[i])
		case judged && (word&64 != 0) != (u.never[i] > 0):
			return fmt.Sprintf("pixel %d: status %d with %d impossible words", i, word, u.never[i])
		}
	}
	return ""
}

// multiGain reports whether the detector has several gains.
func (r *randomRun) multiGain() bool { return modesFor(strings.ToLower(r.cfg.Type), r.lcls1()) != nil }
