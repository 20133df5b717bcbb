package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// predicted is the index of a run of two panels in which some frames were predicted.
func predicted(events int) *frame.Index {
	x := &frame.Index{Format: "test", Run: frame.Run{Experiment: "tst", Number: 1, Begin: time.Unix(1e9, 0).UTC()},
		Steps: []frame.Step{{Events: events}}, Headings: []frame.Heading{{Before: 56, Bytes: []byte("abc")}, {Before: 9, Bytes: []byte{0, 255}}}}
	r := rand.New(rand.NewPCG(1, 2))
	for p := range 2 {
		x.Panels = append(x.Panels, frame.Panel{Detector: "d", Type: "t", Segment: p, Rows: 2, Cols: 3})
	}
	for e := range events {
		x.Events = append(x.Events, frame.Event{TS: uint64(e)})
		for p := range 2 {
			x.Extents = append(x.Extents, frame.Extent{Offset: int64(100*e + 50*p + r.IntN(9)), Length: 12, Damage: uint16(r.IntN(3)), Heading: uint16(r.IntN(3))})
		}
	}
	return x
}

// job saves a plan of the index and opens it again.
func job(t *testing.T, x *frame.Index) (*Plan, *Index) {
	t.Helper()
	index, sums, err := EncodeIndex(x)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Build(x, sums, whole(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	if err := Save(work, p, index, 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err = Load(work); err != nil {
		t.Fatal(err)
	}
	y, err := p.OpenIndex(work)
	if err != nil {
		t.Fatal(err)
	}
	return p, y
}

func TestHeadingsAreStored(t *testing.T) {
	x := predicted(50)
	p, y := job(t, x)
	if !reflect.DeepEqual(y.Headings, x.Headings) {
		t.Errorf("headings %+v", y.Headings)
	}
	for u := range p.Units {
		got, err := y.Frames(u)
		if err != nil || !reflect.DeepEqual(got, ofPanel(x, p.Units[u].Panel)) {
			t.Errorf("unit %d: %v, %v", u, got, err)
		}
	}
	// How headers were read is another plan of the same input.
	z := predicted(50)
	z.Headings = nil
	for i := range z.Extents {
		z.Extents[i].Heading = 0
	}
	if q, _ := job(t, z); q.ID == p.ID || q.Input != p.Input {
		t.Errorf("plans %s and %s of inputs %s and %s", p.ID, q.ID, p.Input, q.Input)
	}
	z.Extents[7].Offset++
	if q, _ := job(t, z); q.Input == p.Input {
		t.Error("another place of a frame is the same input")
	}
}

func TestWrongPrediction(t *testing.T) {
	work, p := t.TempDir(), &Plan{ID: "abc"}
	if d, err := LoadWrongPrediction(work); d != nil || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
	cause := fmt.Errorf("task 3: %w", fault.New(fault.Input, "frame: %w", frame.ErrHeading))
	if err := SaveWrongPrediction(work, p, cause, 0o644); err != nil {
		t.Fatal(err)
	}
	want := &WrongPrediction{Plan: "abc", Error: "frame: " + frame.ErrHeading.Error()}
	if d, err := LoadWrongPrediction(work); err != nil || !reflect.DeepEqual(d, want) {
		t.Errorf("%+v, %v", d, err)
	}
	if err := SaveWrongPrediction(work, p, errors.New("plain"), 0o644); err != nil {
		t.Fatal(err)
	}
	if d, err := LoadWrongPrediction(work); err != nil || d.Error != "plain" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := os.WriteFile(wrongPath(work), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadWrongPrediction(work); fault.CodeOf(err) != fault.Input {
		t.Error(err)
	}
}
