package repo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/filelock"
)

// TypeUser is the constants type of masks made by people, FamilyUser and ProfileUser what their sidecars say.
const (
	TypeUser    = "status_user"
	FamilyUser  = "user"
	ProfileUser = "user"
)

// maskName is how many digits of a mask's content hash go into the names of its files.
const maskName = 8

// Mask says who has saved a mask, why, and for which runs. It is a part of the sidecar of each of its
// files.
type Mask struct {
	// Hash is the SHA-256 of the mask's files, one after the other in the order of panels and gain modes.
	Hash     string      `json:"content_hash"`
	Comment  string      `json:"comment"`
	Author   string      `json:"author"`
	Saved    time.Time   `json:"saved"`
	Validity calib.Range `json:"validity"` // runs of the sidecar's experiment
	Retired  *Retired    `json:"retired,omitempty"`
}

// Retired says who has taken a mask out of use, and why. Its files stay.
type Retired struct {
	Author  string    `json:"author"`
	Comment string    `json:"comment,omitempty"`
	Time    time.Time `json:"time"`
}

// Short returns the part of the content hash that stands in file names.
func (m Mask) Short() string { return m.Hash[:min(maskName, len(m.Hash))] }

// MaskPlane is a mask for one panel in one gain mode ("": all).
type MaskPlane struct {
	StatusFile
	Words []uint64
}

// Saved is the outcome of SaveMask.
type Saved struct {
	Mask
	Paths    []string // by plane
	Again    bool     // the same mask was there already, for the same runs: nothing was changed
	Warnings []string // what could not be done as configured (an absent group)
}

// SaveMask writes a mask, one file for each plane, beside all others of the run. sc is the sidecar as far
// as it is equal for all planes.
func (r *Repo) SaveMask(ctx context.Context, planes []MaskPlane, sc Sidecar) (*Saved, error) {
	texts := make([][]byte, len(planes))
	h := sha256.New()
	for i, p := range planes {
		var text bytes.Buffer
		if err := calibtxt.WritePlain(&text, calibtxt.SparseOf(p.Words), p.Cols); err != nil {
			return nil, err
		}
		texts[i] = text.Bytes()
		h.Write(texts[i])
	}
	mask := *sc.Mask
	mask.Hash = hex.EncodeToString(h.Sum(nil))
	sc.Mask = &mask
	saved := &Saved{Mask: mask, Again: true}
	for i, p := range planes {
		p.Mask = mask.Short()
		dir, err := r.ctypeDir(p.StatusFile)
		if err != nil {
			return nil, err
		}
		n, err := r.name(ctx, p.StatusFile, ".dat")
		if err != nil {
			return nil, err
		}
		path, own := filepath.Join(dir, n.String()), sc
		own.Bits = maskBits(p.Words)
		own.describe(p.StatusFile, calibtxt.SparseOf(p.Words), texts[i])
		there, err := r.saveMask(ctx, path, texts[i], &own)
		if err != nil {
			return nil, err
		}
		saved.Again = saved.Again && there
		saved.Paths = append(saved.Paths, path)
	}
	saved.Warnings = r.Policy.Warnings()
	return saved, nil
}

// saveMask writes one file of a mask unless it is there.
func (r *Repo) saveMask(ctx context.Context, path string, text []byte, sc *Sidecar) (there bool, err error) {
	lock, err := filelock.Acquire(ctx, filepath.Dir(path), r.LockWait, r.Policy)
	if err != nil {
		return false, err
	}
	defer lock.Release()
	old, exists, err := inPlace(path)
	switch {
	case err != nil:
		return false, err
	case !exists:
		return false, r.replace(path, text, sc, nil)
	case old == nil || old.Mask == nil || old.Mask.Hash != sc.Mask.Hash:
		return false, fault.New(fault.Usage, "%q is there and is not this mask", path).
			WithHint("it was changed by hand, or another mask has the same first digits: see save --list")
	case old.Mask.Retired != nil:
		return false, r.replace(path, text, sc, old) // in use again
	case old.Mask.Validity != sc.Mask.Validity:
		return false, fault.New(fault.Usage, "this mask is saved already as %s, for runs %s", old.Mask.Short(), old.Mask.Validity).
			WithHint("retire it first (save --retire %s), then save it for other runs", old.Mask.Short())
	}
	return true, nil
}

// maskBits describes the words of a mask.
func maskBits(words []uint64) (list []Bit) {
	counts := map[uint64]int{}
	for _, w := range words {
		for ; w != 0; w &= w - 1 {
			counts[w&-w]++
		}
	}
	for value, n := range counts {
		b := Bit{Value: value, Name: fmt.Sprintf("USER_%d", value), Rule: "word of the person who made the mask", Pixels: n}
		if value == user {
			b.Name, b.Rule = "USER", "in a mask that a person has saved"
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b Bit) int { return cmp.Compare(a.Value, b.Value) })
	return list
}

// user is the bit of masks, as in the dictionary of bits.
const user = 32768

// SavedMask is a mask with its files.
type SavedMask struct {
	Mask
	Experiment string   `json:"experiment"`
	Run        int      `json:"run"` // that it was saved for
	Detector   string   `json:"detector"`
	DetType    string   `json:"detector_type"`
	CType      string   `json:"ctype"`
	Segments   []int    `json:"segments"`
	GainModes  []string `json:"gain_modes,omitempty"` // empty: all
	Bad        int      `json:"bad_pixels"`
	Files      []string `json:"files"`
}

// Masks lists all masks of the repository, the oldest first. Notes name files that look like masks and
// cannot be read.
func (r *Repo) Masks() (list []SavedMask, notes []string, err error) {
	if _, err := os.ReadDir(r.Root); err != nil {
		return nil, nil, fault.New(fault.Input, "could not look into the repository: %w", err).
			WithHint("name it with -o, RAWSTATUS_REPOSITORY or in the site file")
	}
	found, err := filepath.Glob(filepath.Join(escapeGlob(r.Root), "*", "*", "status_*", "*.json"))
	if err != nil {
		return nil, nil, err
	}
	at := map[string]int{}
	for _, path := range found {
		stem := strings.TrimSuffix(path, ".json")
		if i := strings.LastIndexByte(stem, '_'); i < 0 || !maskDigits.MatchString(stem[i+1:]) {
			continue
		}
		sc, err := ReadSidecar(stem + ".dat")
		if err == nil {
			_, err = os.Lstat(stem + ".dat")
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // its writer was stopped
		case err == nil && sc.Mask == nil:
			err = errors.New("its sidecar does not speak of a mask")
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s: %v", path, err))
			continue
		}
		key := fmt.Sprint(sc.Mask.Hash, "/", sc.Run.Experiment, "/", sc.Run.Number, "/", sc.DetType, "/", sc.DetName, "/", sc.CType)
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, SavedMask{Mask: *sc.Mask, Experiment: sc.Run.Experiment, Run: sc.Run.Number, Detector: sc.DetName, DetType: sc.DetType, CType: sc.CType})
		}
		list[i].add(sc, stem+".dat")
	}
	slices.SortStableFunc(list, func(a, b SavedMask) int {
		return cmp.Or(cmp.Compare(a.Experiment, b.Experiment), cmp.Compare(a.Run, b.Run), a.Saved.Compare(b.Saved), cmp.Compare(a.Hash, b.Hash))
	})
	return list, notes, nil
}

// add puts one file to a mask. A mask is retired when all of its files are.
func (m *SavedMask) add(sc *Sidecar, path string) {
	if !slices.Contains(m.Segments, sc.Segment) {
		m.Segments = append(m.Segments, sc.Segment)
		slices.Sort(m.Segments)
	}
	if sc.GainMode != "" && !slices.Contains(m.GainModes, sc.GainMode) {
		m.GainModes = append(m.GainModes, sc.GainMode)
	}
	m.Bad += sc.BadPixels
	m.Files = append(m.Files, path)
	if sc.Mask.Retired == nil {
		m.Retired = nil
	}
}

// escapeGlob keeps the characters of a directory's name from being taken as a pattern.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// Retire takes a mask out of use. It may be repeated.
func (r *Repo) Retire(ctx context.Context, m SavedMask, comment string) error {
	for _, path := range m.Files {
		if err := r.retire(ctx, path, &Retired{Author: access.Login(), Comment: comment, Time: time.Now().UTC().Truncate(time.Second)}); err != nil {
			return err
		}
	}
	return nil
}

// retire rewrites the sidecar of one file.
func (r *Repo) retire(ctx context.Context, path string, why *Retired) error {
	lock, err := filelock.Acquire(ctx, filepath.Dir(path), r.LockWait, r.Policy)
	if err != nil {
		return err
	}
	defer lock.Release()
	sc, err := ReadSidecar(path)
	if err != nil {
		return err
	}
	if sc.Mask == nil {
		return fault.New(fault.Input, "%q is no mask", path)
	}
	if sc.Mask.Retired != nil {
		return nil
	}
	sc.Mask.Retired = why
	return r.writeSidecar(path, sc)
}
