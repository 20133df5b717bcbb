package publish

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
)

// Verified is the state of everything that is deployed in a destination.
type Verified struct {
	Destination string      `json:"place"`
	Checked     int         `json:"checked"`
	Problems    []string    `json:"problems"`
	Notes       []string    `json:"notes,omitempty"`
	Uses        []calib.Use `json:"uses"` // runs asked for
}

// Verify compares everything that is deployed with the ledger, opens every kept content, and resolves runs.
func Verify(ctx context.Context, dest calib.Destination, runs []calib.Range) (*Verified, error) {
	items, notes, err := dest.Items(ctx)
	if err != nil {
		return nil, err
	}
	v := &Verified{Destination: dest.String(), Problems: []string{}, Uses: []calib.Use{}}
	v.Problems = append(v.Problems, notes...)
	records, err := dest.Records()
	if err != nil {
		return nil, err
	}
	if rec, pending := calib.Pending(records); pending {
		v.Problems = append(v.Problems, fmt.Sprintf("%s %s was interrupted; the next deployment, or gc, completes or undoes it", rec.Action, rec.ID))
	}
	last := lastSteps(records)
	for _, item := range items {
		v.Checked++
		_, sum, err := dest.Read(ctx, item)
		switch step, known := last[item.Name]; {
		case err != nil:
			v.problem("%s cannot be read: %v", item.Name, err)
		case !known:
			v.Notes = append(v.Notes, item.Name+" was deployed by another program")
		case step.Now == "":
			v.problem("%s is there again after %s took it away", item.Name, step.by)
		case step.Now != sum:
			v.problem("%s was changed after %s: SHA-256 is %s, deployed was %s", item.Name, step.by, sum, step.Now)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if last[name].Now != "" && !slices.ContainsFunc(items, func(x calib.Item) bool { return x.Name == name }) {
			v.problem("%s of %s is gone", name, last[name].by)
		}
	}
	for _, r := range records {
		if r.State != calib.Done || r.Content == "" {
			continue
		}
		if err := checkContent(ctx, dest, r); err != nil {
			v.problem("the content of %s %s: %v", r.Action, r.ID, err)
		}
	}
	for _, r := range runs {
		v.Uses = append(v.Uses, calib.Uses(items, r)...)
	}
	return v, nil
}

func (v *Verified) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// lastStep is the last entry of a name in the ledger.
type lastStep struct {
	calib.Step
	by string // action and id of its record
}

func lastSteps(records []calib.Record) map[string]lastStep {
	last := map[string]lastStep{}
	for _, r := range records {
		if r.State != calib.Done {
			continue
		}
		for _, s := range r.Steps {
			last[s.Name] = lastStep{s, r.Action + " " + r.ID}
		}
	}
	return last
}

// checkContent reads a kept content to its end.
func checkContent(ctx context.Context, dest calib.Destination, rec calib.Record) error {
	c, err := dest.Kept(ctx, rec)
	if err != nil {
		return err
	}
	if c.SHA256 != rec.Content {
		return fault.New(fault.Input, "SHA-256 is %s, recorded is %s", c.SHA256, rec.Content)
	}
	return nil
}

// Text prints the state.
func (v *Verified) Text(w io.Writer) {
	for _, u := range v.Uses {
		name := u.Name
		if name == "" {
			name = "nothing"
		}
		fmt.Fprintf(w, "runs %s use %s\n", u.Runs.Runs(), name)
	}
	printList(w, "note", v.Notes)
	printList(w, "PROBLEM", v.Problems)
	fmt.Fprintf(w, "%s: %s, %s\n", v.Destination, fault.Count(v.Checked, "constant"), fault.Count(len(v.Problems), "problem"))
}
