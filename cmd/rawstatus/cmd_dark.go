package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

func newDarkCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "dark",
		Usage: "all constants of a dark run, of all its detectors, and with -D their deployment",
		Description: "For each area detector: run --profile dark with --products, then mergedeploy --dark, which shows what analysis would\n" +
			"use, and with -D deploys. One detector that fails does not stop the others. Example:\n" +
			"  rawstatus dark -e mfx101332224 -r 7 -o /constants -D",
		Flags:  darkFlags(),
		Action: func(c *cli.Context) error { return runDark(c, e) },
	}
}

// notForDark are flags of run that the command decides about itself.
var notForDark = []string{"det", "profile", "features", "file", "det-type", "slice", "work", "post"}

// passedOn returns the flags of data, rules and results that dark has in common with run and submit.
func passedOn() []cli.Flag {
	flags := concat(dataFlags(), jobFlags(), reduceFlags())
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return slices.Contains(notForDark, f.Names()[0]) })
}

func darkFlags() []cli.Flag {
	return concat(passedOn(), workFlags(), command.In(command.Data, []cli.Flag{
		&cli.StringSliceFlag{Name: "det", Aliases: []string{"d"}, Usage: "only this `DETECTOR`; may be repeated", DefaultText: "all area detectors of the run"},
	}), []cli.Flag{
		&cli.StringFlag{Name: "work", Usage: "`DIR` of the work directories, one for each detector", DefaultText: "<work_root>"},
		postFlag(),
	}, command.In(command.Slurm, []cli.Flag{
		&cli.BoolFlag{Name: "submit", Usage: "let Slurm compute (submit --wait); the deployment is done here"},
		&cli.GenericFlag{Name: "submit-arg", Usage: "further `OPTION` of submit, e.g. --submit-arg=--partition=milano; may be repeated", Value: &words{}},
	}), command.In(command.Deployment, []cli.Flag{
		&cli.BoolFlag{Name: "deploy", Aliases: []string{"D"}, Usage: "deploy; without this the plan is shown only"},
		command.CalibDir(),
		&cli.GenericFlag{Name: "deploy-arg", Usage: "further `OPTION` of mergedeploy, e.g. --deploy-arg=--force-moved; may be repeated", Value: &words{}},
	}))
}

// darkSet are the products where nothing else is asked for.
const darkSet = "pedestals,pixel_rms,pixel_status"

func runDark(c *cli.Context, e *environment) error {
	if _, err := repository(e); err != nil {
		return err
	}
	d, err := datasetOf(c, e)
	if err != nil {
		return err
	}
	d.Detector = "" // any
	x, err := open.Index(c.Context, d, open.Options{Settle: c.Duration("settle")})
	if err != nil {
		return err
	}
	dets, err := darkDetectors(c, x.Detectors())
	if err != nil {
		return err
	}
	root := c.String("work")
	if root == "" {
		if root = e.Site.WorkRoot; root == "" {
			root = defaultWorkRoot
		}
	}
	var failed []string
	first := fault.OK // exit code of the first detector that failed
	for _, det := range dets {
		work := filepath.Join(root, fmt.Sprintf("%s-r%04d-%s-%s", fileName(x.Run.Experiment), x.Run.Number, fileName(det), plan.ProfileDark))
		e.Log.Infof("%s run %d: %s", x.Run.Experiment, x.Run.Number, det)
		err := fault.Safe(func() error { return oneDark(c, e, det, work, x.Run.Experiment, x.Run.Number) })
		if err != nil {
			e.Log.Errorf("%s: %s", det, fault.Message(err))
			if hint := fault.HintOf(err); hint != "" {
				e.Log.Errorf("hint: %s", hint)
			}
			if len(failed) == 0 {
				first = fault.CodeOf(err)
			}
			failed = append(failed, det)
		}
		if c.Context.Err() != nil {
			return context.Cause(c.Context)
		}
	}
	if len(failed) > 0 {
		return fault.New(first, "%d of %s failed: %s", len(failed), fault.Count(len(dets), "detector"), strings.Join(failed, ", ")).
			WithHint("remove the cause and give the same command again: what is done is kept")
	}
	return nil
}

// darkDetectors returns the detectors that are wanted of those of the run.
func darkDetectors(c *cli.Context, have []string) ([]string, error) {
	if !c.IsSet("det") {
		if len(have) == 0 {
			return nil, fault.New(fault.Input, "the run has no area detector").WithHint("`rawstatus inspect --names` shows what it has")
		}
		return have, nil
	}
	var dets []string
	for _, word := range c.StringSlice("det") {
		for det := range strings.SplitSeq(word, ",") {
			if det = strings.TrimSpace(det); !slices.Contains(dets, det) {
				dets = append(dets, det)
			}
		}
	}
	return dets, nil
}

// oneDark computes and deploys the constants of one detector.
func oneDark(c *cli.Context, e *environment, det, work, exp string, number int) error {
	opt, err := runOptionsOf(c, e, subject{profile: plan.ProfileDark})
	if err != nil {
		return err
	}
	opt.order.Data.Detector, opt.results.Products = det, cmp.Or(opt.results.Products, darkSet)
	opt.order.Work = func(frame.Run, string, plan.Params) (string, error) { return work, nil }
	if c.Bool("submit") {
		err = submitDark(c, e, opt)
	} else {
		err = runRun(c.Context, e, opt)
	}
	if err != nil {
		return err
	}
	results, err := opt.results.Absolute()
	if err != nil {
		return err
	}
	line := []string{"deploy", "--exp", exp, "--run", fmt.Sprint(number), "--det", det, "--work", work, "--repository", results.Repository, "--products", results.Products}
	// Elsewhere the flag would ask for the directory, which analysis of LCLS-II never reads.
	if c.IsSet("calib-dir") || strings.Contains(det, ":") && e.Site.CalibDir != "" {
		line = append(line, "--calib-dir", e.Site.CalibDir)
	}
	if c.Bool("deploy") {
		line = append(line, "--deploy")
	}
	return deployDark(c, e, append(line, *c.Generic("deploy-arg").(*words)...))
}

// submitDark lets Slurm do a job of run, by the options of submit that --submit-arg names.
func submitDark(c *cli.Context, e *environment, of runOptions) error {
	return program().Read(e, "submit", *c.Generic("submit-arg").(*words), func(s *cli.Context, e *environment) error {
		for _, f := range concat(dataFlags(), jobFlags(), reduceFlags(), []cli.Flag{workFlag(), postFlag(), &cli.BoolFlag{Name: "dry-run"}}) {
			if name := f.Names()[0]; s.IsSet(name) {
				return fault.New(fault.Usage, "--submit-arg names --%s, about which dark decides", name).WithHint("rawstatus dark --help-all lists its own flags")
			}
		}
		opt := submitOptions{order: of.order, wait: true, replace: c.Bool("replace")}
		opt.order.Cut, opt.order.Tasks = plan.Options{Tasks: s.Int("tasks"), Workers: s.Int("cpus-per-task")}, defaultTasks
		if !c.IsSet("settle") {
			opt.order.Settle = submitSettle
		}
		opt.request = func(ctx context.Context, p *plan.Plan, data *open.Dataset) (slurm.Request, error) {
			r, err := request(ctx, s, e, p, data)
			if err == nil {
				r.Results, err = of.results.Absolute()
			}
			return r, err
		}
		return runSubmit(c.Context, e, opt)
	})
}

// deployDark runs mergedeploy, which is another program, with the site file and the output of this command; its exit code
// becomes an error.
func deployDark(c *cli.Context, e *environment, line []string) error {
	path, err := mergedeployPath()
	if err != nil {
		return err
	}
	if site := c.String("site"); site != "" {
		line = append(line, "--site", site)
	}
	if e.Quiet {
		line = append(line, "--quiet")
	}
	if e.JSON {
		line = append(line, "--json")
	}
	cmd := exec.CommandContext(c.Context, path, line...)
	cmd.Stdout, cmd.Stderr = e.Stdout, e.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return fault.New(fault.Code(exit.ExitCode()), "mergedeploy ended with exit code %d: its message is above", exit.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("could not run %s: %w", path, err)
	}
	return nil
}
