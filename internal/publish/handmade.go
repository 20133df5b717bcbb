package publish

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/npy"
)

// largestWord is the largest status word that analysis reads: 16 bits.
const largestWord = 0xffff

// Handmade is the status array that a person made, as it lies in the file.
type Handmade struct {
	Shape  []int
	path   string
	values []uint64
}

// HandmadePlane is the status of one panel in one gain mode.
type HandmadePlane struct {
	Panel      Slot
	GainMode   string // empty: all
	Rows, Cols int
	Words      []uint64
}

// ReadHandmade reads .npy or text and refuses everything that is not a status word. good is what good
// pixels are in an array of 0 and 1, "0" or "1"; an array that has nothing else is refused without it, for
// both polarities are in use. The result has 0 for good pixels.
func ReadHandmade(path string, good string) (*Handmade, error) {
	a := &Handmade{path: path}
	var err error
	if strings.EqualFold(filepath.Ext(path), ".npy") {
		err = a.readNumpy()
	} else {
		err = a.readText()
	}
	if err != nil {
		return nil, err
	}
	words, ones := false, 0
	for i, v := range a.values {
		switch {
		case v > largestWord:
			return nil, a.refuse(i, v, "a word of more than 16 bits, which analysis cuts off")
		case v > 1 && good != "":
			return nil, a.refuse(i, v, "neither 0 nor 1, so --good says nothing about it")
		case v > 1:
			words = true
		case v == 1:
			ones++
		}
		if good == "1" {
			a.values[i] = 1 - v
		}
	}
	if !words && good == "" && len(a.values) > 0 {
		return nil, fault.New(fault.Usage, "%q holds only 0 and 1 (%d of %d are 1): it does not say which is good", path, ones, len(a.values)).
			WithHint("--good 1 for a mask with 1 for good pixels, as analysis has them; --good 0 for a status with 0 for good pixels")
	}
	return a, nil
}

// refuse says which value is wrong, by its position in the array.
func (a *Handmade) refuse(i int, v any, why string) error {
	return fault.New(fault.Input, "%q: value %v at %v is %s", a.path, v, indexOf(i, a.Shape), why).
		WithHint("status words are whole numbers from 0 (good) to %d", largestWord)
}

func (a *Handmade) readNumpy() error {
	n, err := npy.Read(a.path)
	if err != nil {
		return err
	}
	a.Shape = n.Shape
	switch v := n.Data.(type) {
	case []bool:
		a.values = make([]uint64, len(v))
		for i, bad := range v {
			if bad {
				a.values[i] = 1
			}
		}
		return nil
	case []uint8:
		return take(a, v)
	case []uint16:
		return take(a, v)
	case []uint32:
		return take(a, v)
	case []uint64:
		return take(a, v)
	case []int8:
		return take(a, v)
	case []int16:
		return take(a, v)
	case []int32:
		return take(a, v)
	case []int64:
		return take(a, v)
	case []float32:
		return take(a, v)
	case []float64:
		return take(a, v)
	}
	panic(fmt.Sprintf("publish: array of %T", n.Data))
}

// take fills the array from numbers that are status words.
func take[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64](a *Handmade, v []T) (err error) {
	a.values = make([]uint64, len(v))
	for i, x := range v {
		if a.values[i], err = a.whole(i, float64(x)); err != nil {
			return err
		}
	}
	return nil
}

// readText reads status words exactly; a file of floating-point numbers is taken if they are whole.
func (a *Handmade) readText() error {
	s, exact := calibtxt.ReadStatusFile(a.path, nil)
	if exact == nil {
		a.Shape, a.values = s.Shape, s.Dense()
		return nil
	}
	f, err := calibtxt.LoadFile(a.path)
	if err != nil || f.Floats == nil {
		return exact
	}
	a.Shape, a.values = f.Shape, make([]uint64, len(f.Floats))
	for i, x := range f.Floats {
		if a.values[i], err = a.whole(i, x); err != nil {
			return err
		}
	}
	return nil
}

// whole takes a floating-point number that is a status word.
func (a *Handmade) whole(i int, x float64) (uint64, error) {
	switch {
	case x < 0:
		return 0, a.refuse(i, x, "negative")
	case x != math.Trunc(x) || math.IsInf(x, 0):
		return 0, a.refuse(i, x, "not a whole number")
	case x > largestWord:
		return 0, a.refuse(i, x, "a word of more than 16 bits, which analysis cuts off")
	}
	return uint64(x), nil
}

// Pick says which part of a detector an array is for: panels by segment or directory (empty: all), and the gain
// mode of an array without an axis of gain modes (empty: all).
type Pick struct {
	Segments []int
	Panel    string
	GainMode string
}

// panels returns those of the detector's panels that are picked.
func (k Pick) panels(s *Subject) ([]Slot, error) {
	for _, seg := range k.Segments {
		if !slices.ContainsFunc(s.Panels, func(p Slot) bool { return p.Segment == seg }) {
			return nil, fault.New(fault.Usage, "detector %s has no segment %d", s.Detector, seg)
		}
	}
	picked := slices.DeleteFunc(slices.Clone(s.Panels), func(p Slot) bool {
		return len(k.Segments) > 0 && !slices.Contains(k.Segments, p.Segment) || k.Panel != "" && p.Dir != k.Panel
	})
	if len(picked) == 0 {
		return nil, fault.New(fault.Usage, "detector %s has no panel %q", s.Detector, k.Panel)
	}
	return picked, nil
}

// Planes cuts the array into panels and gain modes. The notes say what is left out.
func (a *Handmade) Planes(s *Subject, k Pick) (list []HandmadePlane, notes []string, err error) {
	family, _ := detector.Lookup(s.Type)
	modes := family.GainModes
	if k.GainMode != "" && !slices.Contains(modes, k.GainMode) {
		return nil, nil, fault.New(fault.Usage, "detector type %s has no gain mode %q", s.Type, k.GainMode).WithHint("gain modes: %s", strings.Join(modes, ", "))
	}
	n := len(a.Shape)
	if n < 2 || n > 4 || len(a.values) == 0 {
		return nil, nil, a.misshapen(s, "has %d dimensions and %s", n, fault.Count(len(a.values), "value"))
	}
	a.panelsFirst(s)
	gains := []string{k.GainMode}
	if n == 4 {
		if gains = modes; a.Shape[0] != len(modes) || k.GainMode != "" {
			return nil, nil, a.misshapen(s, "has %s where one of %d is wanted", fault.Count(a.Shape[0], "gain mode"), len(modes))
		}
	}
	wanted, err := k.panels(s)
	if err != nil {
		return nil, nil, err
	}
	rows, cols := a.Shape[n-2], a.Shape[n-1]
	for _, p := range wanted {
		if p.Rows > 0 && (p.Rows != rows || p.Cols != cols) {
			return nil, nil, a.misshapen(s, "has panels of %d x %s", rows, fault.Count(cols, "pixel"))
		}
	}
	count, at := 1, map[string]int{wanted[0].Dir: 0}
	if n > 2 {
		count = a.Shape[n-3]
		if at, notes, err = a.positions(s, count); err != nil {
			return nil, nil, err
		}
	} else if len(wanted) > 1 {
		return nil, nil, a.misshapen(s, "is one panel").WithHint("pick the panel with --segment or --panel")
	}
	for g, mode := range gains {
		for _, p := range wanted {
			lo := (g*count + at[p.Dir]) * rows * cols
			list = append(list, HandmadePlane{Panel: p, GainMode: mode, Rows: rows, Cols: cols, Words: a.values[lo : lo+rows*cols]})
		}
	}
	return list, notes, nil
}

// panelsFirst reorders an array of a type whose deployed arrays are (rows, columns, panels).
func (a *Handmade) panelsFirst(s *Subject) {
	family, _ := detector.Lookup(s.Type)
	if last := s.Panels[len(s.Panels)-1]; !family.PanelsLast || !slices.Equal(a.Shape, []int{last.Rows, last.Cols, family.StackPanels(last.Slot)}) {
		return
	}
	pixels, count := a.Shape[0]*a.Shape[1], a.Shape[2]
	values := make([]uint64, len(a.values))
	for i, v := range a.values {
		values[i%count*pixels+i/count] = v
	}
	a.Shape, a.values = []int{count, a.Shape[0], a.Shape[1]}, values
}

// positions returns the position of each panel along the array's axis of panels: by segment, as in deployed
// arrays, or one after the other when there are as many as the run has panels.
func (a *Handmade) positions(s *Subject, count int) (at map[string]int, notes []string, err error) {
	at = map[string]int{}
	last := s.Panels[len(s.Panels)-1].Slot
	family, _ := detector.Lookup(s.Type)
	switch count {
	case last + 1, family.StackPanels(last):
		for _, p := range s.Panels {
			at[p.Dir] = p.Slot
		}
		if count > len(s.Panels) {
			notes = append(notes, fmt.Sprintf("the array has %s, the run %d: those without a panel are left out", fault.Count(count, "panel"), len(s.Panels)))
		}
	case len(s.Panels):
		for i, p := range s.Panels {
			at[p.Dir] = i
		}
		notes = append(notes, fmt.Sprintf("the array has one plane for each of the %s of the run, in the order of their segments", fault.Count(count, "panel")))
	default:
		return nil, nil, a.misshapen(s, "has %s", fault.Count(count, "panel"))
	}
	return at, notes, nil
}

// misshapen says what is wrong with the shape and which shapes fit.
func (a *Handmade) misshapen(s *Subject, format string, args ...any) *fault.Error {
	family, _ := detector.Lookup(s.Type)
	last := s.Panels[len(s.Panels)-1]
	shape := []int{family.StackPanels(last.Slot), last.Rows, last.Cols}
	text := fmt.Sprintf("%v for one panel, %v for all", shape[1:], shape)
	if n := len(family.GainModes); n > 0 {
		text += fmt.Sprintf(", %v for all gain modes", append([]int{n}, shape...))
	}
	return fault.New(fault.Input, "%q: an array of shape %v %s, detector %s (%s) has %s", a.path, a.Shape, fmt.Sprintf(format, args...), s.Detector, s.Type, fault.Count(len(s.Panels), "panel")).
		WithHint("shapes that fit: %s", text)
}
