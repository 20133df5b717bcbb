package main

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/publish"
)

// largestWord is the largest status word that analysis reads: 16 bits.
const largestWord = 0xffff

// userArray is the status array of a user, as it lies in the file.
type userArray struct {
	path   string
	shape  []int
	values []uint64
}

// userPlane is the status of one panel in one gain mode.
type userPlane struct {
	panel      publish.Panel
	gain       string // "": all
	rows, cols int
	values     []uint64
}

// readUserArray reads .npy or text and refuses everything that is not a status word. good is what good
// pixels are in an array of 0 and 1, "0" or "1"; an array that has nothing else is refused without it, for
// both polarities are in use. The result has 0 for good pixels.
func readUserArray(path string, good string) (*userArray, error) {
	a := &userArray{path: path}
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
func (a *userArray) refuse(i int, v any, why string) error {
	return fault.New(fault.Input, "%q: value %v at%s is %s", a.path, v, place(a.shape, i), why).
		WithHint("status words are whole numbers from 0 (good) to %d", largestWord)
}

func (a *userArray) readNumpy() error {
	n, err := npy.Read(a.path)
	if err != nil {
		return err
	}
	a.shape = n.Shape
	v := reflect.ValueOf(n.Data)
	a.values = make([]uint64, v.Len())
	for i := range a.values {
		switch x := v.Index(i); {
		case x.Kind() == reflect.Bool && x.Bool():
			a.values[i] = 1
		case x.Kind() == reflect.Bool:
		case x.CanUint():
			a.values[i] = x.Uint()
		case x.CanInt() && x.Int() < 0:
			return a.refuse(i, x.Int(), "negative")
		case x.CanInt():
			a.values[i] = uint64(x.Int())
		default:
			if a.values[i], err = a.whole(i, x.Float()); err != nil {
				return err
			}
		}
	}
	return nil
}

// readText reads status words exactly; a file of floating-point numbers is taken if they are whole.
func (a *userArray) readText() error {
	s, exact := calibtxt.ReadStatusFile(a.path, nil)
	if exact == nil {
		a.shape, a.values = s.Shape, s.Values
		return nil
	}
	f, err := calibtxt.LoadFile(a.path)
	if err != nil || f.Floats == nil {
		return exact
	}
	a.shape, a.values = f.Shape, make([]uint64, len(f.Floats))
	for i, x := range f.Floats {
		if a.values[i], err = a.whole(i, x); err != nil {
			return err
		}
	}
	return nil
}

// whole takes a floating-point number that is a status word.
func (a *userArray) whole(i int, x float64) (uint64, error) {
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

// pick says which part of a detector is saved: panels by segment or directory (empty: all), and the gain
// mode that an array without an axis of gain modes is for (empty: all).
type pick struct {
	segments []int
	panel    string
	gain     string
}

// panels returns those of the detector's panels that are picked.
func (k pick) panels(s *publish.Subject) ([]publish.Panel, error) {
	for _, seg := range k.segments {
		if !slices.ContainsFunc(s.Panels, func(p publish.Panel) bool { return p.Segment == seg }) {
			return nil, fault.New(fault.Usage, "detector %s has no segment %d", s.Detector, seg)
		}
	}
	picked := slices.DeleteFunc(slices.Clone(s.Panels), func(p publish.Panel) bool {
		return len(k.segments) > 0 && !slices.Contains(k.segments, p.Segment) || k.panel != "" && p.Dir != k.panel
	})
	if len(picked) == 0 {
		return nil, fault.New(fault.Usage, "detector %s has no panel %q", s.Detector, k.panel)
	}
	return picked, nil
}

// planes cuts the array into panels and gain modes. Notes tell what is left out.
func (a *userArray) planes(s *publish.Subject, k pick) (list []userPlane, notes []string, err error) {
	modes := gainModes(s.Type)
	if k.gain != "" && !slices.Contains(modes, k.gain) {
		return nil, nil, fault.New(fault.Usage, "detector type %s has no gain mode %q", s.Type, k.gain).WithHint("gain modes: %s", strings.Join(modes, ", "))
	}
	n := len(a.shape)
	if n < 2 || n > 4 || len(a.values) == 0 {
		return nil, nil, a.misshapen(s, "has %d dimensions and %s", n, fault.Count(len(a.values), "value"))
	}
	a.panelsFirst(s)
	gains := []string{k.gain}
	if n == 4 {
		if gains = modes; a.shape[0] != len(modes) || k.gain != "" {
			return nil, nil, a.misshapen(s, "has %s where one of %d is wanted", fault.Count(a.shape[0], "gain mode"), len(modes))
		}
	}
	wanted, err := k.panels(s)
	if err != nil {
		return nil, nil, err
	}
	rows, cols := a.shape[n-2], a.shape[n-1]
	for _, p := range wanted {
		if p.Rows > 0 && (p.Rows != rows || p.Cols != cols) {
			return nil, nil, a.misshapen(s, "has panels of %d x %s", rows, fault.Count(cols, "pixel"))
		}
	}
	count, at := 1, map[string]int{wanted[0].Dir: 0}
	if n > 2 {
		count = a.shape[n-3]
		if at, notes, err = a.positions(s, count); err != nil {
			return nil, nil, err
		}
	} else if len(wanted) > 1 {
		return nil, nil, a.misshapen(s, "is one panel").WithHint("pick the panel with --segment or --panel")
	}
	for g, mode := range gains {
		for _, p := range wanted {
			lo := (g*count + at[p.Dir]) * rows * cols
			list = append(list, userPlane{panel: p, gain: mode, rows: rows, cols: cols, values: a.values[lo : lo+rows*cols]})
		}
	}
	return list, notes, nil
}

// panelsFirst reorders an array of a type whose deployed arrays are (rows, columns, panels).
func (a *userArray) panelsFirst(s *publish.Subject) {
	family, _ := detector.Lookup(s.Type)
	if last := s.Panels[len(s.Panels)-1]; !family.PanelsLast || !slices.Equal(a.shape, []int{last.Rows, last.Cols, family.StackPanels(last.Slot)}) {
		return
	}
	pixels, count := a.shape[0]*a.shape[1], a.shape[2]
	values := make([]uint64, len(a.values))
	for i, v := range a.values {
		values[i%count*pixels+i/count] = v
	}
	a.shape, a.values = []int{count, a.shape[0], a.shape[1]}, values
}

// positions returns the position of each panel along the array's axis of panels: by segment, as in deployed
// arrays, or one after the other when there are as many as the run has panels.
func (a *userArray) positions(s *publish.Subject, count int) (at map[string]int, notes []string, err error) {
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
func (a *userArray) misshapen(s *publish.Subject, format string, args ...any) *fault.Error {
	family, _ := detector.Lookup(s.Type)
	last := s.Panels[len(s.Panels)-1]
	shape := []int{family.StackPanels(last.Slot), last.Rows, last.Cols}
	text := fmt.Sprintf("%v for one panel, %v for all", shape[1:], shape)
	if n := len(family.GainModes); n > 0 {
		text += fmt.Sprintf(", %v for all gain modes", append([]int{n}, shape...))
	}
	return fault.New(fault.Input, "%q: an array of shape %v %s, detector %s (%s) has %s", a.path, a.shape, fmt.Sprintf(format, args...), s.Detector, s.Type, fault.Count(len(s.Panels), "panel")).
		WithHint("shapes that fit: %s", text)
}
