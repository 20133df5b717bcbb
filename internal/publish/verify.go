package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
)

// Verified is the state of everything that is deployed in a place.
type Verified struct {
	Place    string      `json:"place"`
	Checked  int         `json:"checked"`
	Problems []string    `json:"problems"`
	Notes    []string    `json:"notes,omitempty"`
	Uses     []calib.Use `json:"uses"` // runs asked for
}

// Verify compares every deployed content with the ledger, opens every kept content, and resolves runs.
func Verify(ctx context.Context, place calib.Place, runs []calib.Range) (*Verified, error) {
	v := &Verified{Place: place.String(), Problems: []string{}, Uses: []calib.Use{}}
	items, notes, err := place.Items(ctx)
	if err != nil {
		return nil, err
	}
	v.Problems = append(v.Problems, notes...)
	records, err := place.Records(ctx)
	if err != nil {
		return nil, err
	}
	if rec, pending := calib.Pending(records); pending {
		v.Problems = append(v.Problems, fmt.Sprintf("deployment %s was interrupted; the next deployment, or gc, completes or undoes it", rec.ID))
	}
	for _, item := range items {
		v.Checked++
		_, sum, err := place.Read(ctx, item)
		if err != nil {
			v.Problems = append(v.Problems, fmt.Sprintf("%s cannot be read: %v", item.Name, err))
			continue
		}
		v.weigh(records, item, sum)
	}
	latest := map[string]string{} // by item
	for _, r := range records {
		if r.State == calib.Done && r.Action != calib.ActionFound {
			latest[r.Name] = r.ID
		}
	}
	for name, id := range latest {
		if !slices.ContainsFunc(items, func(x calib.Item) bool { return x.Name == name }) {
			v.Problems = append(v.Problems, fmt.Sprintf("%s of deployment %s is gone", name, id))
		}
	}
	for _, r := range records {
		if r.State != calib.Done {
			continue
		}
		if err := checkContent(ctx, place, r); err != nil {
			v.Problems = append(v.Problems, fmt.Sprintf("the content of deployment %s: %v", r.ID, err))
		}
	}
	for _, r := range runs {
		for run := r.Begin; run <= r.End; run++ {
			name := ""
			if i := calib.Pick(items, run); i >= 0 {
				name = items[i].Name
			}
			v.Uses = calib.Extend(v.Uses, run, name)
		}
	}
	return v, nil
}

// weigh compares an item with the last deployment of its range.
func (v *Verified) weigh(records []calib.Record, item calib.Item, sum string) {
	for _, r := range slices.Backward(records) {
		if r.State != calib.Done || !r.Made(item.Name) {
			continue
		}
		if r.Content != sum {
			v.Problems = append(v.Problems, fmt.Sprintf("%s was changed after deployment %s: SHA-256 is %s, deployed was %s", item.Name, r.ID, sum, r.Content))
		}
		return
	}
	v.Notes = append(v.Notes, item.Name+" was deployed by another program")
}

// checkContent reads a kept content to its end.
func checkContent(ctx context.Context, place calib.Place, rec calib.Record) error {
	c, err := place.Content(ctx, rec)
	if err != nil {
		return err
	}
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != rec.Content {
		return fault.New(fault.Input, "SHA-256 is %s, recorded is %s", sum, rec.Content)
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
	fmt.Fprintf(w, "%s: %d constants, %d problems\n", v.Place, v.Checked, len(v.Problems))
}
