package explain

import (
	"fmt"
	"io"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/stats/charge"
)

// WriteText writes the answer for people.
func (a *Answer) WriteText(w io.Writer) error {
	var b strings.Builder
	p := a.Pixel
	segment := ""
	if p.Segment >= 0 {
		segment = fmt.Sprintf(" segment %d,", p.Segment)
	}
	fmt.Fprintf(&b, "%s (%s)%s panel %s: row %d, column %d\n", p.Detector, p.DetType, segment, p.Panel, p.Row, p.Col)
	fmt.Fprintf(&b, "chip of rows %d to %d, columns %d to %d: row %d, column %d of it\n", p.Chip.Row, p.Chip.Row+p.Chip.Rows-1, p.Chip.Col, p.Chip.Col+p.Chip.Cols-1, p.Chip.InRow, p.Chip.InCol)
	for i := range a.Verdicts {
		a.Verdicts[i].write(&b)
	}
	b.WriteString("\nhistory\n")
	for i := range a.History {
		a.History[i].write(&b)
	}
	for _, n := range a.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// label names type and gain mode.
func label(ctype, gain string) string { return strings.TrimSpace(ctype + " " + gain) }

func (v *Verdict) write(b *strings.Builder) {
	fmt.Fprintf(b, "\nrun %d of %s, %s: %d = %s\n", v.Run, v.Experiment, label(v.CType, v.GainMode), v.Word, v.Names)
	shown := false
	for i := range v.Rules {
		r := &v.Rules[i]
		switch {
		case r.Fired:
			fmt.Fprintf(b, "  %s\n", r.text())
		case r.Limit != nil:
			if !shown {
				fmt.Fprintf(b, "  rules that did not fire:\n")
				shown = true
			}
			fmt.Fprintf(b, "    %s\n", r.text())
		}
	}
	for _, t := range v.Traces {
		writeTrace(b, t)
	}
	if f := v.Frames; f != nil {
		fmt.Fprintf(b, "  %d of %s used, %d missing, %d damaged\n", f.Used, fault.Count(f.Events, "event"), f.Missing, f.Damaged)
	}
	fmt.Fprintf(b, "  5 x 5 pixels around it (- outside the panel):\n")
	for _, line := range v.Around {
		b.WriteString("   ")
		for _, word := range line {
			if word == nil {
				fmt.Fprintf(b, " %6s", "-")
			} else {
				fmt.Fprintf(b, " %6d", *word)
			}
		}
		b.WriteByte('\n')
	}
	for _, a := range v.Areas {
		fmt.Fprintf(b, "  bad in the %s: %d of %d\n", a.Name, a.Bad, a.Pixels)
	}
	for _, n := range v.Notes {
		fmt.Fprintf(b, "  note: %s\n", n)
	}
	fmt.Fprintf(b, "  %s\n", v.File)
}

// writeTrace writes the lines of a pixel over the ramp of the pulser.
func writeTrace(b *strings.Builder, t charge.Trace) {
	at := "does not switch"
	if t.Switch != nil {
		at = fmt.Sprintf("switches at %.2f ramp units", *t.Switch)
	}
	fmt.Fprintf(b, "  trace %s: %s; %s on the pixel's clock, %s; gain bit in none of %d, set more than once in %d, always set in %d\n", t.Mode, at,
		fault.Count(t.Periods, "period"), fault.Count(t.Ramps, "complete ramp"), t.NoRise, t.Multi, t.Always)
	for _, l := range t.Lines {
		if !l.Fitted {
			fmt.Fprintf(b, "    %s: no line, %s\n", l.Name, fault.Count(int(l.Points), "point"))
			continue
		}
		fmt.Fprintf(b, "    %s: %.4f + %.6f x ADU at x ramp units, chi2 %.4g ADU², %s\n", l.Name, l.Offset, l.Gain, l.Chi2, fault.Count(int(l.Points), "point"))
	}
}

// shownRuns is how many runs of a history are listed.
const shownRuns = 10

func (h *History) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %s: %s\n", label(h.CType, h.GainMode), h.Sentence())
	runs := h.Runs
	if n := len(runs) - shownRuns; n > 0 {
		fmt.Fprintf(b, "    ... %d earlier runs\n", n)
		runs = runs[n:]
	}
	for _, e := range runs {
		fmt.Fprintf(b, "    %s %s run %d: %d = %s\n", e.Stamp, e.Experiment, e.Run, e.Word, e.Names)
	}
}
