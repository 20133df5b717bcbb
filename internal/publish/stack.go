package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// fit sets the shape of the array: that of what is in force, since analysis asserts equal sizes, else that of
// the detector type. What is in force may have more panels, or axes of length 1 more or less; any other
// difference cannot be resolved.
func (m *Merged) fit(rows, cols int, standing *Standing) {
	m.Shape, m.ShapeFrom = m.shape(rows, cols), "of the detector type (no pixel_status or pedestals in force)"
	if standing == nil || standing.Shape == nil {
		return
	}
	want := standing.Shape
	if axis := m.panelAxis(); axis >= 0 && len(want) == len(m.Shape) && want[axis] > m.Shape[axis] {
		m.panels = want[axis]
		m.Shape = m.shape(rows, cols)
	}
	if m.family.GainPlanes > 1 && len(want) == len(m.Shape)-1 {
		m.onePlane = true
		m.Shape = m.shape(rows, cols)
	}
	if !slices.Equal(long(want), long(m.Shape)) {
		m.panels, m.onePlane = 0, false
		m.Shape, m.ShapeFrom = m.shape(rows, cols), "of the detector type, NOT that of "+standing.From
		m.Misfit = fmt.Sprintf("the array is %v, %s is %v", m.Shape, standing.From, want)
		return
	}
	m.Shape, m.ShapeFrom = slices.Clone(want), "of "+standing.From
}

// long leaves axes of length 1 out of a shape.
func long(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
}

// stack puts the planes together; what is missing is filled as the user says, or listed.
func (m *Merged) stack(opt MergeOptions) error {
	l := m.layout()
	m.stacks = nil
	bySlot := map[int][]*Plane{}
	for i := range m.Planes {
		bySlot[m.Planes[i].Slot] = append(bySlot[m.Planes[i].Slot], &m.Planes[i])
	}
	highest := m.Panels[len(m.Panels)-1].Slot
	padded := m.padded()
	for slot := range l.count {
		if !m.stacked() {
			slot = highest // the only panel
		}
		planes := bySlot[slot]
		absent := !slices.ContainsFunc(planes, func(p *Plane) bool { return p.merged != nil })
		switch {
		case absent && slot > highest && slot < padded:
			m.Notes = append(m.Notes, fmt.Sprintf("slot %d pads the array to the size that analysis knows: no such panel, bad (NO_DATA)", slot))
			m.fill(l, slot, status.NoData)
		case absent:
			if err := m.fillPanel(l, slot, opt.MissingPanel, planes); err != nil {
				return err
			}
		default:
			if err := m.stackPanel(l, planes, opt.MissingGain); err != nil {
				return err
			}
		}
	}
	for i := range m.Planes {
		m.Planes[i].merged = nil
	}
	m.array = m.assemble()
	m.noteTwins()
	if n := m.planes(); n > len(m.gains()) {
		m.Notes = append(m.Notes, fmt.Sprintf("the gain modes of %s are not told apart: its status holds for all %d planes of the array", m.Type, n))
	}
	if len(m.Missing) > 0 {
		m.array = nil
	}
	return nil
}

// stackPanel puts the planes of one panel into the array.
func (m *Merged) stackPanel(l layout, planes []*Plane, choices map[string]string) error {
	applyGainMaps(planes)
	for gain, p := range planes {
		choice, own := choices[p.GainMode]
		if !own {
			choice = choices[""]
		}
		words := p.merged
		twin := gain - 2
		switch {
		case gain >= usedPlanes && choice == "" && !p.measured() && planes[twin].merged != nil:
			words, p.twin, p.Filled = planes[twin].merged, true, "copy:"+planes[twin].GainMode
		case words == nil:
			var err error
			if words, err = m.fillGain(l.pixels, p, planes, choice); err != nil {
				return err
			}
		}
		if words == nil {
			continue // it is on the list of what is missing
		}
		copies := 1
		if len(planes) == 1 { // modes that are not told apart
			copies = m.planes()
		}
		for plane := gain; plane < gain+copies; plane++ {
			m.put(l, plane, p.Slot, words)
		}
	}
	return nil
}

// measured reports whether more than masks of people is known of a plane.
func (p *Plane) measured() bool {
	return slices.ContainsFunc(p.Sources, func(s Source) bool { return !s.byPerson })
}

// noteTwins says which planes beyond those that analysis uses by default were not measured. They are filled
// as the mode with the same amplifier that was: AHL-L as AHL-H, AML-L as AML-M.
func (m *Merged) noteTwins() {
	segments := map[string]int{}
	for _, p := range m.Planes {
		if p.twin {
			segments[p.GainMode+" as "+strings.TrimPrefix(p.Filled, "copy:")]++
		}
	}
	for _, what := range slices.Sorted(maps.Keys(segments)) {
		m.Notes = append(m.Notes, fmt.Sprintf("not measured, and not used by analysis unless asked for: %s in %s", what, fault.Count(segments[what], "panel")))
	}
}

// stackedPlane is a plane of the array.
type stackedPlane struct {
	base, step int // positions of its pixels
	words      *status.Sparse
}

// put notes the words of a plane of the array.
func (m *Merged) put(l layout, gain, slot int, words *status.Sparse) {
	base, step := l.at(gain, slot)
	m.stacks = append(m.stacks, stackedPlane{base, step, words})
}

// assemble makes the array of all planes that were put.
func (m *Merged) assemble() *calib.Array {
	a := &calib.Array{Shape: m.Shape, Words: calibtxt.Sparse{Pixels: 1}}
	for _, d := range m.Shape {
		a.Words.Pixels *= d
	}
	slices.SortFunc(m.stacks, func(x, y stackedPlane) int { return x.base - y.base })
	n := 0
	for _, s := range m.stacks {
		n += len(s.words.At)
	}
	a.Words.At, a.Words.Words = make([]uint32, 0, n), make([]uint64, 0, n)
	for len(m.stacks) > 0 {
		// Planes lie one behind the other, or those of a gain mode are interleaved, pixel by pixel.
		group := 1
		for group < m.stacks[0].step && group < len(m.stacks) && m.stacks[group].base < m.stacks[0].base+m.stacks[0].step {
			group++
		}
		next := make([]int, group)
		for {
			first, at := -1, 0
			for i, s := range m.stacks[:group] {
				if next[i] < len(s.words.At) {
					if k := s.base + int(s.words.At[next[i]])*s.step; first < 0 || k < at {
						first, at = i, k
					}
				}
			}
			if first < 0 {
				break
			}
			a.Words.At, a.Words.Words = append(a.Words.At, uint32(at)), append(a.Words.Words, m.stacks[first].words.Words[next[first]])
			next[first]++
		}
		m.stacks = m.stacks[group:]
	}
	return a
}

// allOf returns one word for all pixels.
func allOf(pixels int, word uint64) *status.Sparse {
	s := &status.Sparse{Pixels: pixels}
	if word != 0 {
		s.At, s.Words = make([]uint32, pixels), slices.Repeat([]uint64{word}, pixels)
		for i := range s.At {
			s.At[i] = uint32(i)
		}
	}
	return s
}

// fill sets all pixels of a panel, in all gain modes, to one word.
func (m *Merged) fill(l layout, slot int, word uint64) {
	for gain := range m.planes() {
		m.put(l, gain, slot, allOf(l.pixels, word))
	}
}

// fillPanel decides about a panel without any file.
func (m *Merged) fillPanel(l layout, slot int, choice string, planes []*Plane) error {
	name := fmt.Sprintf("segment %d", slot)
	if len(planes) > 0 {
		name += " (panel " + planes[0].Panel + ")"
	}
	word := uint64(0)
	switch choice {
	case "":
		m.Missing = append(m.Missing, name+" has no status file")
		return nil
	case "good":
	case "bad":
		word = status.NoData
	default:
		return fault.New(fault.Usage, "--missing-panel=%s: wanted good or bad", choice)
	}
	m.fill(l, slot, word)
	m.Choices = append(m.Choices, name+" has no status file: taken as "+choice+" (--missing-panel)")
	for _, p := range planes {
		p.Filled = choice
	}
	return nil
}

// fillGain decides about a gain mode without a file, of a panel that has others. It returns nothing when
// nobody has said what the plane is.
func (m *Merged) fillGain(pixels int, p *Plane, planes []*Plane, choice string) (*status.Sparse, error) {
	name := fmt.Sprintf("segment %d gain mode %s", p.Slot, p.GainMode)
	var words *status.Sparse
	switch {
	case choice == "":
		m.Missing = append(m.Missing, name+" has no status file")
		return nil, nil
	case choice == "good":
		words = allOf(pixels, 0)
	case choice == "bad":
		words = allOf(pixels, status.NoData)
	case strings.HasPrefix(choice, "copy:"):
		mode := strings.TrimPrefix(choice, "copy:")
		i := slices.IndexFunc(planes, func(q *Plane) bool { return q.GainMode == mode })
		if i < 0 {
			return nil, fault.New(fault.Usage, "--missing-gain=%s: %s has the gain modes %s", choice, m.Type, strings.Join(m.gains(), ", "))
		}
		if planes[i].merged == nil {
			return nil, fault.New(fault.Refused, "%s cannot be copied from %s, which has no status file either", name, mode)
		}
		words = planes[i].merged
	default:
		return nil, fault.New(fault.Usage, "--missing-gain=%s: wanted good, bad or copy:<gain mode>", choice)
	}
	p.Filled = choice
	m.Choices = append(m.Choices, name+" has no status file: taken as "+choice+" (--missing-gain)")
	return words, nil
}

// writeStack writes the detector's array, unless it is the merged file of its only plane.
func (m *Merged) writeStack(r *repo.Repo, opt MergeOptions) error {
	if !m.stacked() && len(m.Shape) == 2 {
		m.header, m.Path = m.Planes[0].header, m.Planes[0].File
		return nil
	}
	if err := access.CheckName("detector", m.Detector); err != nil {
		return err
	}
	m.header = header(r.Loc)
	m.header.Shape = m.Shape
	m.header.FileName = r.StackPath(m.Type, m.Detector, m.Run.Experiment, m.Run.Number, m.At, opt.CType)
	file := r.Policy.File()
	file.Keep = true
	err := r.Policy.MkdirAll(filepath.Dir(m.header.FileName))
	if err == nil {
		err = m.writeText(file)
	}
	if opt.tolerates(err) {
		m.Notes = append(m.Notes, "the detector's array is not written: "+err.Error())
		return nil
	}
	m.Path = m.header.FileName
	return err
}

// writeText writes the array's file, and keeps it open: the file may be replaced by another merge of the run at any time,
// and what is deployed is what was planned and weighed.
func (m *Merged) writeText(opt atomicfile.Options) error {
	h := sha256.New()
	var size counter
	opt.Verify = func(tmp string) error {
		f, err := os.Open(tmp)
		if err != nil {
			return err
		}
		m.written = &written{f, int64(size), hex.EncodeToString(h.Sum(nil))}
		return nil
	}
	return atomicfile.Write(m.header.FileName, opt, func(w io.Writer) error { return m.text(io.MultiWriter(w, h, &size)) })
}

// written is the file of an array.
type written struct {
	file   *os.File
	size   int64
	sha256 string
}

// text writes the array as it stands in its file.
func (m *Merged) text(w io.Writer) error {
	return calibtxt.WriteArray(w, m.header, m.array.Words)
}

// content returns the array as it is deployed.
func (m *Merged) content() (calib.Content, int64, error) {
	if w := m.written; w != nil {
		open := func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(w.file, 0, w.size)), nil }
		return calib.Content{Path: m.Path, SHA256: w.sha256, Open: open, Array: m.array, Own: true}, w.size, nil
	}
	h := sha256.New()
	var n counter
	if err := m.text(io.MultiWriter(h, &n)); err != nil {
		return calib.Content{}, 0, err
	}
	open := func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		fault.Start(func() error { return m.text(w) }, func(err error) { w.CloseWithError(err) })
		return r, nil
	}
	return calib.Content{Path: m.Path, SHA256: hex.EncodeToString(h.Sum(nil)), Open: open, Array: m.array}, int64(n), nil
}

// counter counts bytes.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// gains returns the planes of the deployed array, or one without a name.
func (s *Subject) gains() []string {
	if len(s.family.GainModes) > 0 {
		return s.family.GainModes
	}
	return []string{""}
}

// planes returns the number of gain planes of the deployed array.
func (s *Subject) planes() int {
	if s.onePlane {
		return 1
	}
	return max(s.family.GainPlanes, len(s.gains()))
}

// stacked reports whether the deployed array has a panel axis.
func (s *Subject) stacked() bool {
	return s.family.AlwaysStacked || len(s.Panels) > 1 || s.planes() > 1
}

// count returns the length of the panel axis.
func (s *Subject) count() int {
	return max(s.panels, s.padded())
}

// padded returns how many panels an array of this detector has when nothing in force says more. Of jungfraus
// only LCLS-I rounds the number up; the names of its detectors have a colon.
func (s *Subject) padded() int {
	highest := s.Panels[len(s.Panels)-1].Slot
	if strings.HasPrefix(s.family.Type, "jungfrau") && !s.LCLS1() {
		return highest + 1
	}
	return s.family.StackPanels(highest)
}

// LCLS1 reports whether the detector is one of LCLS-I, by its name: XppGon.0:Epix100a.1 there, epixquad
// in LCLS-II.
func (s *Subject) LCLS1() bool { return strings.Contains(s.Detector, ":") }

// panelAxis returns which axis of the array counts panels, or -1.
func (s *Subject) panelAxis() int {
	switch {
	case !s.stacked():
		return -1
	case s.family.PanelsLast:
		return len(s.shape(1, 1)) - 1
	}
	return len(s.shape(1, 1)) - 3
}

// layout says where the pixels of a plane lie in the deployed array.
type layout struct {
	count, pixels int
	last          bool
}

func (s *Subject) layout() layout {
	count := 1
	if s.stacked() {
		count = s.count()
	}
	return layout{count, s.Panels[0].Rows * s.Panels[0].Cols, s.family.PanelsLast && s.stacked()}
}

// at returns the position of the first pixel of a plane and the step from one pixel to the next.
func (l layout) at(gain, slot int) (base, step int) {
	if l.count == 1 {
		slot = 0 // the only panel, whatever its segment
	}
	if l.last {
		return gain*l.count*l.pixels + slot, l.count
	}
	return (gain*l.count + slot) * l.pixels, 1
}

// find returns the panel, and the pixel of it, at a position in one gain mode.
func (l layout) find(at int) (panel, pixel int) {
	if l.last {
		return at % l.count, at / l.count
	}
	return at / l.pixels, at % l.pixels
}

// shape is that of the deployed array.
func (s *Subject) shape(rows, cols int) []int {
	shape := []int{rows, cols}
	switch {
	case s.stacked() && s.family.PanelsLast:
		shape = append(shape, s.count())
	case s.stacked():
		shape = append([]int{s.count()}, shape...)
	}
	if n := s.planes(); n > 1 {
		shape = append([]int{n}, shape...)
	}
	return shape
}
