package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/filelock"
	"rawstatus/internal/io/frame"
)

// StatusFile names the status of one panel and, for multi-gain detectors, gain mode.
type StatusFile struct {
	DetType  string // as in the data; directories have it in lower case
	DetName  string
	Panel    string // directory name, an element of PanelDirs
	Segment  int
	Sub      int
	Run      frame.Run
	CType    string // status_data, status_dark, ...
	GainMode string // empty for single-gain detectors
	Mask     string // first digits of the content hash of a person's mask
	Slice    bool   // a part of the panel only
	Rows     int
	Cols     int
}

// Families of bits: which rule a bit value stands for. Values from 1024 on mean the same in all.
const (
	FamilyDark     = "dark"     // 1..64: rms and average limits, saturated and cold fractions, gain bits
	FamilyFeatures = "features" // 1..512: features 2, 3, 6, 11 of det_pixel_status
	FamilyCharge   = "ci"       // 65536 and above: charge injection
)

// SidecarSchema is the version of the sidecar. 1: first.
const SidecarSchema = 1

// Sidecar says what the words of a status file mean and where they come from. It lies beside the file
// under the same name with extension .json.
type Sidecar struct {
	Schema  int    `json:"schema"`
	Profile string `json:"profile"` // data, dark, features, light, max, ...
	Family  string `json:"bit_family"`
	Bits    []Bit  `json:"bits"`
	DetName string `json:"detector"`
	// Aliases are names that people gave to the detector in that run; commands take them for its name.
	Aliases  []string `json:"detector_aliases,omitempty"`
	DetType  string   `json:"detector_type"`
	Panel    string   `json:"panel"`
	Segment  int      `json:"segment"`
	Sub      int      `json:"sub,omitempty"`
	GainMode string   `json:"gain_mode,omitempty"`
	CType    string   `json:"ctype"`
	Rows     int      `json:"rows"`
	Cols     int      `json:"cols"`
	frame.Run
	Frames     Frames         `json:"frames"`
	BadPixels  int            `json:"bad_pixels"` // pixels whose word is not 0
	Level      *Level         `json:"level,omitempty"`
	Limits     []Limit        `json:"limits,omitempty"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Incomplete []string       `json:"incomplete,omitempty"` // what --allow-incomplete has accepted
	Part       []string       `json:"part,omitempty"`       // why it is not made from all frames and panels of the run
	// GainMap are the gain modes of the panel's pixels where the configuration sets different ones. Pixels of the
	// others have NO_DATA here and are judged in the files of their own modes.
	GainMap []string `json:"gain_map,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	PlanID  string   `json:"plan_id,omitempty"`
	Inputs  []Input  `json:"inputs"`
	Version string   `json:"version"`
	Mask    *Mask    `json:"mask,omitempty"` // of a mask made by a person
	// StatusSHA256 binds the sidecar to the bytes of its status file. WriteStatus fills it in.
	StatusSHA256 string `json:"status_sha256"`
	// Replaces is there only while a status file is being replaced: the sidecar of the old one.
	Replaces *Sidecar `json:"replaces,omitempty"`
}

// Level is the mean of the averages of good pixels, and their standard deviation, in ADU.
type Level struct {
	Mean   float64 `json:"mean"`
	Spread float64 `json:"std"`
}

// of returns the sidecar of the status file with that hash, or nil.
func (sc *Sidecar) of(sum string) *Sidecar {
	switch {
	case sc.StatusSHA256 == sum:
		return sc
	case sc.Replaces != nil && sc.Replaces.StatusSHA256 == sum:
		return sc.Replaces
	}
	return nil
}

// Bit is the meaning of one bit and how many pixels have it.
type Bit struct {
	Value  uint64 `json:"value"`
	Name   string `json:"name"`
	Rule   string `json:"rule"`
	Pixels int    `json:"pixels"`
}

// Frames counts what went in.
type Frames struct {
	Events  int   `json:"events"`          // events of the run that were selected
	Used    int   `json:"used"`            // frames of this panel that were counted
	Missing int   `json:"missing"`         // selected events without a frame of this panel
	Damaged int   `json:"damaged"`         // frames that were rejected
	Zeros   int   `json:"zeros,omitempty"` // frames of nothing but zeros, which were left out
	Steps   []int `json:"steps,omitempty"` // numbers of the steps that went in
}

// Limit is one evaluated pair of limits and what it was found from, in ADU.
type Limit struct {
	Name   string `json:"name"`
	Row    int    `json:"row,omitempty"` // first pixel of the ASIC, for limits per ASIC
	Col    int    `json:"col,omitempty"`
	Lo     Number `json:"lo"`
	Hi     Number `json:"hi"`
	Centre Number `json:"centre"` // mean or median
	Spread Number `json:"spread"` // standard deviation or median distance
}

// Number is a float64 that is null in JSON where it is not finite.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); v-v != 0 {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// Input is a file that a result was made from.
type Input struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	MTime  string `json:"mtime,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// sidecarPath returns where the sidecar of a status file lies.
func sidecarPath(status string) string {
	return strings.TrimSuffix(status, filepath.Ext(status)) + ".json"
}

// WriteStatus writes the status of one panel and its sidecar into the repository and returns the path of
// the status file. Everything in the sidecar that follows from sf and status is filled in. To
// replace a file of another profile, or of more of the run, is refused unless replace is set. Warnings tell what could not be done as configured
// (an absent group).
func (r *Repo) WriteStatus(ctx context.Context, sf StatusFile, status calibtxt.Sparse, sc Sidecar, replace bool) (path string, warnings []string, err error) {
	if sf.Rows*sf.Cols != status.Pixels {
		panic(fmt.Sprintf("io/repo: %d words for a panel of %dx%d", status.Pixels, sf.Rows, sf.Cols))
	}
	dir, err := r.ctypeDir(sf)
	if err != nil {
		return "", nil, err
	}
	n, err := r.name(ctx, sf, ".dat")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, n.String())
	text := takeText(2 * status.Pixels)
	defer text.put()
	if err := calibtxt.WritePlain(text, status, sf.Cols); err != nil {
		return "", nil, err
	}
	sc.describe(sf, status, text.Bytes())
	return path, r.Policy.Warnings(), r.writePair(ctx, path, text.Bytes(), &sc, replace)
}

// WriteMerged writes the merged status of one panel, with the header that psana needs, and its sidecar.
// It fills in the header's file name and shape; h.FileName is its path.
func (r *Repo) WriteMerged(ctx context.Context, sf StatusFile, status calibtxt.Sparse, sc Sidecar, h *calibtxt.Header) error {
	dir, err := r.ctypeDir(sf)
	if err != nil {
		return err
	}
	n, err := r.name(ctx, sf, ".txt")
	if err != nil {
		return err
	}
	h.FileName, h.Shape = filepath.Join(dir, n.String()), []int{sf.Rows, sf.Cols}
	text := takeText(2*status.Pixels + 1024)
	defer text.put()
	if err := calibtxt.WriteArray(text, *h, status); err != nil {
		return err
	}
	sc.describe(sf, status, text.Bytes())
	return r.writePair(ctx, h.FileName, text.Bytes(), &sc, true)
}

// text is memory for the text of a status file. New memory costs more than the text.
type text struct{ bytes.Buffer }

var texts = make(chan *text, 64)

func takeText(size int) *text {
	var t *text
	select {
	case t = <-texts:
	default:
		t = new(text)
	}
	t.Grow(size)
	return t
}

func (t *text) put() {
	t.Reset()
	select {
	case texts <- t:
	default:
	}
}

// ctypeDir makes the directory of a status file, after checking all words of its path.
func (r *Repo) ctypeDir(sf StatusFile) (string, error) {
	words := []struct{ what, s string }{
		{"detector type", sf.DetType}, {"panel", sf.Panel}, {"experiment", sf.Run.Experiment}, {"constants type", sf.CType},
	}
	if sf.GainMode != "" {
		words = append(words, struct{ what, s string }{"gain mode", sf.GainMode})
	}
	for _, w := range words {
		if err := access.CheckName(w.what, w.s); err != nil {
			return "", err
		}
	}
	if strings.Contains(sf.DetType, "_") || slices.Contains(reserved, sf.Panel) {
		return "", fault.New(fault.Input, "detector type %q, panel %q: not usable as names in a repository", sf.DetType, sf.Panel)
	}
	dir := filepath.Join(r.PanelDir(sf.DetType, sf.Panel), sf.CType)
	return dir, r.Policy.MkdirAll(dir)
}

// EnsureAlias adds an alias for the panel of a status file, if it has none yet.
func (r *Repo) EnsureAlias(ctx context.Context, sf StatusFile) error {
	if _, err := r.ctypeDir(sf); err != nil {
		return err
	}
	_, err := r.name(ctx, sf, ".dat")
	return err
}

// name returns the file name, with the panel's alias.
func (r *Repo) name(ctx context.Context, sf StatusFile, ext string) (Name, error) {
	alias, err := r.Alias(ctx, sf.DetType, sf.Panel,
		AliasRecord{Experiment: sf.Run.Experiment, Run: sf.Run.Number, Extra: []string{sf.DetName}})
	if err != nil {
		return Name{}, err
	}
	n := r.nameOf(sf, alias, ext)
	if len(n.String()) > access.MaxName {
		return Name{}, fault.New(fault.Input, "file name %q is too long", n)
	}
	return n, nil
}

func (r *Repo) nameOf(sf StatusFile, alias, ext string) Name {
	return Name{DetType: strings.ToLower(sf.DetType), Alias: alias, Stamp: r.Stamp(sf.Run.Begin), Experiment: sf.Run.Experiment,
		Run: sf.Run.Number, CType: sf.CType, GainMode: sf.GainMode, Slice: sf.Slice, Mask: sf.Mask, Ext: ext}
}

// describe fills in what follows from the file itself.
func (sc *Sidecar) describe(sf StatusFile, status calibtxt.Sparse, text []byte) {
	sc.Schema = SidecarSchema
	sc.DetName, sc.DetType, sc.Panel, sc.Segment, sc.Sub = sf.DetName, sf.DetType, sf.Panel, sf.Segment, sf.Sub
	sc.GainMode, sc.CType, sc.Rows, sc.Cols, sc.Run = sf.GainMode, sf.CType, sf.Rows, sf.Cols, sf.Run
	sc.Run.Begin = sf.Run.Begin.UTC()
	sc.BadPixels = len(status.At)
	sc.StatusSHA256 = hashOf(text)
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// writePair writes sidecar and status file, in this order, under the lock of their directory.
func (r *Repo) writePair(ctx context.Context, path string, text []byte, sc *Sidecar, replace bool) error {
	lock, err := filelock.Acquire(ctx, filepath.Dir(path), r.LockWait, r.Policy)
	if err != nil {
		return err
	}
	defer lock.Release()
	old, exists, err := inPlace(path)
	if err != nil {
		return err
	}
	if exists && !replace {
		if err := mayReplace(path, old, sc); err != nil {
			return err
		}
	}
	return r.replace(path, text, sc, old)
}

// replace writes sidecar and status file; old is the sidecar of the file that is replaced, nil if there is
// none that belongs to it. The lock is held.
func (r *Repo) replace(path string, text []byte, sc, old *Sidecar) error {
	if old != nil && old.StatusSHA256 != sc.StatusSHA256 {
		both := *sc
		both.Replaces = old
		if err := r.writeSidecar(path, &both); err != nil {
			return err
		}
	} else if err := r.writeSidecar(path, sc); err != nil {
		return err
	}
	opt := r.Policy.File()
	opt.Keep = true
	if err := atomicfile.WriteFile(path, opt, text); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	return r.writeSidecar(path, sc)
}

// inPlace reports whether there is a status file, and returns the sidecar that belongs to it, nil without one.
func inPlace(path string) (old *Sidecar, exists bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("could not read the file to be replaced: %w", err)
	}
	sc, err := ReadSidecar(path)
	if err != nil {
		return nil, true, nil // absent or not readable: nothing to keep
	}
	if old = sc.of(hashOf(text)); old != nil {
		old.Replaces = nil
	}
	return old, true, nil
}

func (r *Repo) writeSidecar(status string, sc *Sidecar) error {
	var meta bytes.Buffer
	enc := json.NewEncoder(&meta)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // rules have < and >
	if err := enc.Encode(sc); err != nil {
		return fmt.Errorf("could not encode the sidecar of %q: %w", status, err)
	}
	opt := r.Policy.File()
	opt.Keep = true
	return atomicfile.WriteFile(sidecarPath(status), opt, meta.Bytes())
}

// MayReplace refuses what WriteStatus would refuse without replace, before anything is written: sc has the profile
// and what is known of the data.
func (r *Repo) MayReplace(sf StatusFile, sc Sidecar) error {
	dir := filepath.Join(r.PanelDir(sf.DetType, sf.Panel), sf.CType)
	text, err := atomicfile.ReadFile(r.aliasPath(sf.DetType))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("could not read the aliases: %w", err)
	}
	alias, _ := findAlias(string(text), sf.Panel)
	if alias == "" {
		return nil // a panel of which there is nothing
	}
	path := filepath.Join(dir, r.nameOf(sf, alias, ".dat").String())
	old, exists, err := inPlace(path)
	if err != nil || !exists {
		return err
	}
	return mayReplace(path, old, &sc)
}

// mayReplace refuses to replace a file by a result that is not at least as good; old is its sidecar, if there is one.
func mayReplace(path string, old, sc *Sidecar) error {
	if err := sameProfile(path, old, sc.Profile); err != nil {
		return err
	}
	return notLess(path, old, sc)
}

// notLess refuses to replace a result by one of less of the run: a whole one by an incomplete one or one of a part,
// such a one by another of fewer frames.
func notLess(path string, old, sc *Sidecar) error {
	less := slices.Concat(sc.Incomplete, sc.Part)
	whole := len(old.Incomplete)+len(old.Part) == 0
	if len(less) == 0 || !whole && sc.Frames.Used >= old.Frames.Used {
		return nil
	}
	what := "all of the run"
	if !whole {
		what = "more of the run"
	}
	return fault.New(fault.Refused, "%q is made from %s (%d frames), the new result from %d frames:\n  %s", path, what, old.Frames.Used, sc.Frames.Used,
		strings.Join(less, "\n  ")).WithHint("give another constants type with -C, or --replace to replace it")
}

// sameProfile refuses to replace a file that was made by another profile or another program. old is the
// sidecar that belongs to it, if there is one.
func sameProfile(path string, old *Sidecar, profile string) error {
	who := "another program, or changed by hand (no sidecar belongs to it)"
	switch {
	case old != nil && old.Profile == profile:
		return nil
	case old != nil:
		who = "profile " + old.Profile
	}
	return fault.New(fault.Usage, "%q was written by %s, not by profile %s", path, who, profile).
		WithHint("give another constants type with -C, or --replace to replace it")
}

// ReadSidecar reads the sidecar beside a status file.
func ReadSidecar(status string) (*Sidecar, error) {
	path := sidecarPath(status)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var sc Sidecar
	if err := json.Unmarshal(b, &sc); err != nil {
		return nil, fault.New(fault.Input, "sidecar %q: %w", path, err)
	}
	if sc.Schema != SidecarSchema {
		return nil, fault.New(fault.Input, "sidecar %q has schema %d, this program knows %d", path, sc.Schema, SidecarSchema).
			WithHint("use the version of this program that wrote it, or a newer one")
	}
	return &sc, nil
}

// Read is a status file as read.
type Read struct {
	calibtxt.Sparse
	Shape   []int
	Sidecar *Sidecar // nil for files of other programs
	SHA256  string   // of the file's bytes
	Size    int64
}

// settle is the longest pause of ReadStatus before it believes that status and sidecar do not belong together.
const settle = 256 * time.Millisecond

// ReadStatus reads a status file exactly, with its sidecar. want is the shape it must have, or nil.
func (r *Repo) ReadStatus(path string, want []int) (*Read, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.New(fault.Input, "could not read a status file: %w", err)
		}
		read := &Read{SHA256: hashOf(b), Size: int64(len(b))}
		sc, err := ReadSidecar(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if sc != nil {
			if read.Sidecar = sc.of(read.SHA256); read.Sidecar == nil {
				if pause <= settle { // it was replaced twice while we read, or was changed by hand
					time.Sleep(pause)
					continue
				}
				return nil, fault.New(fault.Input, "%q and its sidecar do not belong together", path).
					WithHint("the file was changed by hand: run the reduction that made it again, or remove the .json beside it")
			}
		}
		a, err := calibtxt.ReadStatus(bytes.NewReader(b), read.Size, path, want)
		if err != nil {
			return nil, err
		}
		read.Shape, read.Sparse = a.Shape, a.Sparse
		return read, nil
	}
}
