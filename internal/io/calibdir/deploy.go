package calibdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/calib"
)

// at calls the test's hook.
func (d *Dir) at(step string) error {
	if d.step != nil {
		return d.step(step)
	}
	return nil
}

// Deploy implements calib.Place.
func (d *Dir) Deploy(ctx context.Context, rec calib.Record, content calib.Content) (calib.Record, bool, error) {
	lock, err := d.enter(ctx)
	if err != nil {
		return rec, false, err
	}
	defer lock.Release()
	if _, err := d.sweep(); err != nil {
		return rec, false, err
	}
	if err := d.repair(); err != nil {
		return rec, false, err
	}
	rec.Name, rec.Content = d.Target(rec.Range).Name, content.SHA256
	if old, same, err := d.inForce(rec); err != nil || same {
		return old, same, err
	}
	if err := d.keep(ctx, &rec, content); err != nil {
		return rec, false, err
	}
	if err := d.begin(&rec, content.Path); err != nil {
		return rec, false, err
	}
	if err := d.write(ctx, rec, content); err != nil {
		if sum, errSum := calib.SumFile(d.target(rec)); errSum == nil && sum == rec.Content {
			return rec, false, fault.New(codeOf(err), "%q is deployed, but not recorded completely: %w", d.target(rec), err).
				WithHint("run the same command again: it completes the record")
		}
		// The constant in force is the old one. If the ledger cannot be written either, the next call
		// finds the intent and draws the same conclusion.
		_ = d.ledger().Mark(rec, calib.Aborted, err.Error())
		return rec, false, err
	}
	rec.State = calib.Done
	return rec, false, nil
}

// codeOf keeps the class of an error; what has none is worth another try here.
func codeOf(err error) fault.Code {
	if c := fault.CodeOf(err); c != fault.Unexpected {
		return c
	}
	return fault.Temporary
}

func (d *Dir) target(rec calib.Record) string { return filepath.Join(d.path(), rec.Name) }

// inForce tells whether the same deployment was the last one for its range and lies there untouched.
func (d *Dir) inForce(rec calib.Record) (old calib.Record, same bool, err error) {
	records, err := d.ledger().Load()
	if err != nil {
		return rec, false, err
	}
	for i := len(records) - 1; i >= 0; i-- {
		old := records[i]
		if old.State != calib.Done || old.Name != rec.Name || old.Action == calib.ActionFound {
			continue
		}
		if old.Key == "" || old.Key != rec.Key {
			return rec, false, nil
		}
		sum, err := calib.SumFile(d.target(rec))
		return old, err == nil && sum == old.Content, nil
	}
	return rec, false, nil
}

// keep puts into the ledger what can be needed to undo this deployment, and the new content itself.
func (d *Dir) keep(ctx context.Context, rec *calib.Record, content calib.Content) error {
	if err := d.at("keep"); err != nil {
		return err
	}
	items, _, err := d.Items(ctx)
	if err != nil {
		return err
	}
	if err := d.checkFresh(*rec, items); err != nil {
		return err
	}
	names := map[string]bool{}
	if _, err := os.Stat(d.target(*rec)); err == nil {
		names[rec.Name] = true
	}
	inForce := ""
	if i := calib.Pick(items, rec.Run); i >= 0 {
		inForce = items[i].Name
		names[inForce] = true
	}
	for name := range names {
		sum, err := d.adopt(name)
		if err != nil {
			return err
		}
		if name == inForce {
			rec.Previous = sum
		}
	}
	if err := d.at("keep new"); err != nil {
		return err
	}
	return d.ledger().Keep(content.SHA256, content.Open)
}

// checkFresh makes sure that what is in force is still what the plan has seen.
func (d *Dir) checkFresh(rec calib.Record, items []calib.Item) error {
	if rec.Expect == nil {
		return nil
	}
	sum := ""
	if i := calib.Pick(items, rec.ExpectRun); i >= 0 {
		var err error
		if sum, err = calib.SumFile(filepath.Join(d.path(), items[i].Name)); err != nil {
			return err
		}
	}
	return rec.CheckFresh(sum)
}

// adopt records a file that others have put or changed here.
func (d *Dir) adopt(name string) (sum string, err error) {
	path := filepath.Join(d.path(), name)
	if sum, err = calib.SumFile(path); err != nil {
		return "", err
	}
	records, err := d.ledger().Load()
	if err != nil {
		return "", err
	}
	for i := len(records) - 1; i >= 0; i-- {
		if r := records[i]; r.Name == name && r.State == calib.Done {
			if r.Content == sum {
				return sum, nil
			}
			break
		}
	}
	if err := d.ledger().Keep(sum, func() (io.ReadCloser, error) { return os.Open(path) }); err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	r, _ := parseStem(strings.TrimSuffix(name, ".data"))
	now := time.Now().UTC()
	return sum, d.ledger().Append(calib.Record{ID: calib.NewID(now), Action: calib.ActionFound, State: calib.Done, Time: now,
		Range: r, Name: name, CType: d.CType, Content: sum, Size: st.Size(),
		Comment: "deployed or changed by another program, file of " + st.ModTime().UTC().Format(time.RFC3339)})
}

// begin writes the intent.
func (d *Dir) begin(rec *calib.Record, source string) error {
	if err := d.at("intent"); err != nil {
		return err
	}
	now := time.Now()
	rec.ID, rec.State, rec.Time = calib.NewID(now), calib.Intent, now.UTC()
	rec.Login, rec.Host, rec.Source = access.Login(), access.Host(), source
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "unknown"
	}
	rec.Cwd = cwd
	word := func(s string) string { return strings.Join(strings.Fields(s), "_") }
	rec.History = fmt.Sprintf("file:%-14s copy_of:%s ctype:%s user:%s host:%s cptime:%s cwd:%s cmt:%s", rec.Name, word(source), d.CType,
		word(rec.Login), word(rec.Host), now.In(d.Loc).Format("2006-01-02T15:04:05"), word(cwd), strings.Join(strings.Fields(rec.Comment), " "))
	if st, err := os.Stat(d.historyPath()); err == nil {
		rec.HistoryOffset = st.Size()
	}
	return d.ledger().Append(*rec)
}

// write makes the new constant visible and completes its records.
func (d *Dir) write(ctx context.Context, rec calib.Record, content calib.Content) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.at("write"); err != nil {
		return err
	}
	opt := d.Policy.File()
	opt.Keep = true
	opt.Verify = func(tmp string) error { return d.verify(tmp, rec.Content) }
	err := atomicfile.Write(d.target(rec), opt, func(w io.Writer) error {
		r, err := content.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(w, r)
		return err
	})
	if err != nil {
		return err
	}
	return d.finish(rec)
}

// verify looks at the complete temporary file: it has the planned content, and a mode that it keeps from
// the old file does not let everybody write.
func (d *Dir) verify(tmp, want string) error {
	if err := d.at("rename"); err != nil {
		return err
	}
	got, err := calib.SumFile(tmp)
	if err != nil {
		return err
	}
	if got != want {
		return fault.New(fault.Temporary, "the content read for deployment has SHA-256 %s, planned was %s", got, want).
			WithHint("the merged file changed meanwhile: run the same command again")
	}
	st, err := os.Stat(tmp)
	if err != nil {
		return err
	}
	return os.Chmod(tmp, st.Mode().Perm()&^0o002)
}

// finish completes the records of a constant that is in place.
func (d *Dir) finish(rec calib.Record) error {
	if err := d.at("history"); err != nil {
		return err
	}
	if err := d.history(rec); err != nil {
		return err
	}
	if err := d.at("read back"); err != nil {
		return err
	}
	sum, err := calib.SumFile(d.target(rec))
	if err != nil {
		return err
	}
	if sum != rec.Content {
		return fault.New(fault.Unexpected, "%q reads back as SHA-256 %s, written was %s", d.target(rec), sum, rec.Content).
			WithHint("another program writes into this directory, or the file system is damaged")
	}
	if err := d.at("done"); err != nil {
		return err
	}
	return d.ledger().Mark(rec, calib.Done, "")
}

// repair ends a deployment that was interrupted: it is completed if its content is in place.
func (d *Dir) repair() error {
	records, err := d.ledger().Load()
	if err != nil {
		return err
	}
	rec, ok := calib.Pending(records)
	if !ok {
		return nil
	}
	sum, err := calib.SumFile(d.target(rec))
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && sum == rec.Content:
		return d.finish(rec)
	}
	return d.ledger().Mark(rec, calib.Aborted, "interrupted before the constant was in place")
}

func (d *Dir) historyPath() string { return filepath.Join(d.path(), "HISTORY") }

// history makes sure that HISTORY has the line of a deployment, once: also after a stop in the middle of
// writing it.
func (d *Dir) history(rec calib.Record) error {
	f, err := d.Policy.Open(d.historyPath(), os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("could not open HISTORY: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("could not read HISTORY: %w", err)
	}
	line := []byte(rec.History + "\n")
	if rec.HistoryOffset > int64(len(text)) {
		rec.HistoryOffset = 0
	}
	if bytes.Contains(text[rec.HistoryOffset:], line) {
		return nil
	}
	cut := text[bytes.LastIndexByte(text, '\n')+1:]
	switch {
	case len(cut) > 0 && bytes.HasPrefix(line, cut):
		line = line[len(cut):]
	case len(cut) > 0:
		line = append([]byte("\n"), line...)
	}
	if _, err := f.Write(line); err != nil {
		return fmt.Errorf("could not append to HISTORY: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("could not append to HISTORY: %w", err)
	}
	return f.Close()
}
