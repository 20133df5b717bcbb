package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/filelock"
)

// Repo is a constants repository. Methods may be called from many goroutines and processes at once.
type Repo struct {
	Root   string
	Policy *access.Policy
	Loc    *time.Location // time zone of the site
	// LockWait is how long to wait for another process.
	LockWait time.Duration

	begins sync.Map // path of a status file to the begin of its run

	tree string // detector type whose panels lie directly below Root; empty: the generic layout
}

// defaultLockWait is generous: the longest work under a lock is writing one panel.
const defaultLockWait = time.Minute

// New returns the repository at root. loc is the time zone of the site.
func New(root string, policy *access.Policy, loc *time.Location) *Repo {
	return &Repo{Root: root, Policy: policy, Loc: loc, LockWait: defaultLockWait}
}

// NewTree returns the panel repository that the dark jobs of one detector type (jungfrau, epix10ka) keep:
// panels lie directly below root, or, as those of psana2, below the directory of the type in root. Their
// status files, one per gain mode, are of the type "status" (psana1) or "pixel_status" (psana2).
func NewTree(root, dettype string, policy *access.Policy, loc *time.Location) *Repo {
	r := New(filepath.Clean(root), policy, loc)
	r.tree = strings.ToLower(dettype)
	if below := filepath.Join(root, r.tree); isDir(below) {
		r.Root = below
	}
	return r
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// IsTree reports whether the repository is that of one detector type.
func (r *Repo) IsTree() bool { return r.tree != "" }

// TypeDir returns the directory of a detector type.
func (r *Repo) TypeDir(dettype string) string {
	if r.tree != "" {
		return r.Root
	}
	return filepath.Join(r.Root, strings.ToLower(dettype))
}

// PanelDir returns the directory of a panel; panel is an element of [PanelDirs].
func (r *Repo) PanelDir(dettype, panel string) string {
	return filepath.Join(r.TypeDir(dettype), panel)
}

// StackPath returns where the array of a whole detector is put together for deployment.
func (r *Repo) StackPath(dettype, detName, exp string, run int, begin time.Time, ctype string) string {
	name := fmt.Sprintf("%s-%s-%s-r%04d-%s.txt", detName, r.Stamp(begin), exp, run, ctype)
	return filepath.Join(r.TypeDir(dettype), "merge_tmp", name)
}

// DefaultPath returns the constant of last resort of a detector type, written by people.
func (r *Repo) DefaultPath(dettype, ctype string) string {
	t := strings.ToLower(dettype)
	return filepath.Join(r.TypeDir(dettype), "default", t+"_default_"+ctype+".txt")
}

// AliasRecord is stored in a new line of .aliases.txt, beside panel and alias.
type AliasRecord struct {
	Experiment string // empty: left out
	Run        int
	Extra      []string // e.g. the detector's name
}

// Alias returns the short name of a panel and allocates the next one for a new panel. Any number of
// processes may do so at once. A known panel needs no right to write.
func (r *Repo) Alias(ctx context.Context, dettype, panel string, rec AliasRecord) (string, error) {
	path := r.aliasPath(dettype)
	text, err := atomicfile.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("could not read the aliases: %w", err)
	}
	if alias, _ := findAlias(string(text), panel); alias != "" {
		return alias, nil
	}
	if err := access.CheckName("panel", panel); err != nil {
		return "", err
	}
	if err := r.Policy.MkdirAll(r.TypeDir(dettype)); err != nil {
		return "", err
	}
	f, err := r.Policy.Open(path, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return "", fmt.Errorf("could not open the aliases: %w", err)
	}
	defer f.Close()
	// The list itself is locked, so that no reader or copier of the tree meets a new kind of file.
	if err := filelock.Hold(ctx, f, r.LockWait); err != nil {
		return "", err
	}
	if text, err = atomicfile.ReadFile(path); err != nil {
		return "", fmt.Errorf("could not read the aliases: %w", err)
	}
	alias, last := findAlias(string(text), panel)
	if alias != "" {
		return alias, nil
	}
	alias = fmt.Sprintf("%04d", last+1)
	line := r.aliasLine(alias, panel, rec)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line // a line that was cut off keeps its number
	}
	if _, err := f.WriteString(line); err != nil {
		return "", fmt.Errorf("could not append to the aliases: %w", err)
	}
	if err := f.Sync(); err != nil {
		return "", fmt.Errorf("could not append to the aliases: %w", err)
	}
	return alias, nil
}

func (r *Repo) aliasPath(dettype string) string {
	name := ".aliases.txt"
	if r.tree == "jungfrau" {
		name = ".aliases_jungfrau.txt"
	}
	return filepath.Join(r.TypeDir(dettype), name)
}

// knownAlias returns the alias of a panel, or the empty string.
func (r *Repo) knownAlias(dettype, panel string) string {
	text, err := atomicfile.ReadFile(r.aliasPath(dettype))
	if err != nil {
		return ""
	}
	alias, _ := findAlias(string(text), panel)
	return alias
}

func (r *Repo) aliasLine(alias, panel string, rec AliasRecord) string {
	line := alias + " " + panel + " " + time.Now().In(r.Loc).Format("2006-01-02T15:04:05")
	if rec.Experiment != "" {
		line += fmt.Sprintf(" %10s r%04d", rec.Experiment, rec.Run)
	}
	for _, e := range rec.Extra {
		line += " " + strings.Join(strings.Fields(e), "_")
	}
	return line + " " + access.Login() + "\n"
}

// findAlias looks a panel up and returns the largest number in use. The first record of a panel counts.
// Comments and other lines that are no records are passed over.
func findAlias(text, panel string) (alias string, last int) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.Atoi(f[0])
		if err != nil || n < 0 {
			continue
		}
		if f[1] == panel && alias == "" {
			alias = f[0]
		}
		last = max(last, n)
	}
	return alias, last
}

// Panels lists the panel directories of a detector type, ascending.
func (r *Repo) Panels(dettype string) ([]string, error) {
	entries, err := os.ReadDir(r.TypeDir(dettype))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Input, "the repository %q has nothing of detector type %q", r.Root, dettype).
			WithHint("check -o and the detector; constants are put there by rawstatus run")
	}
	if err != nil {
		return nil, fmt.Errorf("could not list panels: %w", err)
	}
	var panels []string
	for _, e := range entries {
		if e.IsDir() && access.Plausible(e.Name()) && !slices.Contains(reserved, e.Name()) {
			panels = append(panels, e.Name())
		}
	}
	return panels, nil
}
