package calibdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/disk"
)

// Lock implements calib.Store. It makes sure that the directory is where it seems to be.
func (d *Dir) Lock(ctx context.Context) (func(), int, error) {
	if err := d.Disk.Make(d.Root); err != nil {
		return nil, 0, err
	}
	if err := d.noWayOut(); err != nil {
		return nil, 0, err
	}
	if err := d.Disk.Make(d.path()); err != nil {
		return nil, 0, err
	}
	release, err := d.Disk.Lock(ctx, filepath.Dir(d.path()), d.LockWait)
	if err != nil {
		return nil, 0, err
	}
	removed := 0
	for _, dir := range []string{d.path(), d.ledger().Dir, filepath.Join(d.ledger().Dir, "content")} {
		n, err := d.Disk.Sweep(dir) // under the lock nobody is writing temporaries
		if removed += n; err != nil {
			release()
			return nil, removed, err
		}
	}
	return release, removed, nil
}

// noWayOut refuses symbolic links below the root: what is written stays in the tree.
func (d *Dir) noWayOut() error {
	path := d.Root
	for _, name := range []string{d.Group, d.Source, d.CType, ".ledger", "content"} {
		path = filepath.Join(path, name)
		kind, err := d.Disk.Kind(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if kind != fs.ModeDir {
			return fault.New(fault.Input, "%q is not a directory (%v): nothing is written through it", path, kind).
				WithHint("deploy into the real tree, or remove the link")
		}
	}
	return nil
}

// Begin implements calib.Store. Both the content that is replaced and the new one are kept in the ledger.
func (d *Dir) Begin(_ context.Context, rec *calib.Record, content *calib.Content) (*calib.Content, error) {
	if rec.Steps == nil {
		name := d.Target(rec.Range)[0].Name
		was, err := d.sum(name)
		if err != nil {
			return nil, err
		}
		rec.Steps = []calib.Step{{Name: name, Was: was, Now: content.SHA256}}
		if was != "" {
			open := func() (io.ReadCloser, error) { return d.Disk.Follow(filepath.Join(d.path(), name)) }
			if err := d.ledger().Keep(was, open); err != nil {
				return nil, err
			}
		}
		if err := d.ledger().Keep(content.SHA256, content.Open); err != nil {
			return nil, err
		}
	}
	source := "nothing"
	if content != nil {
		source = content.Path
	}
	word := func(s string) string { return strings.Join(strings.Fields(s), "_") }
	rec.History = fmt.Sprintf("file:%-14s copy_of:%s ctype:%s user:%s host:%s cptime:%s cwd:%s cmt:%s", rec.Steps[0].Name, word(source), d.CType,
		word(rec.Login), word(rec.Host), rec.Time.In(d.Loc).Format("2006-01-02T15:04:05"), word(rec.Cwd), strings.Join(strings.Fields(rec.Comment), " "))
	text, err := disk.ReadFile(d.Disk, d.historyPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("could not read HISTORY: %w", err)
	}
	rec.HistoryOffset = int64(len(text))
	return content, nil
}

// Put implements calib.Store.
func (d *Dir) Put(_ context.Context, rec *calib.Record, step int, content *calib.Content) error {
	path := filepath.Join(d.path(), rec.Steps[step].Name)
	if content == nil {
		err := d.Disk.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return d.Disk.Replace(path, true, func(w io.Writer) error {
		r, err := content.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(w, r)
		return err
	}, func(f disk.File) error {
		if content.Own { // Keep has compared it just now, and what is in place is read back
			return nil
		}
		got, err := sumOf(f)
		if err == nil && got != content.SHA256 {
			err = fault.New(fault.Temporary, "the content read for deployment has SHA-256 %s, planned was %s", got, content.SHA256).
				WithHint("the merged file changed meanwhile: run the same command again")
		}
		return err
	})
}

// Holds implements calib.Store.
func (d *Dir) Holds(_ context.Context, rec *calib.Record, step int) (bool, error) {
	sum, err := d.sum(rec.Steps[step].Name)
	return err == nil && sum == rec.Steps[step].Now, err
}

// End implements calib.Store.
func (d *Dir) End(ctx context.Context, rec *calib.Record) error {
	// A file found in place after an interruption may be visible without being on the disk.
	if err := d.Disk.Sync(d.path()); err != nil {
		return err
	}
	if err := d.history(*rec); err != nil {
		return err
	}
	for i, s := range rec.Steps {
		holds, err := d.Holds(ctx, rec, i)
		if err != nil {
			return err
		}
		if !holds {
			return fault.New(fault.Unexpected, "%q does not read back as it was written", filepath.Join(d.path(), s.Name)).
				WithHint("another program writes into this directory, or the file system is damaged")
		}
	}
	return nil
}

func (d *Dir) historyPath() string { return filepath.Join(d.path(), "HISTORY") }

// history makes sure that HISTORY has the line of a deployment, once: also after a stop in the middle of
// writing it.
func (d *Dir) history(rec calib.Record) error {
	text, err := disk.ReadFile(d.Disk, d.historyPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("could not read HISTORY: %w", err)
	}
	line := []byte(rec.History + "\n")
	if rec.HistoryOffset > int64(len(text)) {
		rec.HistoryOffset = 0
	}
	if bytes.Contains(text[rec.HistoryOffset:], line) {
		return d.Disk.Sync(d.historyPath())
	}
	cut := text[bytes.LastIndexByte(text, '\n')+1:]
	switch {
	case len(cut) > 0 && bytes.HasPrefix(line, cut):
		line = line[len(cut):]
	case len(cut) > 0:
		line = append([]byte("\n"), line...)
	}
	if err := d.Disk.Extend(d.historyPath(), -1, line); err != nil {
		return fmt.Errorf("could not append to HISTORY: %w", err)
	}
	return nil
}
