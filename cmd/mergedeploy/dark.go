package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/version"
)

// darkFlags are those of a set of constants of a dark run.
func darkFlags() []cli.Flag {
	return command.In(command.Data, []cli.Flag{
		&cli.BoolFlag{Name: "dark", Usage: "deploy pedestals, pixel_rms and pixel_status of a dark run, in place of status_extra"},
		command.Check(&cli.StringFlag{Name: "products", Usage: "these `TYPES` of a dark run: pedestals,pixel_rms,pixel_status,pixel_max,pixel_min"}, command.Parses(repo.ParseProducts)),
		&cli.StringFlag{Name: "work", Usage: "dark: work `DIR` of the run", DefaultText: "<work_root>/<exp>-r<run>-<detector>-dark"},
	})
}

// darkLimits returns the limits and overrides of the gate for a set.
func darkLimits() []cli.Flag {
	flags := []cli.Flag{command.AtLeast(&cli.Float64Flag{Name: "max-shift", Usage: "dark: number `N` of sigmas (median rms) that pedestals of a chip may move", Value: publish.DefaultGate.MaxShift}, 0)}
	for _, r := range publish.DarkRules {
		flags = append(flags, &cli.BoolFlag{Name: "force-" + r.Name, Usage: "dark: deploy although " + r.What})
	}
	return command.In(command.Deployment, flags)
}

// wantsDark reports whether a set of constants of a dark run is meant.
func wantsDark(c *cli.Context) bool { return c.Bool("dark") || c.IsSet("products") }

// productsOf returns the types that flags name.
func productsOf(c *cli.Context) ([]repo.Product, error) {
	if !c.IsSet("products") {
		return repo.DarkSet, nil
	}
	return repo.ParseProducts(c.String("products"))
}

// darkWork finds the work directory of a dark run.
func darkWork(c *cli.Context, e *environment) (string, error) {
	if work := c.String("work"); work != "" {
		return work, nil
	}
	run, err := runOf(c)
	if err != nil {
		return "", err
	}
	if c.String("exp") == "" || run < 0 {
		return "", fault.New(fault.Usage, "no run is named").WithHint("give -e and -r, or --work")
	}
	root := e.Site.WorkRoot
	if root == "" {
		root = "rawstatus-work"
	}
	det := c.String("det")
	if det == "" {
		det = "*"
	}
	// Names of detectors are parts of directories as rawstatus makes them.
	pattern := filepath.Join(root, fmt.Sprintf("%s-r%04d-%s-%s-*", c.String("exp"), run, strings.NewReplacer("/", "-", "\\", "-").Replace(det), plan.ProfileDark))
	found, err := filepath.Glob(pattern)
	switch {
	case err != nil || len(found) == 0:
		return "", fault.New(fault.Input, "no work directory of a dark run is at %s", pattern).
			WithHint("make it with: rawstatus dark -e %s -r %d; or name it with --work", c.String("exp"), run)
	case len(found) > 1:
		return "", fault.New(fault.Usage, "the run has several work directories, of other detectors or parameters: %s", strings.Join(found, ", ")).WithHint("name one with --work, or one detector with -d")
	}
	return found[0], nil
}

// loadDark reads the constants of a dark run from its work directory.
func loadDark(c *cli.Context, r *repo.Repo, work string) (*publish.DarkRun, error) {
	p, err := plan.Load(work)
	if err != nil {
		return nil, err
	}
	run, err := runOf(c)
	if err != nil {
		return nil, err
	}
	d := p.Dataset
	if exp := c.String("exp"); exp != "" && exp != d.Run.Experiment || run >= 0 && run != d.Run.Number {
		return nil, fault.New(fault.Usage, "%q is the work directory of %s run %d", work, d.Run.Experiment, d.Run.Number).WithHint("check -e, -r and --work")
	}
	if det := c.String("det"); det != "" && det != d.Detector && !slices.Contains(d.Aliases, det) {
		return nil, fault.New(fault.Usage, "%q is the work directory of detector %s", work, d.Detector).WithHint("check -d and --work")
	}
	list, notes, err := reduce.DarkConstants(c.Context, work, p, r)
	if err != nil {
		return nil, err
	}
	out := &publish.DarkRun{Run: d.Run, Detector: d.Detector, Type: d.Type, Panels: d.Panels, KnownMissing: p.Params.KnownMissing, Incomplete: p.Incomplete, Notes: notes, PlanID: p.ID}
	if out.Source, err = filepath.Abs(filepath.Join(work, "plan.json")); err != nil {
		return nil, err
	}
	for _, u := range list {
		out.Units = append(out.Units, publish.DarkUnit(u))
	}
	return out, nil
}

// runDark plans, shows and deploys a set.
func runDark(c *cli.Context, e *environment) error {
	for _, flag := range []string{"only", "exclude", "bits", "and", "runs", "fraction", "at-least", "dark-tree", "tstamp", "panel"} {
		if c.IsSet(flag) {
			return fault.New(fault.Usage, "--%s is for merging status files, not for --dark or --products", flag)
		}
	}
	names, err := productsOf(c)
	if err != nil {
		return err
	}
	r, err := repository(e)
	if err != nil {
		return err
	}
	work, err := darkWork(c, e)
	if err != nil {
		return err
	}
	d, err := loadDark(c, r, work)
	if err != nil {
		return err
	}
	subject, err := d.Subject(r)
	if err != nil {
		return err
	}
	out := e.Stdout
	if e.JSON {
		out = io.Discard
	}
	if log, err := r.CreateLog(subject.Type, "mergedeploy", time.Now()); err != nil {
		e.Log.Warnf("no log file is kept: %v", err)
	} else {
		defer log.Close()
		defer e.AddLogFile(log)()
		out = io.MultiWriter(out, log)
		e.Log.Infof("command: %s", strings.Join(os.Args, " "))
	}
	warnBackend(c, e, subject)
	opt := publish.DarkOptions{Products: names, MissingPanel: c.String("missing-panel")}
	opt.Destination = func(ctype string) (calib.Destination, error) { return destinationFor(c, e, r, subject, ctype) }
	if opt.Range, err = calib.ParseRange(fmt.Sprintf("%d-end", d.Run.Number)); err != nil {
		return err
	}
	if text := c.String("validity"); text != "" {
		if opt.Range, err = calib.ParseRange(text); err != nil {
			return err
		}
	}
	opt.Raw = backend(c, subject.LCLS1()) == backendWS
	merge, err := mergeOptions(c, e, r, d.Type)
	if err != nil {
		return err
	}
	if opt.MissingGain = merge.MissingGain; len(c.StringSlice("missing-gain")) == 0 {
		opt.MissingGain = nil // the site's word is about status
	}
	if opt.Gate, err = gateOf(c, e, d.Type); err != nil {
		return err
	}
	return deployDark(c, e, r, subject, d, opt, out)
}

// deployDark shows the plan and carries it out if asked to.
func deployDark(c *cli.Context, e *environment, r *repo.Repo, subject *publish.Subject, d *publish.DarkRun, opt publish.DarkOptions, out io.Writer) error {
	var p *publish.DarkPlan
	for try := 0; ; try++ {
		if c.Bool("deploy") && !c.Bool("dry-run") { // what was interrupted is ended first, so that the plan is of what is there
			if err := collectSet(c, opt); err != nil {
				return err
			}
		}
		var err error
		if p, err = planDark(c, e, subject, d, &opt); err != nil {
			return err
		}
		p.Text(out)
		if err = executeDark(c, e, p); !errors.Is(err, calib.ErrStale) || try >= maxPlans {
			if e.JSON {
				return errors.Join(err, e.PrintJSON(p))
			}
			if err == nil && c.Bool("deploy") {
				return showInForce(c, e, opt, d.Run.Number, out)
			}
			return err
		}
		e.Log.Warn("another deployment came in between: planned again")
	}
}

// planDark makes the plan. Where nothing is to be deployed and the database does not answer, it is one without what is in
// force there.
func planDark(c *cli.Context, e *environment, subject *publish.Subject, d *publish.DarkRun, opt *publish.DarkOptions) (p *publish.DarkPlan, err error) {
	opt.Standing, err = publish.LookUp(c.Context, func(ctype string) (publish.Reader, error) {
		dest, err := opt.Destination(ctype)
		if err != nil {
			return nil, err
		}
		return dest.Store.(publish.Reader), nil // both stores are
	}, d.Run.Number)
	if err == nil {
		p, err = publish.NewDarkPlan(c.Context, subject, d, e.Site.Location(), *opt)
	}
	if err == nil || !opt.Raw || c.Bool("deploy") || c.Context.Err() != nil || fault.CodeOf(err) == fault.Usage {
		return p, err
	}
	e.Log.Warnf("the database could not be asked, so nothing is compared with what is in force: %v", err)
	opt.Standing, opt.Unseen = &publish.Standing{}, true
	return publish.NewDarkPlan(c.Context, subject, d, e.Site.Location(), *opt)
}

// collectSet ends what was interrupted of sets, and in the destinations of this one.
func collectSet(c *cli.Context, opt publish.DarkOptions) error {
	dest, err := opt.Destination(string(opt.Products[0]))
	if err != nil {
		return err
	}
	if err := publish.SetOf(dest, opt.Destination).Collect(c.Context); err != nil {
		return err
	}
	for _, name := range opt.Products {
		dest, err := opt.Destination(string(name))
		if err != nil {
			return err
		}
		if _, err := dest.Collect(c.Context); err != nil {
			return err
		}
	}
	return nil
}

func executeDark(c *cli.Context, e *environment, p *publish.DarkPlan) error {
	switch {
	case c.Bool("dry-run"):
		return p.Execute(c.Context, os.Args, c.String("comment"), true)
	case !c.Bool("deploy"):
		if len(p.Refused()) > 0 {
			e.Log.Warn("this plan would be refused (see above)")
		}
		e.Log.Info("nothing is deployed: -D does it")
		return nil
	}
	if err := p.Allowed(); err != nil {
		return err
	}
	if err := p.Remember(func(s calib.Store) error {
		if ws, ok := s.(*calibws.Store); ok {
			return remember(ws)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := p.Execute(c.Context, os.Args, c.String("comment"), false); err != nil {
		return err
	}
	if p.Unchanged {
		e.Log.Infof("set %s is in force already", p.Set)
	} else {
		e.Log.Infof("deployed set %s", p.Set)
	}
	for _, q := range p.Parts {
		if q.Unchanged {
			e.Log.Infof("%s already in force: deployment %s", q.CType, q.Deployed.ID)
		} else {
			e.Log.Infof("deployed %s %s: %s in %s", q.CType, q.Deployed.ID, q.Deployed.Name, q.Destination)
		}
	}
	return nil
}

// showInForce prints what analysis of the run will use.
func showInForce(c *cli.Context, e *environment, opt publish.DarkOptions, run int, out io.Writer) error {
	fmt.Fprintf(out, "analysis of run %d will use\n", run)
	for _, name := range opt.Products {
		dest, err := opt.Destination(string(name))
		if err != nil {
			return err
		}
		item, _, err := dest.Find(c.Context, run)
		if err != nil {
			return err
		}
		text := "nothing"
		if item != nil {
			text = fmt.Sprintf("%s, runs %s, in %s", item.Name, item.Range.Runs(), dest)
		}
		fmt.Fprintf(out, "  %-13s %s\n", name, text)
	}
	return nil
}

// setNamed returns the sets of the detector that flags name.
func setNamed(c *cli.Context, e *environment, writing bool) (*calib.Set, error) {
	open := func(ctype string) (calib.Destination, error) { return destinationOf(c, e, ctype, writing) }
	var first error
	for _, name := range repo.Products {
		dest, err := open(string(name))
		if err == nil {
			return publish.SetOf(dest, open), nil
		}
		if first == nil {
			first = err
		}
		if fault.CodeOf(err) != fault.Input {
			break // else nothing of that type is there
		}
	}
	return nil, first
}

// rollbackSet takes all types of a set back.
func rollbackSet(c *cli.Context, e *environment) error {
	for _, flag := range []string{"to", "validity", "type"} {
		if c.IsSet(flag) {
			return fault.New(fault.Usage, "--%s is for one type of constants, not for a set (--dark)", flag)
		}
	}
	set, err := setNamed(c, e, true)
	if err != nil {
		return err
	}
	if c.Bool("deploy") { // what was interrupted is ended first, so that the plan is of what is there
		if err := set.Collect(c.Context); err != nil {
			return err
		}
	}
	of, err := set.Last(c.String("of"))
	if err != nil {
		return err
	}
	plans := []*publish.RollbackPlan{}
	for _, part := range of.Parts {
		if part.Unchanged {
			continue // it belongs to an earlier set
		}
		dest, err := set.Open(part.CType)
		if err != nil {
			return err
		}
		p, err := publish.NewRollback(c.Context, dest, publish.RollbackOptions{Of: part.Deployment})
		if err != nil {
			return err
		}
		if plans = append(plans, p); !e.JSON {
			fmt.Fprintf(e.Stdout, "%s: ", part.CType)
			p.Text(e.Stdout)
		}
	}
	res := setRollback{Set: of.ID, Plans: plans}
	if !c.Bool("deploy") {
		e.Log.Info("nothing is changed: -D does it")
	} else {
		rec, err := set.Undo(c.Context, calib.Record{Command: os.Args, Version: version.String(), Experiment: of.Experiment, Run: of.Run, RunTime: of.RunTime,
			Detector: of.Detector, Comment: "rollback of " + of.ID}, of.ID)
		if err != nil {
			return err
		}
		res.Rollback = rec.ID
		e.Log.Infof("rolled back set %s: %s", of.ID, rec.ID)
	}
	if e.JSON {
		return e.PrintJSON(res)
	}
	return nil
}

// setRollback is the outcome for programs.
type setRollback struct {
	Set      string                  `json:"set"`
	Plans    []*publish.RollbackPlan `json:"plans"`
	Rollback string                  `json:"rollback,omitempty"` // entry in the ledger of sets
}

// historyOfSets lists the sets of a detector.
func historyOfSets(c *cli.Context, e *environment) error {
	if c.IsSet("type") {
		return fault.New(fault.Usage, "--type is for one type of constants, not for sets (--dark)")
	}
	set, err := setNamed(c, e, false)
	if err != nil {
		return err
	}
	records, err := set.Records()
	if err != nil {
		return err
	}
	records = slices.DeleteFunc(records, func(r calib.Record) bool { return r.State == calib.Aborted && !c.Bool("all") })
	if e.JSON {
		return e.PrintJSON(append([]calib.Record{}, records...))
	}
	for _, r := range records {
		var types []string
		for _, p := range r.Parts {
			types = append(types, p.CType)
		}
		fmt.Fprintf(e.Stdout, "%s  %-8s %-7s %-10s %s  run %d  %s@%s %s", r.ID, r.Action, r.State, r.Range, strings.Join(types, ","), r.Run,
			r.Login, r.Host, r.Time.In(e.Site.Location()).Format(time.RFC3339))
		for _, text := range []string{r.Comment, r.Reason} {
			if text != "" {
				fmt.Fprintf(e.Stdout, "  %s", text)
			}
		}
		fmt.Fprintln(e.Stdout)
	}
	return nil
}
