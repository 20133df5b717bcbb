package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
)

// scaling times run lengths and numbers of tasks.
func scaling(b *bench) error {
	const many = 20000
	var list []variant
	reps := 2*b.o.reps - 1
	for _, n := range []int{1000, 5000, many, 100000} {
		if n > 1000 && sizeOf(b.d.small(n, 0)) > 4*b.d.bytes {
			continue // frames repeat: more often than that they would come from the cache
		}
		// Short runs are as many as have the frames of one of 20 000, and the same frames: parts of a file lie
		// in larger or smaller pages. Each repetition begins elsewhere.
		runs := make([][]sweep.Lane, max(1, many/n))
		rep := 0
		list = append(list, variant{name: fmt.Sprintf("%d frames", n), bytes: int64(len(runs)) * sizeOf(b.d.small(n, 0)), cores: 1, before: func() error {
			for i := range runs {
				runs[i] = b.d.small(n, rep*len(b.d.index.Events)/reps+i*n/smallPerEvent)
			}
			rep++
			return b.d.warm()
		}, run: func() error {
			for _, lanes := range runs {
				if err := b.profile(lanes, sweep.Cached, "data"); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	const group = "data, 128 x 512 pixels, one core, by run length"
	if err := b.group(group, reps, list); err != nil {
		return err
	}
	if r, ok := b.r.ratio(group, "20000 frames", "1000 frames"); ok {
		b.r.value("frames 20000 / 1000 deviation", math.Abs(1/r-1), "", "of the cost of a frame")
	}
	list = nil
	for n := 1; n <= runtime.NumCPU(); n *= 2 {
		list = append(list, variant{name: fmt.Sprintf("%d tasks of one worker", n), bytes: b.d.bytes, cores: n, before: b.d.warm,
			run: func() error { return b.tasks(n) }})
	}
	return b.group("dark, by number of tasks", b.o.reps, list)
}

// tasks has n tasks share the frames of the run, each with a source of its own.
func (b *bench) tasks(n int) error {
	g, ctx := fault.WithContext(b.ctx)
	for t := range n {
		lanes := append([]sweep.Lane(nil), b.d.lanes...)
		for i := range lanes {
			x := lanes[i].Extents
			lanes[i].Extents = x[t*len(x)/n : (t+1)*len(x)/n]
		}
		g.Go(func() error {
			src, err := sweep.Open(b.d.index.Files, "", b.d.options())
			if err != nil {
				return err
			}
			defer src.Close()
			return takeAll(ctx, src, lanes, "dark")
		})
	}
	return g.Wait()
}

// footprint is a child process's report of its memory.
type footprint struct {
	Accumulators, Anonymous int64 // as planned, at most
}

// memory runs the dark profile in processes of their own and compares their memory with the plan.
func memory(b *bench) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	worst := 0.
	for _, way := range sweep.Ways {
		c := exec.CommandContext(b.ctx, exe, "footprint", way, b.o.scratch, fmt.Sprint(b.o.size))
		c.Env = append(os.Environ(), childMark+"=1")
		var out, complaints bytes.Buffer
		c.Stdout, c.Stderr = &out, &complaints
		if err := c.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, complaints.String())
		}
		var f footprint
		if err := json.Unmarshal(out.Bytes(), &f); err != nil {
			return err
		}
		beyond := float64(f.Anonymous-plan.ArenaBytes-f.Accumulators) / (1 << 20)
		worst = max(worst, beyond)
		b.r.value("memory of dark, "+way, float64(f.Anonymous)/(1<<20), "MiB", fmt.Sprintf("planned %d arena + %d accumulators", plan.ArenaBytes>>20, f.Accumulators>>20))
	}
	b.r.value("memory beyond plan", worst, "MiB", "anonymous memory beyond arena and accumulators")
	return nil
}

// planPerPixel is the memory that a plan counts for the accumulators of a pixel and the planes made from them.
const planPerPixel = 96

// childMark makes the test binary know that it is the process that memory starts.
const childMark = "RAWSTATUS_BENCH_FOOTPRINT"

// childFootprint runs the process that memory starts.
func childFootprint(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("footprint is for the program itself")
	}
	size, err := bytesOf(args[2])
	if err != nil {
		return err
	}
	d, err := prepare(ctx, options{size: size, ram: 0, scratch: args[1]}, func(string, ...any) {})
	if err != nil {
		return err
	}
	src, err := sweep.Open(d.index.Files, args[0], d.options())
	if err != nil {
		return err
	}
	defer src.Close()
	var f footprint
	f.Accumulators = planPerPixel * panels * pixels
	defer collectLate(f.Accumulators + 64<<20)()
	done := make(chan error, 1)
	go func() { done <- takeAll(ctx, src, d.lanes, "dark") }()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		f.Anonymous = max(f.Anonymous, kib("RssAnon"))
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			return json.NewEncoder(stdout).Encode(f)
		case <-tick.C:
		}
	}
}
