package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/io/xtc2"
)

// Names of the simulated stores.
const (
	storeGroup = "simulated store: 0.5 ms latency, 8 GB/s"
	readsGroup = "simulated store: 4000 reads a second, 8 GB/s"
)

// slowStore has files of the page cache as a distant store would: an answer comes after the latency plus its turn on
// a line of limited rate, and its turn among reads of which a limited number is answered in a second.
type slowStore struct {
	latency time.Duration
	rate    float64 // bytes per second
	reads   float64 // answers per second, 0: no limit
	mu      sync.Mutex
	free    time.Time // when the line is free
	turn    time.Time // when the next read is answered
	count   int       // reads so far
	mem     map[string][]byte
}

// answer returns the time at which n bytes asked for now are there.
func (s *slowStore) answer(n int) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(time.Duration(float64(n) / s.rate * 1e9))
	s.count++
	at := s.free
	if s.reads > 0 {
		if s.turn.Before(now) {
			s.turn = now
		}
		s.turn = s.turn.Add(time.Duration(1e9 / s.reads))
		if s.turn.After(at) {
			at = s.turn
		}
	}
	return at.Add(s.latency)
}

// sleepUntil sleeps on the thread: time.Sleep takes a millisecond more.
func sleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&ts, nil) // interrupted: the loop goes on
	}
}

// slowFile is a file of the store, in memory: mapped, and copied from there as a network card would.
type slowFile struct {
	*os.File
	store *slowStore
	mem   []byte
}

// fill maps files for all times, so that the cost of mapping is not taken for one of the store.
func (s *slowStore) fill(paths []string) error {
	for _, path := range paths {
		if s.mem[path] != nil {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		st, err := f.Stat()
		if err == nil {
			s.mem[path], err = unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (s *slowStore) open(path string) (sweep.Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return slowFile{f, s, s.mem[path]}, nil
}

// ReadAt implements sweep.Reader.
func (f slowFile) ReadAt(b []byte, off int64) (n int, err error) {
	until := f.store.answer(len(b))
	if f.mem != nil {
		n = int(max(0, min(int64(len(b)), int64(len(f.mem))-off)))
		transfer(b[:n], f.mem[off:][:n])
		if n < len(b) {
			err = io.EOF
		}
	} else {
		n, err = f.File.ReadAt(b, off)
	}
	sleepUntil(until)
	return n, err
}

// stores times the dark profile and indexing on the simulated stores, with all cores.
func stores(b *bench) error {
	mem := map[string][]byte{}
	for _, s := range []struct {
		group, share string
		store        *slowStore
	}{
		{storeGroup, "indexing share", &slowStore{latency: 500 * time.Microsecond, rate: 8e9, mem: mem}},
		{readsGroup, "indexing share, 4000 reads a second", &slowStore{rate: 8e9, reads: 4000, mem: mem}},
	} {
		if err := s.store.time(b, s.group, s.share); err != nil {
			return err
		}
	}
	for _, m := range mem {
		_ = unix.Munmap(m)
	}
	return nil
}

// time times one store.
func (s *slowStore) time(b *bench, group, share string) error {
	var paths []string
	for _, f := range b.d.index.Files {
		paths = append(paths, f.Path)
	}
	ready := func() error {
		if err := b.d.warm(); err != nil {
			return err
		}
		return s.fill(paths)
	}
	var indexing, counting []float64
	var reads [2]int
	err := b.group(group, b.o.reps, []variant{
		{name: "the store's rate", bytes: b.d.bytes, clock: func() (float64, error) { return float64(b.d.bytes) / s.rate, nil }},
		{name: "dark from the store", bytes: b.d.bytes, before: ready, clock: func() (float64, error) {
			s.count = 0
			begin := time.Now()
			if err := s.index(b); err != nil {
				return 0, err
			}
			indexed := time.Now()
			reads[0] = s.count
			o := b.d.options()
			o.Open = s.open
			src, err := sweep.Open(b.d.index.Files, "", o)
			if err != nil {
				return 0, err
			}
			defer src.Close()
			err = takeAll(b.ctx, src, b.d.lanes, "dark")
			reads[1] = s.count - reads[0]
			indexing = append(indexing, indexed.Sub(begin).Seconds())
			counting = append(counting, time.Since(indexed).Seconds())
			return counting[len(counting)-1], err
		}},
	})
	if err != nil {
		return err
	}
	got := median(indexing) / (median(indexing) + median(counting))
	b.r.value(share, got, "", fmt.Sprintf("%.1f ms and %d reads for %d events from smalldata, of all time; %d reads for the pixels",
		1e3*median(indexing), reads[0], len(b.d.index.Events), reads[1]))
	return nil
}

// index indexes the run through the store.
func (s *slowStore) index(b *bench) error {
	var files []sweep.Reader
	defer func() {
		for _, f := range files {
			_ = f.Close() // only read
		}
	}()
	open := func(f *xtc2.File) error {
		r, err := s.open(f.Path)
		if err != nil {
			return err
		}
		files = append(files, r)
		st, err := r.Stat()
		if err == nil {
			f.Size, f.ModTime, f.R = st.Size(), st.ModTime(), r.(slowFile)
		}
		return err
	}
	run := b.d.index.Run
	found, err := xtc2.FileNames.Find(b.d.dir, run.Experiment, run.Number, nil)
	for _, f := range found {
		if err == nil {
			err = open(f)
		}
		if err == nil && f.Small != nil {
			err = open(f.Small)
		}
	}
	if err != nil {
		return err
	}
	x, err := xtc2.BuildIndex(b.ctx, rawrun.Request{Files: found, Experiment: run.Experiment, Run: run.Number}, rawrun.Options{})
	if err == nil && len(x.Events) != len(b.d.index.Events) {
		err = fmt.Errorf("%d events from the store, %d otherwise", len(x.Events), len(b.d.index.Events))
	}
	return err
}
