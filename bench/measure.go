package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"gonum.org/v1/gonum/stat"
)

// bench is the state that groups of measurements share.
type bench struct {
	ctx context.Context
	o   options
	d   *data
	r   *results
	say func(format string, args ...any)
}

// variant is one of several things that are timed side by side.
type variant struct {
	name   string
	bytes  int64        // of raw input that it goes through in one repetition
	cores  int          // it may use
	before func() error // not timed; nil for nothing
	run    func() error
	clock  func() (seconds float64, err error) // instead of run, for what times itself
}

// group times variants: all once per repetition, one after the other.
func (b *bench) group(name string, reps int, variants []variant) error {
	times, busy := make([][]float64, len(variants)), make([][]float64, len(variants))
	for rep := range reps {
		for i, v := range variants {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			if v.before != nil {
				if err := v.before(); err != nil {
					return fmt.Errorf("%s: %w", v.name, err)
				}
			}
			restore, err := onCores(v.cores)
			if err != nil {
				return err
			}
			took, used, err := v.time()
			restore()
			if err != nil {
				return fmt.Errorf("%s, repetition %d: %w", v.name, rep, err)
			}
			times[i], busy[i] = append(times[i], took), append(busy[i], used)
		}
	}
	for i, v := range variants {
		b.r.add(name, v.name, v.bytes, v.cores, times[i], busy[i])
	}
	return nil
}

// time runs a variant once: seconds of wall and of processor time.
func (v *variant) time() (took, used float64, err error) {
	if v.clock != nil {
		busy := cpuSeconds()
		took, err = v.clock()
		return took, cpuSeconds() - busy, err
	}
	runtime.GC()
	// The work of the collector after it in the background is not the variant's, nor is the millisecond that a
	// core which has slept takes to run at full speed.
	for t := time.Now(); time.Since(t) < 5*time.Millisecond; {
		runtime.Gosched()
	}
	busy, begin := cpuSeconds(), time.Now()
	err = v.run()
	return time.Since(begin).Seconds(), cpuSeconds() - busy, err
}

// cpuSeconds returns the processor time of this process and of its children that have ended.
func cpuSeconds() (sum float64) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
		}
	}
	return sum
}

// onCores confines the process to so many of its processors; 0 is no limit.
func onCores(n int) (restore func(), err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, err
	}
	if n == 0 || n >= all.Count() {
		return func() {}, nil
	}
	var some unix.CPUSet
	for cpu := 0; some.Count() < n; cpu++ {
		if all.IsSet(cpu) {
			some.Set(cpu)
		}
	}
	setAffinity(&some)
	procs := runtime.GOMAXPROCS(n)
	return func() {
		setAffinity(&all)
		runtime.GOMAXPROCS(procs)
	}, nil
}

// setAffinity sets it for all threads there are; later ones inherit it.
func setAffinity(set *unix.CPUSet) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.SchedSetaffinity(tid, set) // a thread may have ended meanwhile
		}
	}
}

// median returns the median of at least one value, of two in the middle the lower one.
func median(v []float64) float64 {
	return stat.Quantile(0.5, stat.Empirical, slices.Sorted(slices.Values(v)), nil)
}
