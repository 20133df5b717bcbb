package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/pages"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
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
work_root = %q

# The calibration database of the demo: mergedeploy serve, while the demo runs.
[calibws]
read_url = %[4]q
write_url = %[4]q
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
	url, stop, err := serveDemo(ctx, filepath.Join(dir, "database"))
	if err != nil {
		return err
	}
	defer stop()
	text := fmt.Sprintf(demoSite, filepath.Join(dir, "data"), filepath.Join(dir, "constants"), filepath.Join(dir, "work"), url)
	if err := os.WriteFile(site, []byte(text), 0o644); err != nil {
		return fmt.Errorf("could not write the demo's site file: %w", err)
	}
	for _, line := range []string{
		"rawstatus simulate --out " + xtc + " -e " + demoExperiment + " -r " + demoRun + " --panels 2 --gain-modes g0,g1,g2 --events 60 --streams 2" +
			" --dead 20 --hot 20 --noisy 20 --saturated 20 --cold 20 --stuck 30 --flickering 30 --noisy-columns 2 --wrong-gain 20 --weak 30 --damaged-events 1",
		"rawstatus run --site " + site + " -e " + demoExperiment + " -r " + demoRun + " -d jungfrau --max-lost 2 --report",
		"mergedeploy --site " + site + " -e " + demoExperiment + " -r " + demoRun + " -d jungfrau --dir " + xtc + " -D",
		"mergedeploy show --site " + site + " -e " + demoExperiment + " -r " + demoRun + " -d jungfrau",
	} {
		if err := demoCommand(ctx, e, strings.Fields(line)); err != nil {
			return err
		}
	}
	truth, err := simulate.ReadTruth(filepath.Join(xtc, demoExperiment+"-r0007-truth.json"))
	if err != nil {
		return err
	}
	item, array, err := readDeployed(ctx, url, truth)
	if err != nil {
		return err
	}
	plans, err := filepath.Glob(filepath.Join(dir, "work", "*", "plan.json"))
	if err != nil || len(plans) != 1 {
		return fault.New(fault.Unexpected, "the demo wanted one work directory and found %q", plans)
	}
	work := filepath.Dir(plans[0])
	robust, err := robustDemo(ctx, work, truth)
	if err != nil {
		return err
	}
	if err := compareDemo(e.Stdout, truth, array, robust); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.Stdout, "\ndeployed and read back: document %s of the calibration database in %s\nlook at it as psana2 does:\n"+
		"  mergedeploy serve --root %s\nreport, to be opened in a browser: %s\n", item, filepath.Join(dir, "database"), filepath.Join(dir, "database"), pages.File(work))
	return err
}

// serveDemo serves a calibration database of its own below a directory until stop is called.
func serveDemo(ctx context.Context, root string) (url string, stop func(), err error) {
	files := disk.Files{Policy: &access.Policy{DirMode: 0o2775, FileMode: 0o664}}
	if err := files.Make(root); err != nil {
		return "", nil, fmt.Errorf("could not make the demo's database: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("could not serve the demo's database: %w", err)
	}
	const largest = 1 << 30 // bytes of an array
	s := &calibserve.Server{Root: root, Disk: files, Writable: true, MaxData: largest}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	fault.Start(func() error { return s.Serve(ctx, l) }, func(error) { close(ended) }) // an error shows in the requests
	return "http://" + l.Addr().String() + "/calib_ws/", func() { cancel(); <-ended }, nil
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
		if !slices.Contains([]string{"site.toml", "data", "constants", "database", "work"}, entry.Name()) {
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

// robustDemo judges the demo's run by robust limits per chip, and returns the words in the order of the deployed
// array.
func robustDemo(ctx context.Context, work string, truth *simulate.Truth) ([]uint64, error) {
	p, err := plan.Load(work)
	if err != nil {
		return nil, err
	}
	rules := p.Params.Rules
	rules.Limits, rules.LimitsPer = "robust", "asic"
	q, err := p.WithRules(rules)
	if err != nil {
		return nil, err
	}
	var words []uint64
	err = reduce.ViewBy(ctx, work, p, q, func(g *reduce.Group, panels []*reduce.Judged) error {
		for _, j := range panels {
			words = append(words, j.Bad.Dense()...)
		}
		return nil
	})
	if n := len(truth.Config.GainModes) * len(truth.Panels) * truth.Panels[0].Rows * truth.Panels[0].Cols; err == nil && len(words) != n {
		return nil, fault.New(fault.Unexpected, "the demo wanted %s and has %d", fault.Count(n, "pixel"), len(words))
	}
	return words, err
}

// demoLine counts the planted pixels of one kind.
type demoLine struct {
	bit                    int
	hard                   bool
	planted, found, robust int
}

// compareDemo prints how many of the planted pixels are bad in the deployed array, and how many robust limits
// would have found. It is an error when an easy one is missing, or when a pixel is bad that was not planted.
func compareDemo(w io.Writer, truth *simulate.Truth, array, robust []uint64) error {
	modes, panels := truth.Config.GainModes, len(truth.Panels)
	kinds, order := map[string]*demoLine{}, []string(nil)
	expected := map[int]bool{}
	for _, p := range truth.Panels {
		for _, planted := range p.Planted {
			k := kinds[planted.Kind]
			if k == nil {
				k = &demoLine{bit: int(planted.Data), hard: planted.Hard}
				kinds[planted.Kind], order = k, append(order, planted.Kind)
			}
			first := (slices.Index(modes, planted.GainMode)*panels + p.Segment) * p.Rows * p.Cols
			for _, pixel := range planted.Pixels {
				expected[first+pixel] = true
				k.planted++
				if array[first+pixel]&planted.Data == planted.Data {
					k.found++
				}
				if robust[first+pixel]&planted.Data == planted.Data {
					k.robust++
				}
			}
		}
	}
	var others demoLine
	for i, status := range array {
		if status != 0 && !expected[i] {
			others.found++
		}
		if robust[i] != 0 && !expected[i] {
			others.robust++
		}
	}
	return printDemo(w, kinds, order, others)
}

func printDemo(w io.Writer, kinds map[string]*demoLine, order []string, others demoLine) error {
	missed, hard := 0, demoLine{}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\nkind\tbit\tplanted\tfound\trobust limits\t\n")
	for _, name := range order {
		k := kinds[name]
		if k.hard {
			hard.planted, hard.found, hard.robust = hard.planted+k.planted, hard.found+k.found, hard.robust+k.robust
		} else {
			missed += k.planted - k.found
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t\n", name, k.bit, k.planted, k.found, k.robust)
	}
	fmt.Fprintf(t, "not planted\t\t0\t%d\t%d\t\n", others.found, others.robust)
	if err := t.Flush(); err != nil {
		return err
	}
	if missed > 0 || others.found > 0 {
		return fault.New(fault.Unexpected, "the demo missed %s and flagged %d others", fault.Count(missed, "planted pixel"), others.found)
	}
	_, err := fmt.Fprintf(w, "\nOf %d hard pixels the default limits, which are the original's, find %d; robust limits per chip find %d (--limits robust --limits-per asic).\n",
		hard.planted, hard.found, hard.robust)
	return err
}

// readDeployed reads the array that analysis finds for the run, which must have the shape of the simulated
// detector.
func readDeployed(ctx context.Context, url string, truth *simulate.Truth) (item string, values []uint64, err error) {
	words := []string{strings.ToLower(truth.Config.Type)}
	for _, p := range truth.Panels {
		words = append(words, p.ID)
	}
	run, err := strconv.Atoi(demoRun)
	if err != nil {
		return "", nil, err
	}
	store := &calibws.Store{Client: &calibws.Client{ReadURL: url, WriteURL: url}, Experiment: demoExperiment, DetName: "jungfrau", DetType: words[0],
		LongName: strings.Join(words, "_"), CType: "status_extra"}
	found, _, err := store.Destination().Find(ctx, run)
	if err != nil {
		return "", nil, err
	}
	if found == nil {
		return "", nil, fault.New(fault.Unexpected, "the demo finds nothing for run %d in its database", run)
	}
	array, _, err := store.Read(ctx, *found)
	if err != nil {
		return "", nil, err
	}
	p := truth.Panels[0]
	if want := []int{len(truth.Config.GainModes), len(truth.Panels), p.Rows, p.Cols}; !slices.Equal(array.Shape, want) {
		return "", nil, fault.New(fault.Unexpected, "the deployed array is %v, wanted %v", array.Shape, want)
	}
	return found.Name, array.Words.Dense(), nil
}
