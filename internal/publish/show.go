package publish

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// Shown is the constant that analysis uses for a run, with its origin.
type Shown struct {
	Destination string        `json:"place"`
	Run         int           `json:"run"`
	Item        *calib.Item   `json:"item"` // nil: nothing
	Content     string        `json:"sha256,omitempty"`
	Shape       []int         `json:"shape,omitempty"`
	Bad         int           `json:"bad_pixels"`
	Bits        []ShownBit    `json:"bits,omitempty"`
	Record      *calib.Record `json:"record,omitempty"` // nil: deployed by another program
	Origins     []Origin      `json:"origins,omitempty"`
	Notes       []string      `json:"notes,omitempty"`
}

// ShownBit counts the pixels with a bit.
type ShownBit struct {
	Value  uint64 `json:"value"`
	Pixels int    `json:"pixels"`
}

// Origin is a status file behind a deployed array, with its sidecar as it is now.
type Origin struct {
	calib.Input
	Changed bool          `json:"changed,omitempty"` // the file is not the one that was deployed
	Gone    bool          `json:"gone,omitempty"`
	Sidecar *repo.Sidecar `json:"sidecar,omitempty"`
}

// Show resolves a run as analysis does and follows what it finds to its origins.
func Show(ctx context.Context, dest calib.Destination, run int) (*Shown, error) {
	item, notes, err := dest.Find(ctx, run)
	if err != nil {
		return nil, err
	}
	s := &Shown{Destination: dest.String(), Run: run, Notes: notes, Item: item}
	if item == nil {
		return s, nil
	}
	a, sum, err := dest.Read(ctx, *item)
	if err != nil {
		return nil, err
	}
	s.Content, s.Shape = sum, a.Shape
	counts := status.Sparse(a.Words).Count()
	s.Bad = counts.Bad
	for bit, n := range counts.Bit {
		if n > 0 {
			s.Bits = append(s.Bits, ShownBit{1 << bit, n})
		}
	}
	records, err := dest.Records()
	if err != nil {
		return nil, err
	}
	if s.Record = recordOf(records, item.Name, sum); s.Record == nil {
		s.Notes = append(s.Notes, "the ledger does not know this content: it was deployed or changed by another program")
		return s, nil
	}
	for _, in := range s.Record.Inputs {
		s.Origins = append(s.Origins, originOf(in))
	}
	return s, nil
}

// recordOf returns the youngest record that has left that content under that name.
func recordOf(records []calib.Record, name, content string) *calib.Record {
	for _, r := range slices.Backward(records) {
		if r.State == calib.Done && r.Made(name, content) {
			return &r
		}
	}
	return nil
}

func originOf(in calib.Input) Origin {
	o := Origin{Input: in}
	sum, err := calib.SumFile(in.Path)
	if err != nil {
		o.Gone = true
		return o
	}
	o.Changed = sum != in.SHA256
	if sc, err := repo.ReadSidecar(in.Path); err == nil && sc.StatusSHA256 == in.SHA256 {
		o.Sidecar = sc
	}
	return o
}

// Text prints what is used.
func (s *Shown) Text(w io.Writer) {
	fmt.Fprintf(w, "run %d in %s: ", s.Run, s.Destination)
	if s.Item == nil {
		fmt.Fprintln(w, "nothing is deployed for it")
	} else {
		fmt.Fprintf(w, "%s, array %s, %s\n  sha256 %s\n", s.Item.Name, calibtxt.Tuple(s.Shape, ""), fault.Count(s.Bad, "bad pixel"), s.Content)
		for _, b := range s.Bits {
			fmt.Fprintf(w, "  bit %5d: %s\n", b.Value, fault.Count(b.Pixels, "pixel"))
		}
	}
	if r := s.Record; r != nil {
		fmt.Fprintf(w, "  %s %s by %s@%s at %s\n", r.Action, r.ID, r.Login, r.Host, r.Time.Format(time.RFC3339))
		printList(w, "  choice", r.Choices)
		printList(w, "  forced", r.Forced)
	}
	for _, o := range s.Origins {
		state := ""
		switch {
		case o.Gone:
			state = " (gone)"
		case o.Changed:
			state = " (changed since)"
		}
		fmt.Fprintf(w, "  from %s%s %s%s\n", o.CType, gainText(o.GainMode), o.Path, state)
		if o.Sidecar == nil {
			continue
		}
		fmt.Fprintf(w, "    profile %s, %s run %d, %s, plan %s\n", o.Sidecar.Profile, o.Sidecar.Experiment, o.Sidecar.Number, fault.Count(o.Sidecar.Frames.Used, "frame"), o.Sidecar.PlanID)
		for _, l := range o.Sidecar.Limits {
			fmt.Fprintf(w, "    limits of %s: %g .. %g\n", l.Name, l.Lo, l.Hi)
		}
		for _, in := range o.Sidecar.Inputs {
			fmt.Fprintf(w, "    raw %s (%d bytes, %s)\n", in.Path, in.Size, in.MTime)
		}
	}
	printList(w, "note", s.Notes)
}
