package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/open"
	"rawstatus/internal/ranges"
	"rawstatus/internal/simulate"
)

// commandsGroup is the group of whole commands.
const commandsGroup = "whole commands, warm"

// commandRun is a simulated dark run of three gain modes that commands are measured on.
type commandRun struct {
	name           string
	panels, events int
	dir            string
	bytes          int64
}

// units returns the number of panels times gain modes.
func (c *commandRun) units() int { return 3 * c.panels }

// usage holds the times of a command.
type usage struct {
	wall, cpu float64 // seconds
	rss       int64   // bytes at most
	faults    int64   // without reading anything
	written   int64   // bytes of files
}

// programs builds the programs and returns the directory that they are in.
func (b *bench) programs() (bin string, err error) {
	if bin, err = filepath.Abs(filepath.Join(b.o.scratch, "bin")); err != nil {
		return "", err
	}
	build := exec.CommandContext(b.ctx, "go", "build", "-o", bin+string(filepath.Separator), "rawstatus/cmd/rawstatus", "rawstatus/cmd/mergedeploy")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("could not build the programs: %w: %s", err, out)
	}
	return bin, nil
}

// wholeCommands measures `run`, `reduce` and `mergedeploy` as users start them, on a run of many panels and on one of
// many events, beside dd of the same files.
func wholeCommands(b *bench) error {
	if b.o.commandEvents == 0 {
		b.say("no --command-events: whole commands are not measured")
		return nil
	}
	bin, err := b.programs()
	if err != nil {
		return err
	}
	for _, r := range []*commandRun{{name: "big", panels: b.o.commandPanels, events: b.o.commandEvents}, {name: "small", panels: 2, events: 5 * b.o.commandEvents}} {
		if err := r.prepare(b); err != nil {
			return err
		}
		if err := r.measure(b, bin); err != nil {
			return fmt.Errorf("%s run: %w", r.name, err)
		}
	}
	return nil
}

// prepare writes the run unless it is there, and brings its pages into the cache.
func (c *commandRun) prepare(b *bench) error {
	c.dir = filepath.Join(b.o.scratch, fmt.Sprintf("commands-%d-%d", c.panels, c.events))
	if err := os.MkdirAll(c.dir, 0o777); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(c.dir, "*-truth.json"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		b.say("writing a run of %d panels, 3 gain modes and %d events to %s", c.panels, c.events, c.dir)
		streams := max(1, c.panels/8)
		if _, err := simulate.Write(b.ctx, simulate.Config{Dir: c.dir, Panels: c.panels, GainModes: []string{"g0", "g1", "g2"}, Events: c.events, Streams: streams, Seed: 1,
			Dead: 5, Hot: 5, Noisy: 5, Saturated: 2}); err != nil {
			return err
		}
	}
	c.bytes = int64(c.units()*c.events) * 2 * pixels
	return c.fresh(b)
}

// fresh drops the pages of the run and reads them again, from one end to the other: how pages were written decides about
// the speed of everything that reads them, dd included.
func (c *commandRun) fresh(b *bench) error {
	files, err := c.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		for _, args := range [][]string{{"if=" + f, "iflag=nocache", "count=0"}, {"if=" + f, "of=/dev/null", "bs=1M"}} {
			if _, err := measured(b.ctx, c.dir, "dd", args...); err != nil {
				return err
			}
		}
	}
	b.say("%s run: its pages were dropped and read again, from one end to the other", c.name)
	return nil
}

// files returns the paths of the run's files.
func (c *commandRun) files() ([]string, error) { return filepath.Glob(filepath.Join(c.dir, "*.xtc2")) }

// dd reads the files of the run from one end to the other.
func (c *commandRun) dd(ctx context.Context) (u usage, err error) {
	files, err := c.files()
	if err != nil {
		return u, err
	}
	for _, f := range files {
		one, err := measured(ctx, c.dir, "dd", "if="+f, "of=/dev/null", "bs=1M")
		if err != nil {
			return u, err
		}
		u.wall, u.cpu = u.wall+one.wall, u.cpu+one.cpu
	}
	return u, nil
}

// measured runs a command in a folder.
func measured(ctx context.Context, dir, name string, args ...string) (u usage, err error) {
	c := exec.CommandContext(ctx, name, args...)
	var complaints bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, io.Discard, &complaints
	begin := time.Now()
	if err := c.Run(); err != nil {
		return u, fmt.Errorf("%s %v: %w: %s", filepath.Base(name), args, err, complaints.String())
	}
	u.wall = time.Since(begin).Seconds()
	u.cpu = (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
	if r, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss, u.faults, u.written = r.Maxrss<<10, r.Minflt, r.Oublock<<9
	}
	return u, nil
}

// measure runs the commands on the run, all once per repetition.
func (c *commandRun) measure(b *bench, bin string) error {
	took := map[string][]usage{}
	var order []string
	one := func(what string, u usage, err error) error {
		if err != nil {
			return err
		}
		if len(took[what]) == 0 {
			order = append(order, what)
		}
		took[what] = append(took[what], u)
		return nil
	}
	for rep := range b.o.reps + 1 { // the first one fills the page cache and does not count
		if rep == 1 {
			clear(took)
			order = nil
		}
		work, err := os.MkdirTemp(b.o.scratch, "command-")
		if err != nil {
			return err
		}
		err = c.once(b, bin, work, one)
		os.RemoveAll(work)
		if err != nil {
			return err
		}
	}
	for _, what := range order {
		var wall, cpu []float64
		for _, u := range took[what] {
			wall, cpu = append(wall, u.wall), append(cpu, u.cpu)
		}
		b.r.add(commandsGroup, c.name+": "+what, c.bytes, 0, wall, cpu)
	}
	c.report(b, took)
	return c.numpy(b, median(cpus(took["run dark"])))
}

// cpus returns the processor times.
func cpus(of []usage) (v []float64) {
	for _, u := range of {
		v = append(v, u.cpu)
	}
	return v
}

// numpy measures the formulation of the whole job in numpy on one unit, beside what a unit takes of the command.
func (c *commandRun) numpy(b *bench, ours float64) error {
	if !b.numpyHere() {
		return nil
	}
	x, err := open.Index(b.ctx, open.Dataset{Dir: c.dir, Experiment: "tstx00417", Runs: ranges.List{{First: 1, Last: 1}}}, open.Options{Settle: 1})
	if err != nil {
		return err
	}
	var offsets []int64
	for e := range c.events {
		offsets = append(offsets, x.Extents[e*len(x.Panels)].Offset)
	}
	took, err := b.numpyOf("job", x.Files[x.Extents[0].File].Path, offsets)
	if err != nil {
		return err
	}
	b.r.value(c.name+": the same in numpy, ms per unit", 1000*took, "ms", "frames of a panel in one gain mode to text of its status, one core")
	b.r.value(c.name+": numpy / run dark", took*float64(c.units())/ours, "times", "processor time")
	return nil
}

// once runs every command once, in a new folder.
func (c *commandRun) once(b *bench, bin, work string, one func(string, usage, error) error) error {
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	if work, err = filepath.Abs(work); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(work, name) }
	run := func(name string, args ...string) (usage, error) {
		return measured(b.ctx, work, filepath.Join(bin, "rawstatus"), append([]string{"run", "--exp", "tstx00417", "--run", "1", "--dir", dir, "--quiet", "--work", in("work-" + name), "-o", in("repo-" + name)}, args...)...)
	}
	if err := npy.Write(in("pedestals.npy"), []int{rows, cols}, make([]float32, pixels)); err != nil {
		return err
	}
	dd, err := c.dd(b.ctx)
	if err := one("dd bs=1M", dd, err); err != nil {
		return err
	}
	for _, p := range []struct {
		what string
		args []string
	}{
		{"run dark", []string{"--profile", "dark"}}, {"run dark, half of the events", []string{"--profile", "dark", "-n", strconv.Itoa(c.events / 2)}},
		{"run data", []string{"--profile", "data"}}, {"run light", []string{"--profile", "light"}}, {"run features", []string{"-F", "1,2,3"}},
		{"run max", []string{"--profile", "max", "--pedestals", in("pedestals.npy")}},
	} {
		u, err := run(p.what, p.args...)
		if err := one(p.what, u, err); err != nil {
			return err
		}
	}
	u, err := measured(b.ctx, work, filepath.Join(bin, "rawstatus"), "reduce", "--work", in("work-run dark"), "-o", in("repo-reduce"), "--quiet")
	if err := one("reduce", u, err); err != nil {
		return err
	}
	u, err = measured(b.ctx, work, filepath.Join(bin, "mergedeploy"), "-e", "tstx00417", "-r", "1", "--dir", dir, "-o", in("repo-reduce"), "-c", in("calib"), "-D", "--quiet")
	return one("mergedeploy -D", u, err)
}

// report says what the commands cost per panel and gain mode.
func (c *commandRun) report(b *bench, took map[string][]usage) {
	units := float64(c.units())
	of := func(what string, value func(u usage) float64) float64 {
		var v []float64
		for _, u := range took[what] {
			v = append(v, value(u))
		}
		return median(v)
	}
	cpu := func(u usage) float64 { return u.cpu }
	for _, what := range []string{"run dark", "run data", "run light", "run features", "run max", "reduce", "mergedeploy -D"} {
		name := c.name + ": " + what
		b.r.value(name+", CPU ms per unit", 1000*of(what, cpu)/units, "ms", "a unit is a panel in a gain mode")
		b.r.value(name+", wall / dd", of(what, func(u usage) float64 { return u.wall })/of("dd bs=1M", func(u usage) float64 { return u.wall }), "times", "")
		b.r.value(name+", memory", of(what, func(u usage) float64 { return float64(u.rss) })/(1<<20), "MiB", "resident at most")
		b.r.value(name+", minor faults per unit", of(what, func(u usage) float64 { return float64(u.faults) })/units, "", "")
		b.r.value(name+", written per unit", of(what, func(u usage) float64 { return float64(u.written) })/units/1e6, "MB", "to files, with those that are removed")
	}
	fixed := 2*of("run dark, half of the events", cpu) - of("run dark", cpu)
	b.r.value(c.name+": run dark, fixed CPU ms per unit", 1000*fixed/units, "ms", "of two lengths: what does not grow with the events")
	b.r.value(c.name+": run dark, CPU seconds", of("run dark", cpu), "s", "")
}
