package main

import (
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/publish"
)

// deployResult is the outcome for programs.
type deployResult struct {
	Merged    *publish.Merged `json:"merged"`
	Plan      *publish.Plan   `json:"plan"`
	Deployed  *calib.Record   `json:"deployed,omitempty"`
	Unchanged bool            `json:"unchanged,omitempty"` // the same deployment was in force already
	// Runs are those that have data and whose mask changes, when that was asked for.
	Runs []publish.RunImpact `json:"runs,omitempty"`
}

func newDeployCommand(e *environment) *cli.Command {
	flags := slices.Concat(subjectFlags(), pieceFlags(), darkFlags(), mergeFlags(), darkLimits(), destinationFlags(), command.In(command.Deployment, []cli.Flag{
		command.Check(&cli.StringFlag{Name: "validity", Aliases: []string{"R"}, Usage: "`RUNS` that the constants are for: 10-20 or 260-end", DefaultText: "RUN-end; 0-end while nothing is in force and a person deploys"}, command.Parses(calib.ParseRange)),
		&cli.BoolFlag{Name: "deploy", Aliases: []string{"D"}, Usage: "do it; without this the plan is shown only"},
		&cli.BoolFlag{Name: "dry-run", Usage: "show the plan only, but fail as --deploy would"},
		&cli.StringFlag{Name: "comment", Usage: "`TEXT` for the history"},
		command.AtLeast(&cli.IntFlag{Name: "impact", Usage: "list the runs with data whose mask changes by more than `N` pixels"}, 0),
		&cli.StringFlag{Name: "campaign", Usage: "write these runs as a campaign file to `FILE`, for rawstatus campaign"},
		&cli.StringFlag{Name: "report", Usage: "write the plan to the HTML `FILE` as well: maps of what is in force and of what would be", DefaultText: "<repository>/<type>/merge_tmp/... when the plan is only shown"},
		command.Between(&cli.Float64Flag{Name: "max-bad", Usage: "`FRACTION` of a panel that may be bad", Value: publish.DefaultGate.MaxBad}, 0, 1),
		command.Between(&cli.Float64Flag{Name: "max-new", Usage: "`FRACTION` of the pixels that may become bad", Value: publish.DefaultGate.MaxNew}, 0, 1),
		command.Between(&cli.Float64Flag{Name: "max-unjudged", Usage: "`FRACTION` of a panel that may be not judged", Value: publish.DefaultGate.MaxUnseen}, 0, 1),
		command.Between(&cli.Float64Flag{Name: "max-age", Usage: "`DAYS` that the run behind a status file may be older than the run", Value: publish.DefaultGate.MaxAge.Hours() / 24}, 0, math.Inf(1)),
		&cli.BoolFlag{Name: "automatic", Usage: "nobody looks at the plan: refuse what a person would be asked about"},
		command.Check(&cli.StringFlag{Name: "source-run", Usage: "`RUN` whose status is meant when this run has none of its own"}, command.Parses(parseRun)),
	}))
	for _, r := range publish.Rules {
		if r.Forcible() {
			flags = append(flags, command.In(command.Deployment, []cli.Flag{&cli.BoolFlag{Name: "force-" + r.Name, Usage: "deploy although " + r.What}})...)
		}
	}
	return &cli.Command{
		Name:  "deploy",
		Usage: "merge, show the plan, and with -D deploy",
		Description: "Merges all status_* of the panels that hold for the run, writes status_merged, shows what a deployment would\n" +
			"change for which runs, and with -D carries it out: atomic, recorded, read back. What would harm analysis is refused.",
		Flags: flags,
		Action: func(c *cli.Context) error {
			return asPiece(c, e, func(j *piece) error { return runDeploy(c, e, j) })
		},
	}
}

func runDeploy(c *cli.Context, e *environment, j *piece) error {
	if wantsDark(c) {
		return runDark(c, e)
	}
	s, err := begin(c, e)
	if err != nil {
		return err
	}
	defer s.end()
	dest, err := destinationFor(c, e, s.repo, s.subject, ctype)
	if err != nil {
		return err
	}
	warnBackend(c, e, s.subject)
	if before, err := j.deployed(dest); err != nil || before != nil {
		if err == nil {
			e.Log.Infof("deployed before: %s of %s", before.ID, before.Time.Format(time.RFC3339))
		}
		return err
	}
	standing, err := publish.LookUp(c.Context, func(ctype string) (publish.Reader, error) {
		p, err := destinationFor(c, e, s.repo, s.subject, ctype)
		if err != nil {
			return nil, err
		}
		return p.Store.(publish.Reader), nil // both stores are
	}, s.subject.Run.Number)
	if err != nil {
		return err
	}
	m, err := s.merge(c, e, standing)
	if err != nil {
		return err
	}
	if err := j.made(m); err != nil {
		return err
	}
	gate, err := gateOf(c, e, m.Type)
	if err != nil {
		return err
	}
	var res deployResult
	for try := 0; ; try++ {
		plan, errPlan := planFor(c, dest, standing, m, gate)
		if errPlan != nil {
			return errPlan
		}
		plan.Text(s.out)
		res = deployResult{Merged: m, Plan: plan}
		if err = impact(c, e, s, &res); err != nil {
			return err
		}
		if try == 0 {
			if err := reportPlan(c, e, s.repo, dest, plan, m); err != nil {
				return err
			}
		}
		if err = execute(c, e, dest, plan, &res); !errors.Is(err, calib.ErrStale) || try >= maxPlans {
			break
		}
		e.Log.Warn("another deployment came in between: planned again")
	}
	if e.JSON {
		// A refused plan is shown as well; the refusal follows it.
		return errors.Join(err, e.PrintJSON(res))
	}
	return err
}

// planFor plans the deployment.
func planFor(c *cli.Context, dest calib.Destination, standing *publish.Standing, m *publish.Merged, gate publish.Gate) (*publish.Plan, error) {
	text := c.String("validity")
	if text == "" {
		return publish.NewPlanOfRun(c.Context, dest, standing, m, ctype, gate)
	}
	runs, err := calib.ParseRange(text)
	if err != nil {
		return nil, err
	}
	return publish.NewPlan(c.Context, dest, standing, m, ctype, runs, gate)
}

// maxPlans bounds how often a deployment is planned again because others were faster.
const maxPlans = 50

// gateOf makes the gate: each limit from its flag, else from the site file, else the default.
func gateOf(c *cli.Context, e *environment, dettype string) (publish.Gate, error) {
	gate, site := publish.DefaultGate, e.Site.Limits[strings.ToLower(dettype)]
	days := gate.MaxAge.Hours() / 24
	for _, l := range []struct {
		flag string
		site *float64
		to   *float64
	}{{"max-bad", site.MaxBad, &gate.MaxBad}, {"max-new", site.MaxNew, &gate.MaxNew}, {"max-unjudged", site.MaxUnjudged, &gate.MaxUnseen}, {"max-shift", site.MaxShift, &gate.MaxShift}, {"max-age", site.MaxAge, &days}} {
		switch {
		case c.IsSet(l.flag):
			*l.to = c.Float64(l.flag)
		case l.site != nil:
			*l.to = *l.site
		}
	}
	for _, r := range slices.Concat(publish.Rules, publish.DarkRules) {
		if c.Bool("force-" + r.Name) {
			gate.Force = append(gate.Force, r.Name)
		}
	}
	gate.MaxAge, gate.Automatic = time.Duration(days*24*float64(time.Hour)), c.Bool("automatic")
	if text := c.String("source-run"); text != "" {
		var err error
		if gate.SourceRun, err = parseRun(text); err != nil {
			return gate, err
		}
	}
	return gate, nil
}

// execute deploys if asked to.
func execute(c *cli.Context, e *environment, dest calib.Destination, plan *publish.Plan, res *deployResult) error {
	switch {
	case c.Bool("dry-run"):
		rec, unchanged, err := plan.Execute(c.Context, dest.DryRun(), os.Args, c.String("comment"))
		if err != nil {
			return err
		}
		res.Deployed, res.Unchanged = &rec, unchanged
		e.Log.Infof("dry run: this would be deployed as %s", rec.Name)
		return nil
	case !c.Bool("deploy"):
		if len(plan.Refused()) > 0 {
			e.Log.Warn("this plan would be refused (see above)")
		}
		e.Log.Info("nothing is deployed: -D does it")
		return nil
	}
	if ws, ok := dest.Store.(*calibws.Store); ok {
		if err := remember(ws); err != nil {
			return err
		}
	}
	rec, unchanged, err := plan.Execute(c.Context, dest, os.Args, c.String("comment"))
	if err != nil {
		return err
	}
	res.Deployed, res.Unchanged = &rec, unchanged
	if unchanged {
		e.Log.Infof("already in force: deployment %s of %s", rec.ID, rec.Time.Format(time.RFC3339))
		return nil
	}
	e.Log.Infof("deployed %s: %s in %s, %s", rec.ID, rec.Name, dest, fault.Count(rec.Bad, "bad pixel"))
	return nil
}
