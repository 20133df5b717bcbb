package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"rawstatus/internal/testenv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the conditions of a measurement.
type options struct {
	size  int64 // bytes of the simulated run
	ram   int   // frames in memory for the kernels
	numpy int64 // bytes that numpy gets
	reps  int   // repetitions
	// commandPanels and commandEvents are the size of the run that whole commands are measured on; 0 events: they are
	// not.
	commandPanels, commandEvents int
	scratch                      string // folder of the simulated run
	json                         string // file for results
	python                       string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil:
		return 0
	case err == flag.ErrHelp:
		return 0
	default:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "compare" {
		if len(args) != 3 {
			return fmt.Errorf("compare needs two files of results: bench compare OLD.json NEW.json")
		}
		return compare(stdout, args[1], args[2])
	}
	if len(args) > 0 && args[0] == "footprint" {
		return childFootprint(ctx, args[1:], stdout)
	}
	if len(args) > 0 && args[0] == "run" {
		args = args[1:]
	}
	// The programs that are measured must not write where a user's shell leads to: logs, constants, a database.
	testenv.CleanShell()
	if err := os.Setenv("RAWSTATUS_SITE", ""); err != nil {
		return err
	}
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	size := f.String("size", "8GiB", "size of the simulated run (KiB, MiB, GiB)")
	numpy := f.String("numpy", "256MiB", "how much of it numpy gets")
	f.IntVar(&o.ram, "ram", 1000, "frames of 512 x 1024 in memory for the kernels")
	f.IntVar(&o.reps, "reps", 5, "repetitions")
	f.IntVar(&o.commandPanels, "command-panels", 32, "panels of the run for whole commands")
	f.IntVar(&o.commandEvents, "command-events", 60, "events of each of its three gain modes; a run of two panels has five times as many; 0: neither commands nor a dark run are measured")
	f.StringVar(&o.scratch, "scratch", "scratch/bench", "folder of the simulated run, made when missing and kept")
	f.StringVar(&o.json, "json", "", "write results to this file, too; make bench: scratch/bench/results.json")
	f.StringVar(&o.python, "python", os.Getenv("RAWSTATUS_PYTHON"), "Python with numpy; default RAWSTATUS_PYTHON, then /usr/bin/python3")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("what is %q? Only run and compare are commands", f.Arg(0))
	}
	if o.python == "" {
		o.python = "/usr/bin/python3"
	}
	var err error
	if o.size, err = bytesOf(*size); err != nil {
		return err
	}
	if o.numpy, err = bytesOf(*numpy); err != nil {
		return err
	}
	if o.reps < 1 || o.ram < 64 {
		return fmt.Errorf("at least 1 repetition and 64 frames in memory are needed")
	}
	defer collectLate(2 << 30)()
	return measureAll(ctx, o, stdout, stderr)
}

// collectLate makes the collector wait until that much memory is in use, as it does in a task.
func collectLate(bytes int64) (restore func()) {
	limit, percent := debug.SetMemoryLimit(bytes), debug.SetGCPercent(-1)
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}

// bytesOf reads a size such as 256MiB.
func bytesOf(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGiB")
	unit, ok := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[s[len(number):]]
	n, err := strconv.ParseInt(number, 10, 40)
	if err != nil || !ok || n <= 0 {
		return 0, fmt.Errorf("%q is no size; examples: 256MiB, 8GiB", s)
	}
	return n * unit, nil
}

// measureAll runs all groups of measurements and prints what came out.
func measureAll(ctx context.Context, o options, stdout, stderr io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(stderr, "bench: "+format+"\n", args...) }
	d, err := prepare(ctx, o, say)
	if err != nil {
		return err
	}
	defer d.close()
	r := &results{Machine: machine(o.scratch), Options: optionsJSON{o.size, o.ram, o.numpy, o.reps}}
	b := &bench{ctx: ctx, o: o, d: d, r: r, say: say}
	for _, g := range []struct {
		name string
		run  func(*bench) error
	}{
		{"kernels", kernels}, {"end to end", endToEnd}, {"feature 6", featureSix}, {"products", darkProducts}, {"dark chain", darkChain}, {"charge injection", chargeInjection}, {"scaling", scaling},
		{"memory", memory}, {"simulated stores", stores}, {"cold", cold}, {"whole commands", wholeCommands},
	} {
		say("%s", g.name)
		if err := g.run(b); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	r.judge()
	r.print(stdout)
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.json), 0o777); err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o666)
}
