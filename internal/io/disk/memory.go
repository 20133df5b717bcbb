package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"rawstatus/internal/fault"
)

// Memory is a file system in memory, and one process that works on it. What it makes has no modes.
type Memory struct {
	*shared
	base Disk // read where this one has nothing; nil: none
	// Fault, when set, is called before each primitive (create, write, sync, rename, truncate, remove,
	// mkdir, lock) and makes it fail. A failing write leaves half of its bytes.
	Fault func(primitive, path string) error
}

// shared is the part of the disk that all processes see.
type shared struct {
	mu     sync.Mutex
	names  map[string]*content // nil content: removed here, whatever base has
	dirs   map[string]bool
	locked map[string]*Memory
	undo   []undo // of changes of names that no sync has made durable, oldest first
	serial int
}

// undo takes a change of a name in a directory back.
type undo struct {
	dir string
	do  func()
}

type content struct {
	data   []byte
	synced int // bytes that survive a power cut
}

var _ Disk = (*Memory)(nil)

// NewMemory returns an empty file system over another one, which is read and never written. base may be nil.
func NewMemory(base Disk) *Memory {
	return &Memory{shared: &shared{names: map[string]*content{}, dirs: map[string]bool{}, locked: map[string]*Memory{}}, base: base}
}

// Process returns another process on the same files.
func (m *Memory) Process(fault func(primitive, path string) error) *Memory {
	return &Memory{shared: m.shared, base: m.base, Fault: fault}
}

// Die ends the process: its locks are free.
func (m *Memory) Die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for dir, holder := range m.locked {
		if holder == m {
			delete(m.locked, dir)
		}
	}
}

// PowerCut takes back what was not made durable, as far as the random numbers have it.
func (m *Memory) PowerCut(r *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep := r.IntN(len(m.undo) + 1) // changes of names reach the disk in their order
	for _, u := range slices.Backward(m.undo[keep:]) {
		u.do()
	}
	m.undo = nil
	for _, name := range m.sorted() {
		if c := m.names[name]; c != nil && c.synced < len(c.data) {
			c.data = c.data[:c.synced+r.IntN(len(c.data)-c.synced+1)]
			c.synced = len(c.data)
		}
	}
}

func (m *Memory) sorted() []string {
	names := make([]string, 0, len(m.names))
	for n := range m.names {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (m *Memory) at(primitive, name string) error {
	if m.Fault != nil {
		return m.Fault(primitive, name)
	}
	return nil
}

func missing(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// set changes a name; the change is not durable yet.
func (m *Memory) set(name string, c *content) {
	old, had := m.names[name]
	m.names[name] = c
	m.undo = append(m.undo, undo{path.Dir(name), func() {
		if had {
			m.names[name] = old
		} else {
			delete(m.names, name)
		}
	}})
}

// List implements Disk.
func (m *Memory) List(dir string) ([]Entry, error) {
	kinds := map[string]fs.FileMode{}
	there := false
	if m.base != nil {
		entries, err := m.base.List(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		there = err == nil
		for _, e := range entries {
			kinds[e.Name] = e.Kind
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	there = there || m.dirs[dir]
	for name, c := range m.names {
		if path.Dir(name) != dir {
			continue
		}
		if c == nil {
			delete(kinds, path.Base(name))
		} else {
			kinds[path.Base(name)] = 0
		}
	}
	for name := range m.dirs {
		if path.Dir(name) == dir && name != dir {
			kinds[path.Base(name)] = fs.ModeDir
		}
	}
	if !there {
		return nil, missing("list", dir)
	}
	entries := make([]Entry, 0, len(kinds))
	for name, kind := range kinds {
		entries = append(entries, Entry{name, kind})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Kind implements Disk.
func (m *Memory) Kind(name string) (fs.FileMode, error) {
	m.mu.Lock()
	c, known := m.names[name]
	isDir := m.dirs[name]
	m.mu.Unlock()
	switch {
	case isDir:
		return fs.ModeDir, nil
	case c != nil:
		return 0, nil
	case known || m.base == nil:
		return 0, missing("stat", name)
	}
	return m.base.Kind(name)
}

type memoryFile struct{ *bytes.Reader }

// Size implements File.
func (f memoryFile) Size() int64 { return f.Reader.Size() }

// Close implements io.Closer.
func (memoryFile) Close() error { return nil }

// Open implements Disk.
func (m *Memory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, known := m.names[name]
	switch {
	case c != nil:
		return memoryFile{bytes.NewReader(c.data)}, nil
	case known || m.base == nil:
		return nil, missing("open", name)
	}
	return m.base.Open(name)
}

// Follow implements Disk.
func (m *Memory) Follow(name string) (File, error) {
	m.mu.Lock()
	_, known := m.names[name]
	m.mu.Unlock()
	if !known && m.base != nil {
		return m.base.Follow(name)
	}
	return m.Open(name)
}

// Replace implements Disk.
func (m *Memory) Replace(name string, _ bool, write func(io.Writer) error, check func(File) error) error {
	if _, err := m.List(path.Dir(name)); err != nil {
		return err
	}
	if err := m.at("create", name); err != nil {
		return err
	}
	m.mu.Lock()
	m.serial++
	tmp := path.Join(path.Dir(name), fmt.Sprintf(".%s.tmp-%016x", path.Base(name), m.serial))
	c := &content{}
	m.set(tmp, c)
	m.mu.Unlock()
	fail := func(err error) error {
		if !errors.Is(err, ErrKilled) { // a process that is gone cleans nothing
			m.mu.Lock()
			delete(m.names, tmp)
			m.mu.Unlock()
		}
		return fmt.Errorf("could not write %q: %w", name, err)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fail(err)
	}
	if err := m.at("write", name); err != nil {
		c.data = b.Bytes()[:b.Len()/2]
		return fail(err)
	}
	c.data = b.Bytes()
	if check != nil {
		if err := check(memoryFile{bytes.NewReader(c.data)}); err != nil {
			return fail(err)
		}
	}
	if err := m.at("sync", name); err != nil {
		return fail(err)
	}
	c.synced = len(c.data)
	if err := m.at("rename", name); err != nil {
		return fail(err)
	}
	m.mu.Lock()
	delete(m.names, tmp)
	m.set(name, c)
	m.mu.Unlock()
	return m.syncNames(path.Dir(name))
}

// Sync implements Disk.
func (m *Memory) Sync(name string) error {
	m.mu.Lock()
	c := m.names[name]
	m.mu.Unlock()
	if c == nil {
		return m.syncNames(name)
	}
	if err := m.at("sync", name); err != nil {
		return err
	}
	c.synced = len(c.data)
	return nil
}

// syncNames makes the changes of names in a directory durable.
func (m *Memory) syncNames(dir string) error {
	if err := m.at("sync", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.undo = slices.DeleteFunc(m.undo, func(u undo) bool { return u.dir == dir })
	return nil
}

// Extend implements Disk.
func (m *Memory) Extend(name string, size int64, text []byte) error {
	if err := m.at("truncate", name); err != nil {
		return err
	}
	old, err := ReadFile(m, name)
	made := errors.Is(err, fs.ErrNotExist)
	if err != nil && !made {
		return err
	}
	if size < 0 {
		size = int64(len(old))
	}
	if int64(len(old)) < size {
		return fmt.Errorf("%q has %d bytes, not %d", name, len(old), size)
	}
	m.mu.Lock()
	c := m.names[name]
	if c == nil {
		c = &content{}
		m.set(name, c)
	}
	c.data = slices.Clone(old[:size])
	c.synced = min(max(c.synced, 0), int(size))
	if !made && c.synced == 0 {
		c.synced = int(size)
	}
	m.mu.Unlock()
	if err := m.at("write", name); err != nil {
		c.data = append(c.data, text[:len(text)/2]...)
		return err
	}
	c.data = append(c.data, text...)
	if err := m.at("sync", name); err != nil {
		return err
	}
	c.synced = len(c.data)
	return m.syncNames(path.Dir(name))
}

// Remove implements Disk.
func (m *Memory) Remove(name string) error {
	if _, err := m.Kind(name); err != nil {
		return err
	}
	if err := m.at("remove", name); err != nil {
		return err
	}
	m.mu.Lock()
	for _, n := range m.sorted() {
		if n == name || strings.HasPrefix(n, name+"/") {
			m.set(n, nil)
		}
	}
	for dir := range m.dirs {
		if dir == name || strings.HasPrefix(dir, name+"/") {
			delete(m.dirs, dir)
		}
	}
	if m.names[name] == nil && !m.dirs[name] {
		m.set(name, nil)
	}
	m.mu.Unlock()
	return m.syncNames(path.Dir(name))
}

// Make implements Disk.
func (m *Memory) Make(dir string) error {
	if err := m.at("mkdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; dir != path.Dir(dir); dir = path.Dir(dir) {
		m.dirs[dir] = true
	}
	return nil
}

// Lock implements Disk. It waits for nobody when wait is 0.
func (m *Memory) Lock(ctx context.Context, dir string, wait time.Duration) (func(), error) {
	if err := m.at("lock", dir); err != nil {
		return nil, err
	}
	for end := time.Now().Add(wait); ; {
		m.mu.Lock()
		if m.locked[dir] == nil {
			m.locked[dir] = m
			m.mu.Unlock()
			return func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				if m.locked[dir] == m {
					delete(m.locked, dir)
				}
			}, nil
		}
		m.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !time.Now().Before(end) {
			return nil, fault.New(fault.Busy, "%q has been locked for more than %s", dir, wait)
		}
		time.Sleep(time.Millisecond)
	}
}

// Sweep implements Disk.
func (m *Memory) Sweep(dir string) (removed int, err error) {
	entries, err := m.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, ".") && strings.Contains(e.Name, ".tmp-") && e.Kind == 0 {
			m.mu.Lock()
			delete(m.names, path.Join(dir, e.Name))
			m.mu.Unlock()
			removed++
		}
	}
	return removed, err
}

// ErrKilled is the error of every primitive of a process that was killed: nothing is cleaned up after it.
var ErrKilled = errors.New("the process was killed")
