package calib

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"sync"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
)

// DryRun is a place in which everything can be tried: it shows what its base has, takes deployments, and
// keeps them in memory only.
type DryRun struct {
	base   Place
	deploy sync.Mutex // one deployment at a time, as in a real place
	mu     sync.Mutex // guards done
	done   []tried
}

type tried struct {
	item    Item
	record  Record
	content Content
}

var _ Place = (*DryRun)(nil)

// NewDryRun makes a dry run over a place.
func NewDryRun(base Place) *DryRun { return &DryRun{base: base} }

// String implements Place.
func (d *DryRun) String() string { return d.base.String() + " (dry run)" }

// Target implements Place.
func (d *DryRun) Target(r Range) Item { return d.base.Target(r) }

// Items implements Place.
func (d *DryRun) Items(ctx context.Context) ([]Item, []string, error) {
	items, notes, err := d.base.Items(ctx)
	if err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.done {
		items = slices.DeleteFunc(items, func(x Item) bool { return x.Name == t.item.Name })
		items = append(items, t.item)
	}
	return items, notes, nil
}

// find gives the youngest trial that fits.
func (d *DryRun) find(fits func(tried) bool) (tried, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range slices.Backward(d.done) {
		if fits(t) {
			return t, true
		}
	}
	return tried{}, false
}

// Read implements Place.
func (d *DryRun) Read(ctx context.Context, item Item) (*Array, string, error) {
	if t, ok := d.find(func(t tried) bool { return t.item.Name == item.Name }); ok {
		return t.content.Array, t.content.SHA256, nil
	}
	return d.base.Read(ctx, item)
}

// Records implements Place.
func (d *DryRun) Records(ctx context.Context) ([]Record, error) {
	records, err := d.base.Records(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.done {
		records = append(records, t.record)
	}
	return records, nil
}

// Content implements Place.
func (d *DryRun) Content(ctx context.Context, rec Record) (Content, error) {
	if t, ok := d.find(func(t tried) bool { return t.record.ID == rec.ID }); ok {
		return t.content, nil
	}
	return d.base.Content(ctx, rec)
}

// Collect implements Place.
func (d *DryRun) Collect(context.Context) (int, error) { return 0, nil }

// Deploy implements Place.
func (d *DryRun) Deploy(ctx context.Context, rec Record, content Content) (Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return rec, false, err
	}
	r, err := content.Open()
	if err != nil {
		return rec, false, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return rec, false, err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != content.SHA256 {
		return rec, false, fault.New(fault.Temporary, "the content read for deployment has SHA-256 %s, planned was %s", got, content.SHA256)
	}
	d.deploy.Lock()
	defer d.deploy.Unlock()
	items, _, err := d.Items(ctx)
	if err != nil {
		return rec, false, err
	}
	if i := Pick(items, rec.Run); i >= 0 {
		if _, rec.Previous, err = d.Read(ctx, items[i]); err != nil {
			return rec, false, err
		}
	}
	seen := ""
	if i := Pick(items, rec.ExpectRun); i >= 0 && rec.Expect != nil {
		if _, seen, err = d.Read(ctx, items[i]); err != nil {
			return rec, false, err
		}
	}
	if err := rec.CheckFresh(seen); err != nil {
		return rec, false, err
	}
	records, err := d.Records(ctx)
	if err != nil {
		return rec, false, err
	}
	item := d.base.Target(rec.Range)
	for _, old := range slices.Backward(records) {
		if old.State == Done && old.Range == rec.Range {
			if rec.Key != "" && old.Key == rec.Key {
				return old, true, nil
			}
			break
		}
	}
	now := time.Now()
	rec.ID, rec.State, rec.Time, rec.Name = NewID(now), Done, now.UTC(), item.Name
	rec.Content, rec.Source, rec.Login, rec.Host = content.SHA256, content.Path, access.Login(), access.Host()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, tried{item, rec, content})
	return rec, false, nil
}
