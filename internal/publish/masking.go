package publish

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// PixelAt is one pixel of a detector.
type PixelAt struct {
	DetType    string
	Panel      string // directory in the repository
	Slot       int    // position along the panel axis of deployed arrays
	Rows, Cols int
	Row, Col   int
}

// Masking is one pixel in a deployed constant.
type Masking struct {
	Destination string        `json:"place"`
	Name        string        `json:"name"`
	Runs        []calib.Range `json:"runs"` // that use it
	Masked      bool          `json:"masked"`
	Words       []PlaneWord   `json:"words"`
	// Deployment names who deployed it and when; empty: another program did.
	Deployment string   `json:"deployment,omitempty"`
	Time       string   `json:"time,omitempty"`
	Login      string   `json:"login,omitempty"`
	Why        []Cause  `json:"why,omitempty"`     // status files that made it bad
	Choices    []string `json:"choices,omitempty"` // what was said where files were missing
	Problem    string   `json:"problem,omitempty"`
}

// PlaneWord is the word of a pixel in one gain mode.
type PlaneWord struct {
	GainMode string `json:"gain_mode,omitempty"`
	Word     uint64 `json:"status"`
}

// Cause is a status file that was merged and says that the pixel is bad.
type Cause struct {
	CType    string `json:"ctype"`
	GainMode string `json:"gain_mode,omitempty"`
	Word     uint64 `json:"status"`
	Names    string `json:"names"`
	File     string `json:"file"`
	Problem  string `json:"problem,omitempty"` // the file is gone or is another one now
}

// MaskingOf says of every constant that some run uses what it says of a pixel and why, in the order of runs.
func MaskingOf(ctx context.Context, dest calib.Destination, p PixelAt) ([]Masking, error) {
	items, _, err := dest.Items(ctx)
	if err != nil {
		return nil, err
	}
	records, err := dest.Records()
	if err != nil {
		return nil, err
	}
	var out []Masking
	var of []calib.Item
	for run := 0; run <= calib.Last; run++ {
		i := calib.Pick(items, run)
		if i < 0 {
			continue
		}
		k := slices.IndexFunc(of, func(x calib.Item) bool { return x.Name == items[i].Name })
		if k < 0 {
			k, of = len(of), append(of, items[i])
			out = append(out, Masking{Destination: dest.String(), Name: items[i].Name})
		}
		runs := out[k].Runs
		if n := len(runs); n > 0 && runs[n-1].End == run-1 {
			runs[n-1].End = run
		} else {
			out[k].Runs = append(runs, calib.Range{Begin: run, End: run})
		}
	}
	for k := range out {
		out[k].look(ctx, dest, of[k], records, p)
	}
	return out, nil
}

// look reads one constant and finds who has made it of what.
func (m *Masking) look(ctx context.Context, dest calib.Destination, item calib.Item, records []calib.Record, p PixelAt) {
	a, sum, err := dest.Read(ctx, item)
	if err == nil {
		m.Words, err = p.words(a)
	}
	if err != nil {
		m.Problem = err.Error()
		return
	}
	m.Masked = slices.ContainsFunc(m.Words, func(w PlaneWord) bool { return w.Word != 0 })
	rec := recordOf(records, item.Name, sum)
	if rec == nil {
		return
	}
	m.Deployment, m.Time, m.Login, m.Choices = rec.ID, rec.Time.Format(time.RFC3339), rec.Login, rec.Choices
	for _, in := range rec.Inputs {
		if in.Panel == p.Panel && m.Masked {
			m.cause(in, p)
		}
	}
}

// words takes the pixel out of a deployed array.
func (p PixelAt) words(a *calib.Array) (words []PlaneWord, err error) {
	family, _ := detector.Lookup(p.DetType)
	shape, gains := a.Shape, []string{""}
	if n := len(family.GainModes); n > 0 && len(shape) > 2 && shape[0] == n {
		gains, shape = family.GainModes, shape[1:]
	} else if n := family.GainPlanes; n > 0 && len(shape) == 4 && shape[0] == n {
		gains, shape = slices.Repeat(gains, n), shape[1:]
	}
	l := layout{count: 1, pixels: p.Rows * p.Cols, last: family.PanelsLast && len(shape) == 3}
	switch {
	case l.last:
		l.count = shape[2]
	case len(shape) == 3:
		l.count = shape[0]
	}
	if len(gains)*l.count*l.pixels != a.Words.Pixels || l.count > 1 && p.Slot >= l.count {
		return nil, fmt.Errorf("an array %v has no panel %d of %d x %s", a.Shape, p.Slot, p.Rows, fault.Count(p.Cols, "pixel"))
	}
	for g, gain := range gains {
		base, step := l.at(g, p.Slot)
		words = append(words, PlaneWord{gain, a.Words.Word(base + (p.Row*p.Cols+p.Col)*step)})
	}
	return words, nil
}

// cause looks into a status file that was merged.
func (m *Masking) cause(in calib.Input, p PixelAt) {
	c := Cause{CType: in.CType, GainMode: in.GainMode, File: in.Path}
	read, err := repo.New("", nil, time.UTC).ReadStatus(in.Path, []int{p.Rows, p.Cols})
	switch {
	case err != nil:
		c.Problem = err.Error()
	case read.SHA256 != in.SHA256:
		c.Problem = "the file is not the one that was merged"
	default:
		if c.Word = read.Word(p.Row*p.Cols + p.Col); c.Word == 0 {
			return
		}
		family := status.Features
		if read.Sidecar != nil {
			family = status.Family(read.Sidecar.Family)
		}
		c.Names = status.Names(family, c.Word)
	}
	m.Why = append(m.Why, c)
}

// Text prints what the constant says.
func (m *Masking) Text(w io.Writer) {
	var runs []string
	for _, r := range m.Runs {
		runs = append(runs, r.Runs())
	}
	fmt.Fprintf(w, "  %s, used by runs %s: ", m.Name, strings.Join(runs, ", "))
	switch {
	case m.Problem != "":
		fmt.Fprintf(w, "%s\n", m.Problem)
	case !m.Masked:
		fmt.Fprintf(w, "good\n")
	default:
		var words []string
		for _, x := range m.Words {
			words = append(words, strings.TrimSpace(fmt.Sprintf("%s %d", x.GainMode, x.Word)))
		}
		fmt.Fprintf(w, "MASKED (%s)\n", strings.Join(words, ", "))
	}
	switch {
	case m.Problem != "":
	case m.Deployment == "":
		fmt.Fprintf(w, "    deployed by another program\n")
	default:
		fmt.Fprintf(w, "    deployment %s of %s by %s\n", m.Deployment, m.Time, m.Login)
	}
	for _, c := range m.Why {
		if c.Problem != "" {
			fmt.Fprintf(w, "    perhaps because of %s%s: %s\n", c.CType, gainText(c.GainMode), c.Problem)
			continue
		}
		fmt.Fprintf(w, "    because of %s%s: %d = %s, %s\n", c.CType, gainText(c.GainMode), c.Word, c.Names, c.File)
	}
	if m.Masked && len(m.Why) == 0 {
		printList(w, "    choice", m.Choices)
	}
}
