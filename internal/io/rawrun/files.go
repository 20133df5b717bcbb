package rawrun

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// File is a raw file to read. Stream and Chunk say where it belongs in its run.
type File struct {
	frame.File
	R     io.ReaderAt // nil: something says that there is such a file, but it was not found
	Small *File       // the smalldata file beside it, or nil
}

// IsThere reports whether the file was found.
func (f *File) IsThere() bool { return f != nil && f.R != nil }

// Stream is the files of one recorder, ascending by chunk. A chunk that is not there is a File without
// reader.
type Stream struct {
	Number int
	Files  []*File
}

// Small returns the stream's first smalldata file, nil if there is none.
func (s Stream) Small() *File {
	for _, f := range s.Files {
		if f.Small != nil {
			return f.Small
		}
	}
	return nil
}

// HasData reports whether any data file of the stream is there.
func (s Stream) HasData() bool { return slices.ContainsFunc(s.Files, (*File).IsThere) }

// Request says what to index.
type Request struct {
	// Files are the files of one run, in any order.
	Files []*File
	// Open opens a file of a stream by its base name, as another file of the stream announces it. The error
	// wraps fs.ErrNotExist if there is no such file. Nil: there are no others.
	Open func(beside *File, base string) (*File, error)
	// Experiment and Run are those of the file names; what the data say goes before them.
	Experiment string
	Run        int
	// ByName says that the files were found by the run in their names. Data of another run are refused then.
	ByName bool
	// RunInFile picks a run by its number when the files hold several, 0: there must be one.
	RunInFile int
}

// Options are how to index; zero values mean the defaults.
type Options struct {
	Reads       int  // reads in flight; the default is the format's
	NoSmalldata bool // read all datagram headers even where there is a smalldata file
	// AllHeaders reads the headers of all frames. Else some may be predicted; what has to be compared when
	// pixels are read is in the index (frame.Index.Headings).
	AllHeaders bool
	// MaxLost is the percentage of a stream's events that may be missing at its end, if no stream has an
	// EndRun.
	MaxLost float64
	// Growing is asked when a stream of the run has no EndRun: it waits as long as it takes to tell and
	// lists the files that still change. Nil: files are taken to be complete.
	Growing func(ctx context.Context) ([]string, error)
}

// Streams sorts files by stream and chunk. Chunks that must have been before a file are there without
// reader. Two files for one chunk are refused.
func Streams(files []*File) ([]Stream, error) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(f, g *File) int { return cmp.Or(cmp.Compare(f.Stream, g.Stream), cmp.Compare(f.Chunk, g.Chunk)) })
	var list []Stream
	for i, f := range files {
		if i == 0 || files[i-1].Stream != f.Stream {
			list = append(list, Stream{Number: f.Stream})
		} else if files[i-1].Chunk == f.Chunk {
			return nil, fault.New(fault.Incomplete, "%q and %q are both chunk %d of stream %d", files[i-1].Path, f.Path, f.Chunk, f.Stream).
				WithHint("one of them is a copy or of another run: move it away, or name the files to read with --file")
		}
		s := &list[len(list)-1]
		if f.Chunk-len(s.Files) > maxHole {
			return nil, fault.New(fault.Input, "%q is chunk %d of stream %d; %s before it are not there", f.Path, f.Chunk, f.Stream, fault.Count(f.Chunk-len(s.Files), "chunk"))
		}
		for n := len(s.Files); n < f.Chunk; n++ {
			s.Files = append(s.Files, &File{File: frame.File{Stream: f.Stream, Chunk: n}})
		}
		s.Files = append(s.Files, f)
	}
	return list, nil
}

// maxHole bounds the chunks that are listed as not found before one that is there.
const maxHole = 1000

// Find lists the files of a run in a directory and its smalldata folder, without readers. An empty
// experiment accepts every one; keep reports which streams are wanted, nil means all. A data file of which
// only the smalldata file is there has Size -1.
func (s Scheme) Find(dir, experiment string, run int, keep func(stream int) bool) ([]*File, error) {
	data, err := s.list(dir, experiment, run, false, keep)
	if err != nil {
		return nil, err
	}
	small, err := s.list(filepath.Join(dir, smalldataDir), experiment, run, true, keep)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range small {
		i := slices.IndexFunc(data, func(d *File) bool { return d.Stream == f.Stream && d.Chunk == f.Chunk })
		if i < 0 {
			i = len(data)
			data = append(data, &File{File: frame.File{Path: s.DataPath(f.Path), Size: -1, Stream: f.Stream, Chunk: f.Chunk}})
		}
		data[i].Small = f
	}
	return data, nil
}

// list lists the files of a run in one directory, of two that differ only in being complete the
// complete one.
func (s Scheme) list(dir, experiment string, run int, smalldata bool, keep func(int) bool) ([]*File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.New(fault.Input, "could not list %q: %w", dir, err)
	}
	var found []*File
	for _, e := range entries {
		n, ok := s.Parse(e.Name())
		if !ok || n.Run != run || n.Smalldata != smalldata || experiment != "" && n.Experiment != experiment && !n.IsNumbered() || keep != nil && !keep(n.Stream) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if n.InProgress && exists(strings.TrimSuffix(path, inProgress)) {
			continue
		}
		found = append(found, &File{File: frame.File{Path: path, Stream: n.Stream, Chunk: n.Chunk}})
	}
	return found, nil
}

// Named takes named files, with their smalldata files where those belong. Files that are not named as
// those of a run are streams of their own.
func (s Scheme) Named(paths []string) []*File {
	var files []*File
	for i, path := range paths {
		n, ok := s.Parse(filepath.Base(path))
		f := &File{File: frame.File{Path: path, Stream: n.Stream, Chunk: n.Chunk}}
		if !ok {
			f.Stream = i
		}
		if n.Smalldata {
			f.Path, f.Small = s.DataPath(path), &File{File: f.File}
			if !exists(f.Path) {
				f.Size = -1
			}
		} else if small := s.SmallPath(path); ok && exists(small) {
			f.Small = &File{File: frame.File{Path: small, Stream: f.Stream, Chunk: f.Chunk}}
		}
		files = append(files, f)
	}
	return files
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Handles are the files opened for one run.
type Handles struct {
	mu    sync.Mutex // streams open their chunks at the same time
	files []*os.File
	stats []os.FileInfo
}

// Open returns readers to files of Find or Named, and to their smalldata files if those are wanted.
func (h *Handles) Open(files []*File, smalldata bool) error {
	for _, f := range files {
		if f.Size >= 0 {
			if err := h.open(f); err != nil {
				return err
			}
		}
		if !smalldata && f.IsThere() {
			f.Small = nil
		}
		if f.Small != nil {
			if err := h.open(f.Small); err != nil {
				return err
			}
		}
	}
	return nil
}

// Beside opens another file in the folder of a file, complete or in progress.
func (h *Handles) Beside(f *File, base string) (*File, error) {
	g := &File{File: frame.File{Path: filepath.Join(filepath.Dir(f.Path), base), Stream: f.Stream}}
	if !exists(g.Path) && exists(g.Path+inProgress) {
		g.Path += inProgress
	}
	return g, h.open(g)
}

// CheckRegular refuses what is there but no regular file. To open a pipe would wait for its writer.
func CheckRegular(path string) error {
	st, err := os.Stat(path)
	if err != nil || st.Mode().IsRegular() {
		return nil
	}
	return fault.New(fault.Input, "%q is no regular file but a %s", path, kindOf(st.Mode())).
		WithHint("move it out of the run's folder, or name the files to read with --file")
}

// open opens a file and keeps what it was like.
func (h *Handles) open(f *File) error {
	if err := CheckRegular(f.Path); err != nil {
		return err
	}
	var st os.FileInfo
	r, err := os.Open(f.Path)
	if err == nil {
		if st, err = r.Stat(); err != nil {
			r.Close()
		}
	}
	if err != nil {
		return fault.New(fault.Input, "could not open a raw file: %w", err).
			WithHint("check the path and that you may read it; with --exp and --run the message lists the runs that are there")
	}
	f.R, f.Size, f.ModTime = r, st.Size(), st.ModTime().UTC()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files, h.stats = append(h.files, r), append(h.stats, st)
	return nil
}

// kindOf names what is no regular file.
func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// Close closes all files.
func (h *Handles) Close() {
	for _, f := range h.files {
		f.Close() // only read
	}
}

// Growing waits and lists the files that changed meanwhile. Files untouched for long need no wait.
func (h *Handles) Growing(ctx context.Context, settle time.Duration) ([]string, error) {
	const old = 10 * time.Minute
	h.mu.Lock()
	defer h.mu.Unlock()
	newest := slices.MaxFunc(h.stats, func(a, b os.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	if age := time.Since(newest.ModTime()); age < max(old, settle) {
		select {
		case <-time.After(settle):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var changed []string
	for i, f := range h.files {
		st, err := os.Stat(f.Name())
		if err != nil {
			return nil, fault.New(fault.Input, "a raw file went away while it was indexed: %w", err)
		}
		if st.Size() != h.stats[i].Size() || !st.ModTime().Equal(h.stats[i].ModTime()) {
			changed = append(changed, f.Name())
		}
	}
	slices.Sort(changed)
	return changed, nil
}

// NoConfigure returns the error for a run of which nothing can be read: with what is missing, if that is the
// reason.
func NoConfigure(missing []string, problem error) error {
	if len(missing) > 0 {
		return fault.New(fault.Incomplete, "the run is incomplete, and nothing can be read without what is missing:\n  %s", strings.Join(missing, "\n  ")).
			WithHint("wait for or repair the raw data; later chunks cannot be read without the first one (-c0...) of their stream")
	}
	return fault.New(fault.Input, "could not index the run: %w", problem).
		WithHint("the file is empty, cut in its first datagram, or of another format; if it is still being written or copied give the command again when it is whole")
}

// Counts are observations that repeat, by their text.
type Counts struct {
	mu sync.Mutex
	n  map[string]int
}

// Add counts an observation.
func (c *Counts) Add(format string, args ...any) { c.AddN(1, format, args...) }

// AddN counts an observation n times.
func (c *Counts) AddN(n int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[text] += n
}

// Join adds the observations of another.
func (c *Counts) Join(other *Counts) {
	for text, n := range other.n {
		c.AddN(n, "%s", text)
	}
}

// List returns the texts, ascending, with their numbers.
func (c *Counts) List() []string {
	var out []string
	for text, n := range c.n {
		if n > 1 {
			text = fmt.Sprintf("%s (%d times)", text, n)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}
