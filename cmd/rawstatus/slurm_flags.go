package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/open"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

// Defaults of submit and campaign.
const (
	defaultCPUs     = 4
	defaultAttempts = 4
	bytesPerTask    = 16 << 30 // raw data of a task
	fewTasks        = 8        // at least, as far as there are panels
)

// words is a flag that may be repeated. Unlike a slice flag it does not split at commas.
type words []string

func (w *words) Set(s string) error { *w = append(*w, s); return nil }
func (w *words) String() string     { return strings.Join(*w, " ") }

// slurmFlags say what the jobs ask for.
func slurmFlags() []cli.Flag {
	return command.In(command.Slurm, []cli.Flag{
		command.Setting("slurm.partition", "partition", "Slurm `PARTITION`", "p"),
		command.Setting("slurm.account", "account", "`ACCOUNT` to charge; {exp} stands for the experiment", "A"),
		command.Setting("slurm.reservation", "reservation", "`RESERVATION` to use"),
		command.Setting("slurm.qos", "qos", "quality of service `QOS`"),
		command.Setting("slurm.time", "time", "`TIME` limit of a task, as sbatch takes it"),
		command.Check(&cli.StringFlag{Name: "mem", Usage: "`MEMORY` of a task, e.g. 8G", DefaultText: "what the plan needs"}, command.Parses(slurm.ParseMemory)),
		command.AtLeast(&cli.IntFlag{Name: "cpus-per-task", Aliases: []string{"workers"}, Usage: "`N` cores of a task", Value: defaultCPUs}, 1),
		&cli.StringFlag{Name: "nodelist", Usage: "only on the nodes of this `NAME`, e.g. ana[1-4]"},
		&cli.BoolFlag{Name: "exclusive", Usage: "whole nodes"},
		&cli.GenericFlag{Name: "sbatch-arg", Usage: "further `OPTION` of sbatch, e.g. --sbatch-arg=--comment=night; may be repeated", Value: &words{}},
		command.AtLeast(&cli.IntFlag{Name: "max-attempts", Usage: "submit what failed again, up to `N` attempts in all", Value: defaultAttempts}, 1),
		command.Check(&cli.StringFlag{Name: "max-mem", Usage: "never ask for more than this `MEMORY`", DefaultText: "no limit"}, command.Parses(slurm.ParseMemory)),
		command.Check(&cli.StringFlag{Name: "max-time", Usage: "never ask for more than this `TIME`", DefaultText: "no limit"}, command.Parses(slurm.ParseTime)),
	})
}

// deployFlags say what follows reduce.
func deployFlags() []cli.Flag {
	return command.In(command.Deployment, []cli.Flag{
		command.CalibDir(),
		&cli.BoolFlag{Name: "merge", Usage: "a further job merges the status files (mergedeploy)"},
		&cli.BoolFlag{Name: "deploy", Aliases: []string{"D"}, Usage: "a further job merges and deploys (mergedeploy --deploy)"},
		deployArgFlag(),
	})
}

func deployArgFlag() cli.Flag {
	return &cli.GenericFlag{Name: "deploy-arg", Usage: "further `OPTION` of mergedeploy; may be repeated", Value: &words{}}
}

// mergedeployPath returns the path of mergedeploy, which stands beside this program.
func mergedeployPath() (string, error) {
	self, err := slurm.Self()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "mergedeploy")
	switch st, err := os.Stat(path); {
	case err != nil:
		return "", fault.New(fault.Usage, "no mergedeploy beside rawstatus: %w", err).WithHint("install both programs into one directory")
	case st.Mode()&0o002 != 0:
		return "", fault.New(fault.Usage, "mergedeploy beside rawstatus may be changed by everybody (%v)", st.Mode()).WithHint("chmod o-w, after a look at it")
	}
	return path, nil
}

// baseRequest makes what flags and site file say. Memory and time that nobody asks for are 0; an account may still have
// {exp} in it.
func baseRequest(c *cli.Context, e *environment) (slurm.Request, error) {
	s := e.Site.Slurm
	task := slurm.Resources{
		Account: s.Account, Partition: s.Partition, QOS: s.QOS, Reservation: s.Reservation,
		CPUs: c.Int("cpus-per-task"), Nodes: c.String("nodelist"), Exclusive: c.Bool("exclusive"),
		Extra: append(append([]string(nil), s.SbatchArgs...), *c.Generic("sbatch-arg").(*words)...),
	}
	if err := slurm.CheckExtra(task.Extra); err != nil {
		return slurm.Request{}, err
	}
	r := slurm.Request{MaxAttempts: c.Int("max-attempts"), Post: wantsPost(c, e), Notify: len(e.Site.Notify.Command)+len(e.Site.Notify.Mail) > 0}
	r.Counters = countersURL(r.Post)
	if task.CPUs < 1 || r.MaxAttempts < 1 {
		return r, fault.New(fault.Usage, "--cpus-per-task and --max-attempts start at 1")
	}
	for _, f := range []struct {
		text string
		set  func(string) error
	}{
		{c.String("mem"), func(s string) (err error) { task.MemMB, err = slurm.ParseMemory(s); return err }},
		{s.Time, func(s string) (err error) { task.Time, err = slurm.ParseTime(s); return err }},
		{c.String("max-mem"), func(s string) (err error) { r.MaxMemMB, err = slurm.ParseMemory(s); return err }},
		{c.String("max-time"), func(s string) (err error) { r.MaxTime, err = slurm.ParseTime(s); return err }},
	} {
		if f.text == "" {
			continue
		}
		if err := f.set(f.text); err != nil {
			return r, err
		}
	}
	r.Task, r.Reduce = task, task
	r.Reduce.Exclusive = false
	var err error
	if r.Program, err = slurm.Self(); err != nil {
		return r, err
	}
	r.SiteLines = siteLines(e)
	if r.Site, r.Unset, err = e.Site.Freeze(); err != nil {
		return r, err
	}
	r.Results, err = resultsOf(c, e).Absolute()
	return r, err
}

// request makes what every attempt at a plan starts from.
func request(ctx context.Context, c *cli.Context, e *environment, p *plan.Plan, data *open.Dataset) (slurm.Request, error) {
	r, err := baseRequest(c, e)
	if err == nil {
		_, err = wantedProducts(e, r.Results, p)
	}
	if err != nil {
		return r, err
	}
	switch r.Throttle = c.Int("throttle"); {
	case r.Throttle < 0 || c.Int("nodes") < 0:
		return r, fault.New(fault.Usage, "--throttle and --nodes start at 0")
	case c.Int("nodes") > 0 && r.Throttle > 0:
		return r, fault.New(fault.Usage, "--nodes is --exclusive --throttle: give one of --nodes and --throttle")
	case c.Int("nodes") > 0:
		r.Throttle, r.Task.Exclusive = c.Int("nodes"), true
	}
	r.Task.Account = strings.ReplaceAll(r.Task.Account, "{exp}", p.Dataset.Run.Experiment)
	r.Reduce.Account, r.Reduce.MemMB = r.Task.Account, slurm.ReduceMemoryMB(p)
	if r.Task.MemMB == 0 {
		r.Task.MemMB = slurm.TaskMemoryMB(p)
	}
	if r.Task.Time == 0 {
		var most int64
		for _, t := range p.Tasks {
			most = max(most, t.Bytes)
		}
		r.Task.Time, r.Reduce.Time = slurm.TimeFor(most), slurm.TimeFor(0)
	}
	if r.Deploy, err = deployWords(c, e, p, data); err == nil {
		waitForPerson(ctx, e, &r)
	}
	return r, err
}

// siteLines returns the lines that the site puts into job scripts.
func siteLines(e *environment) []string {
	var lines []string
	for _, m := range e.Site.Slurm.Modules {
		lines = append(lines, "module load "+slurm.Quote(m))
	}
	return append(lines, e.Site.Slurm.Prolog...)
}

// flagPath is a flag that names a directory.
type flagPath struct{ flag, path string }

// deployWords returns the command line of the mergedeploy job, empty when none is wanted.
func deployWords(c *cli.Context, e *environment, p *plan.Plan, data *open.Dataset) (line []string, err error) {
	extra := *c.Generic("deploy-arg").(*words)
	if !c.Bool("merge") && !c.Bool("deploy") {
		if len(extra) > 0 {
			return nil, fault.New(fault.Usage, "--deploy-arg without --merge or --deploy")
		}
		return nil, nil
	}
	if _, err := mergedeployPath(); err != nil {
		return nil, err
	}
	d := p.Dataset
	verb, places := "merge", []flagPath{{"--repository", e.Site.Repository}}
	if c.Bool("deploy") {
		verb = "deploy"
		// Elsewhere the flag would ask for the directory, which analysis of LCLS-II never reads.
		if c.IsSet("calib-dir") || strings.Contains(d.Detector, ":") {
			places = append(places, flagPath{"--calib-dir", e.Site.CalibDir})
		}
	}
	line = []string{verb, "--exp", d.Run.Experiment, "--run", fmt.Sprint(d.Run.Number), "--det", d.Detector}
	line = append(line, rawWords(p, data)...)
	for _, f := range places {
		if f.path == "" {
			continue
		}
		abs, err := filepath.Abs(f.path)
		if err != nil {
			return nil, err
		}
		line = append(line, f.flag, abs)
	}
	if c.Bool("deploy") {
		line = append(line, "--automatic", "--deploy")
	}
	return append(line, extra...), nil
}

// rawWords name the raw data of a plan as the submission did: by its files, or by the folder of the run. Frames in .npy
// files say nothing of their run, which the repository then does.
func rawWords(p *plan.Plan, data *open.Dataset) (words []string) {
	files := p.Dataset.Files
	if filepath.Ext(files[0].Path) == ".npy" {
		return nil
	}
	if data == nil || len(data.Files) == 0 {
		return []string{"--dir", filepath.Dir(files[0].Path)}
	}
	for _, f := range data.Files {
		words = append(words, "--file", f)
	}
	if data.RunInFile > 0 {
		words = append(words, "--run-in-file", fmt.Sprint(data.RunInFile))
	}
	return words
}

// waitForPerson asks whether this user may write into the calibration database, if the jobs are to deploy
// into it. Where not, the jobs only merge, and the request keeps the command for a person who may.
func waitForPerson(ctx context.Context, e *environment, r *slurm.Request) {
	if len(r.Deploy) == 0 || r.Deploy[0] != "deploy" || toDirectory(r.Deploy) {
		return
	}
	program := filepath.Join(filepath.Dir(r.Program), "mergedeploy")
	words := []string{"privilege"}
	if site := e.Site.File(); site != "" {
		words = append(words, "--site", site)
	}
	for i, w := range r.Deploy {
		name, _, _ := strings.Cut(w, "=")
		if !slices.Contains(privilegeFlags, name) {
			continue
		}
		words = append(words, w)
		if name == w && i+1 < len(r.Deploy) {
			words = append(words, r.Deploy[i+1])
		}
	}
	out, err := exec.CommandContext(ctx, program, words...).CombinedOutput()
	if err == nil {
		return
	}
	r.Waiting = slurm.Quote(program)
	for _, w := range r.Deploy {
		if w != "--automatic" {
			r.Waiting += " " + slurm.Quote(w)
		}
	}
	e.Log.Warnf("the jobs may not deploy: %s", strings.Join(strings.Fields(string(out)), " "))
	e.Log.Warnf("what is computed will wait for a person who gives this command: %s", r.Waiting)
	r.Deploy = mergeOnly(r.Deploy)
}

// privilegeFlags are the flags of a deployment that say where to.
var privilegeFlags = []string{"--exp", "--write-url", "--read-url", "--auth", "--dbsuffix", "--two-hosts"}

// toDirectory reports whether a deployment goes into a calibration directory.
func toDirectory(words []string) bool {
	det := ""
	for i, w := range words {
		name, value, joined := strings.Cut(w, "=")
		if !joined && i+1 < len(words) {
			value = words[i+1]
		}
		switch name {
		case "--backend":
			return value == "calibdir"
		case "--calib-dir", "-c":
			return true
		case "--det":
			det = value
		}
	}
	return strings.Contains(det, ":") // of LCLS-I
}

// mergeOnly makes the words of a deployment those of a merge: what says where to, and which rules of the
// gate are forced, is left out with its values.
func mergeOnly(words []string) []string {
	kept := map[string]bool{"--exp": true, "--run": true, "--det": true, "--dir": true, "--file": true, "--run-in-file": true, "--repository": true}
	line := []string{"merge"}
	for i := 1; i+1 < len(words); i++ {
		if kept[words[i]] {
			line = append(line, words[i], words[i+1])
			i++
		}
	}
	return line
}
