package calib

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/disk"
)

// DryRun returns a destination in which everything can be tried: it shows what p has, takes deployments and
// rollbacks, and keeps them in memory only.
func (p Destination) DryRun() Destination {
	s := &dryStore{Store: p.Store, put: map[string]*dryItem{}, kept: map[string]Content{}}
	return Destination{Store: s, Ledger: &Ledger{Dir: p.Ledger.Dir, Disk: disk.NewMemory(p.Ledger.Disk)}}
}

// dryStore is a store over another one, which is read and never written.
type dryStore struct {
	Store
	deploy sync.Mutex // one deployment at a time, as in a real store
	mu     sync.Mutex // guards what follows
	put    map[string]*dryItem
	order  []string
	kept   map[string]Content // all that was put, by hash
}

// dryItem is the content under a name; nil: nothing, whatever the base has.
type dryItem struct {
	item    Item
	content Content
}

// String implements Store.
func (d *dryStore) String() string { return d.Store.String() + " (dry run)" }

// Lock implements Store.
func (d *dryStore) Lock(ctx context.Context) (func(), int, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	d.deploy.Lock()
	return d.deploy.Unlock, 0, nil
}

// Items implements Store.
func (d *dryStore) Items(ctx context.Context) ([]Item, []string, error) {
	items, notes, err := d.Store.Items(ctx)
	if err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range d.order {
		items = slices.DeleteFunc(items, func(x Item) bool { return x.Name == name })
		if t := d.put[name]; t != nil {
			items = append(items, t.item)
		}
	}
	return items, notes, nil
}

func (d *dryStore) find(name string) (t *dryItem, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, known = d.put[name]
	return t, known
}

// Sum implements Store.
func (d *dryStore) Sum(ctx context.Context, item Item) (string, error) {
	if t, known := d.find(item.Name); known && t != nil {
		return t.content.SHA256, nil
	}
	return d.Store.Sum(ctx, item)
}

// Read implements Store.
func (d *dryStore) Read(ctx context.Context, item Item) (*Array, string, error) {
	switch t, known := d.find(item.Name); {
	case t != nil:
		return t.content.Array, t.content.SHA256, nil
	case known:
		return nil, "", fault.New(fault.Input, "%s is taken away in this dry run", item.Name)
	}
	return d.Store.Read(ctx, item)
}

// Kept implements Store.
func (d *dryStore) Kept(ctx context.Context, rec Record) (Content, error) {
	d.mu.Lock()
	c, known := d.kept[rec.Content]
	d.mu.Unlock()
	if known {
		return c, nil
	}
	c, err := d.Store.Kept(ctx, rec)
	if err != nil {
		// The base has not kept this content yet: nothing was deployed over it in earnest.
		items, _, errItems := d.Store.Items(ctx)
		for _, x := range items {
			if sum, errSum := d.Store.Sum(ctx, x); errItems == nil && errSum == nil && sum == rec.Content {
				a, sum, err := d.Store.Read(ctx, x)
				return Content{Path: x.Name, SHA256: sum, Array: a}, err
			}
		}
	}
	return c, err
}

// Begin implements Store.
func (d *dryStore) Begin(ctx context.Context, rec *Record, content *Content) (*Content, error) {
	if content == nil || rec.Steps != nil {
		return content, nil
	}
	items, _, err := d.Items(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range d.Target(rec.Range) {
		step := Step{Name: x.Name, Now: content.SHA256}
		if x.Deployed != 0 { // every deployment is a new document
			step.Name = fmt.Sprintf("%s (%s)", x.Name, rec.ID)
		} else if i := slices.IndexFunc(items, func(y Item) bool { return y.Name == x.Name }); i >= 0 {
			if step.Was, err = d.Sum(ctx, items[i]); err != nil {
				return nil, err
			}
		}
		rec.Steps = append(rec.Steps, step)
	}
	return content, nil
}

// Put implements Store.
func (d *dryStore) Put(_ context.Context, rec *Record, step int, content *Content) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := rec.Steps[step].Name
	d.order = append(slices.DeleteFunc(d.order, func(n string) bool { return n == name }), name)
	if content == nil {
		d.put[name] = nil
		return nil
	}
	d.kept[content.SHA256] = *content
	target, _, _ := strings.Cut(name, " (")
	for _, x := range d.Target(rec.Range) {
		if x.Name == target {
			x.Name = name
			d.put[name] = &dryItem{x, *content}
		}
	}
	return nil
}

// Holds implements Store.
func (d *dryStore) Holds(ctx context.Context, rec *Record, step int) (bool, error) {
	s := rec.Steps[step]
	if t, known := d.find(s.Name); known {
		return t == nil && s.Now == "" || t != nil && t.content.SHA256 == s.Now, nil
	}
	return d.Store.Holds(ctx, rec, step)
}

// End implements Store.
func (d *dryStore) End(context.Context, *Record) error { return nil }
