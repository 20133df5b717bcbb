package calib

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/disk"
)

// Ledger is the record of deployments in a directory. Writers hold the lock of the destination.
type Ledger struct {
	Dir  string
	Disk disk.Disk
}

func (l *Ledger) path() string { return filepath.Join(l.Dir, "ledger.jsonl") }

// inPlace refuses links in place of the ledger's directories: what is read and written there is ours.
func (l *Ledger) inPlace() error {
	for _, dir := range []string{l.Dir, filepath.Dir(l.contentPath(""))} {
		kind, err := l.Disk.Kind(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("could not look for the ledger: %w", err)
		}
		if kind != fs.ModeDir {
			return fault.New(fault.Input, "%q is not a directory (%v): a ledger is not read or written through it", dir, kind).
				WithHint("look who has put it there, and remove it; mergedeploy verify then shows what is deployed")
		}
	}
	return nil
}

// Load returns one record per deployment in its last state, oldest first.
func (l *Ledger) Load() ([]Record, error) {
	if err := l.inPlace(); err != nil {
		return nil, err
	}
	text, err := disk.ReadFile(l.Disk, l.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("could not read the ledger: %w", err)
	}
	var records []Record
	at := map[string]int{}
	for n := 1; len(text) > 0; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			break // cut off by a crash; the next writer removes it
		}
		text = rest
		var r Record
		if err := json.Unmarshal(line, &r); err != nil || r.ID == "" {
			return nil, fault.New(fault.Input, "ledger %q line %d is not a record: %v", l.path(), n, err).
				WithHint("somebody changed the ledger by hand: restore it from a backup, or move the folder away to begin a new one")
		}
		if i, known := at[r.ID]; known {
			records[i].State, records[i].Reason = r.State, r.Reason
			if r.Steps != nil {
				records[i].Steps = r.Steps
			}
			if r.Parts != nil {
				records[i].Parts = r.Parts
			}
			if r.Name != "" {
				records[i].Name = r.Name
			}
			continue
		}
		at[r.ID] = len(records)
		records = append(records, r)
	}
	return records, nil
}

// Append adds a line and makes it durable.
func (l *Ledger) Append(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("could not encode a record: %w", err)
	}
	if err := l.inPlace(); err != nil {
		return err
	}
	if err := l.Disk.Make(l.Dir); err != nil {
		return err
	}
	end, err := l.wholeLines()
	if err != nil {
		return fmt.Errorf("could not read the ledger: %w", err)
	}
	if err := l.Disk.Extend(l.path(), end, append(line, '\n')); err != nil {
		return fmt.Errorf("could not append to the ledger: %w", err)
	}
	return nil
}

// Mark appends the end of a deployment.
func (l *Ledger) Mark(r Record, s State, reason string) error {
	return l.Append(Record{ID: r.ID, State: s, Reason: reason, Time: time.Now().UTC(), Range: r.Range, Name: r.Name, Steps: r.Steps, Parts: r.Parts})
}

// wholeLines returns the length of the ledger up to its last newline.
func (l *Ledger) wholeLines() (int64, error) {
	f, err := l.Disk.Open(l.path())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, 1<<16)
	for end := f.Size(); end > 0; {
		n := min(end, int64(len(b)))
		if _, err := f.Seek(end-n, io.SeekStart); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(f, b[:n]); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// Pending returns the deployment that was begun and not ended, if there is one.
func Pending(records []Record) (Record, bool) {
	for i := len(records) - 1; i >= 0; i-- {
		if records[i].State == Intent {
			return records[i], true
		}
	}
	return Record{}, false
}

func (l *Ledger) contentPath(sum string) string {
	return filepath.Join(l.Dir, "content", sum+".zst")
}

// Keep stores a content under its hash; the hash is checked.
func (l *Ledger) Keep(sum string, open func() (io.ReadCloser, error)) error {
	if err := checkSum(sum); err != nil {
		return err
	}
	if err := l.inPlace(); err != nil {
		return err
	}
	path := l.contentPath(sum)
	if _, err := l.Disk.Kind(path); err == nil {
		return l.Disk.Sync(filepath.Dir(path)) // an interrupted call may have left it visible only
	}
	if err := l.Disk.Make(filepath.Dir(path)); err != nil {
		return err
	}
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	return l.Disk.Replace(path, false, func(w io.Writer) error {
		z := encoders.Get().(*zstd.Encoder)
		defer encoders.Put(z)
		z.Reset(w)
		h := sha256.New()
		if _, err := io.Copy(io.MultiWriter(z, h), r); err != nil {
			return err
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != sum {
			return fault.New(fault.Temporary, "content changed while it was read: SHA-256 is %s, not %s", got, sum).
				WithHint("run the same command again")
		}
		return z.Close()
	}, nil)
}

// encoders are reused: each takes megabytes.
var encoders = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("calib: " + err.Error())
	}
	return z
}}

// Content opens a stored content.
func (l *Ledger) Content(sum string) (io.ReadCloser, error) {
	if err := checkSum(sum); err != nil {
		return nil, err
	}
	if err := l.inPlace(); err != nil {
		return nil, err
	}
	f, err := l.Disk.Open(l.contentPath(sum))
	if err != nil {
		return nil, fault.New(fault.Input, "the content %s is not in the ledger: %w", sum, err)
	}
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &contentReader{z, f}, nil
}

type contentReader struct {
	*zstd.Decoder
	f io.Closer
}

func (c *contentReader) Close() error {
	c.Decoder.Close()
	return c.f.Close()
}

func checkSum(sum string) error {
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
		return fault.New(fault.Input, "%q is not a SHA-256", sum)
	}
	return nil
}
