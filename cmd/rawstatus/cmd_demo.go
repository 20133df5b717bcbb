package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/simulate"
)

func newDemoCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "the whole way on a simulated run: raw data, bad pixels, deployed constants, and how many were found",
		Description: "Writes about 0.4 GB below DIR, shows each command as a user would type it, and compares what is deployed with what\n" +
			"was planted. A DIR of an earlier demo is replaced. Nothing outside DIR is read or written, whatever is configured.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "work", Usage: "`DIR` for everything that the demo writes", Value: "scratch/demo"}},
		Action: func(c *cli.Context) error {
			return runDemo(c.Context, e, c.String("work"))
		},
	}
}

// The demo's run: three steps, one for each gain mode, so that what is deployed has no plane missing.
const (
	demoExperiment = "tstx00417"
	demoRun        = "7"
	demoSite       = `# The site file of the demo: what a site sets once.
group = ""
data_roots = [%q]
repository = %q
calib_dir = %q
work_root = %q
`
)

// runDemo runs the commands in dir and compares.
func runDemo(ctx context.Context, e *environment, dir string) error {
	if err := clearDemo(dir); err != nil {
		return err
	}
	site := filepath.Join(dir, "site.toml")
	xtc := filepath.Join(dir, "data", "tst", demoExperiment, "xtc")
	if err := os.MkdirAll(xtc, 0o755); err != nil {
		return fmt.Errorf("could not make the demo's directory: %w", err)
	}
	text := fmt.Sprintf(demoSite, filepath.Join(dir, "data"), filepath.Join(dir, "constants"), filepath.Join(dir, "calib"), filepath.Join(dir, "work"))
	if err := os.WriteFile(site, []byte(text), 0o644); err != nil {
		return fmt.Errorf("could not write the demo's site file: %w", err)
	}
	for _, line := range []string{
		"rawstatus simulate --out " + xtc + " -e " + demoExperiment + " -r " + demoRun + " --panels 2 --gain-modes g0,g1,g2 --events 60 --streams 2" +
			" --dead 20 --hot 20 --noisy 20 --saturated 20 --cold 20 --damaged-events 1",
		"rawstatus run --site " + site + " -e " + demoExperiment + " -r " + demoRun + " -d jungfrau --max-lost 2",
		"mergedeploy --site " + site + " -e " + demoExperiment + " -r " + demoRun + " -d jungfrau --dir " + xtc + " --backend calibdir -D",
	} {
		if err := demoCommand(ctx, e, strings.Fields(line)); err != nil {
			return err
		}
	}
	truth, err := simulate.ReadTruth(filepath.Join(xtc, demoExperiment+"-r0007-truth.json"))
	if err != nil {
		return err
	}
	deployed, err := filepath.Glob(filepath.Join(dir, "calib", "*", "*", "status_extra", "*.data"))
	if err != nil || len(deployed) != 1 {
		return fault.New(fault.Unexpected, "the demo wanted one deployed file and found %q", deployed)
	}
	return compareDemo(e.Stdout, truth, deployed[0])
}

// clearDemo removes the directory of an earlier demo, and nothing else.
func clearDemo(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fault.New(fault.Usage, "could not look at --work: %w", err)
	}
	for _, entry := range entries {
		if !slices.Contains([]string{"site.toml", "data", "constants", "calib", "work"}, entry.Name()) {
			return fault.New(fault.Usage, "%q is not of an earlier demo: it holds %q", dir, entry.Name()).WithHint("name a new directory with --work")
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("could not remove the earlier demo: %w", err)
	}
	return nil
}

// demoCommand shows a command and runs it; the programs are those beside this one.
func demoCommand(ctx context.Context, e *environment, words []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("could not find this program's directory: %w", err)
	}
	program := filepath.Join(filepath.Dir(self), words[0])
	if _, err := os.Stat(program); err != nil {
		return fault.New(fault.Usage, "the demo needs %s beside rawstatus: %w", words[0], err).WithHint("make build makes both")
	}
	fmt.Fprintf(e.Stdout, "\n$ %s\n", strings.Join(words, " "))
	cmd := exec.CommandContext(ctx, program, words[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = e.Stdout, e.Stderr, demoEnvironment(os.Environ())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err = cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fault.New(fault.Code(max(1, exit.ExitCode())), "%s ended with %v", words[0], exit)
	}
	return err
}

// demoEnvironment leaves out whatever could lead the demo's commands to places outside its directory: our variables, and
// those of psana and of the calibration service.
func demoEnvironment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return slices.ContainsFunc([]string{"RAWSTATUS_", "SIT_", "LCLS_", "CALIB_"}, func(prefix string) bool { return strings.HasPrefix(entry, prefix) })
	})
}

// compareDemo prints how many of the planted pixels are in the deployed file with their bit. It is an
// error when one is missing, or when a pixel is bad that was not planted.
func compareDemo(w io.Writer, truth *simulate.Truth, path string) error {
	array, err := readDeployed(path, truth)
	if err != nil {
		return err
	}
	modes, panels := truth.Config.GainModes, len(truth.Panels)
	type line struct{ bit, planted, found int }
	kinds, order := map[string]*line{}, []string(nil)
	expected := map[int]bool{}
	for _, p := range truth.Panels {
		for _, planted := range p.Planted {
			k := kinds[planted.Kind]
			if k == nil {
				k = &line{bit: int(planted.Data)}
				kinds[planted.Kind], order = k, append(order, planted.Kind)
			}
			first := (slices.Index(modes, planted.GainMode)*panels + p.Segment) * p.Rows * p.Cols
			for _, pixel := range planted.Pixels {
				expected[first+pixel] = true
				k.planted++
				if array[first+pixel]&planted.Data == planted.Data {
					k.found++
				}
			}
		}
	}
	others := 0
	for i, status := range array {
		if status != 0 && !expected[i] {
			others++
		}
	}
	missed := 0
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\nkind\tbit\tplanted\tfound\t\n")
	for _, name := range order {
		k := kinds[name]
		missed += k.planted - k.found
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t\n", name, k.bit, k.planted, k.found)
	}
	fmt.Fprintf(t, "not planted\t\t0\t%d\t\n", others)
	if err := t.Flush(); err != nil {
		return err
	}
	if missed > 0 || others > 0 {
		return fault.New(fault.Unexpected, "the demo missed %d planted pixels and flagged %d others", missed, others)
	}
	_, err = fmt.Fprintf(w, "\ndeployed: %s\nlook at it:\n  head -20 '%s'\n  python3 -c \"import numpy; a = numpy.loadtxt('%s', dtype='u8').reshape(%d, %d, %d, %d); print((a > 0).sum(axis=(2, 3)))\"\n",
		path, path, path, len(modes), panels, truth.Panels[0].Rows, truth.Panels[0].Cols)
	return err
}

// readDeployed reads a deployed file, which must have the shape of the simulated detector.
func readDeployed(path string, truth *simulate.Truth) ([]uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := truth.Panels[0]
	status, err := calibtxt.ReadStatus(f, info.Size(), path, []int{len(truth.Config.GainModes), len(truth.Panels), p.Rows, p.Cols})
	if err != nil {
		return nil, err
	}
	return status.Values, nil
}
