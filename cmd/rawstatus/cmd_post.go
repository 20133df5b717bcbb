package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/elog"
	"rawstatus/internal/pages"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/post"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
)

func newPostCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "post",
		Usage:     "tell the experiment logbook what was found: run table, entry with the report, progress counters",
		ArgsUsage: "[WORKDIR]",
		Description: "Posts the summary of a work directory. The same command again sends what is missing, and nothing twice.\n" +
			"With --retry it sends what is missing in all work directories below WORKDIR, default work_root. Examples:\n" +
			"  rawstatus post --work /scratch/mfx101332224-r0007\n" +
			"  rawstatus post --retry",
		Flags: concat([]cli.Flag{
			workFlag(),
			&cli.BoolFlag{Name: "retry", Usage: "send what could not be sent before"},
			command.Check(&cli.StringFlag{Name: "report", Usage: "`PAGE` to attach to the entry", DefaultText: "report.html of the work directory"}, checkPage),
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be posted, send nothing"},
			command.In(command.Slurm, []cli.Flag{&cli.BoolFlag{Name: "job", Usage: "as the last job of submit does it: how all its jobs went, and the counters"}})[0],
		}, pieceFlags(), elogFlags()),
		Action: func(c *cli.Context) error { return runPost(c, e) },
	}
}

// elogFlags say where the logbook is.
func elogFlags() []cli.Flag {
	return command.In(command.Output, []cli.Flag{
		command.Setting("elog.url", "elog-url", "`ADDRESS` of the logbook"),
		command.Setting("elog.auth", "elog-auth", "`WAY` to authenticate: basic, negotiate, auto or none"),
	})
}

// checkPage refuses what cannot be attached.
func checkPage(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is not a file")
	}
	return err
}

// postFlag is --post of the commands that do a job.
func postFlag() cli.Flag {
	return command.In(command.Output, []cli.Flag{
		&cli.BoolFlag{Name: "post", Usage: "tell the experiment logbook what was found, as `rawstatus post`", DefaultText: "setting elog.post"},
	})[0]
}

// wantsPost reports whether a job is posted: by its flag, else by the site.
func wantsPost(c *cli.Context, e *environment) bool {
	if c.IsSet("post") {
		return c.Bool("post")
	}
	return e.Site.Elog.Post
}

func runPost(c *cli.Context, e *environment) error {
	if c.Bool("retry") {
		root := cmp.Or(c.String("work"), c.Args().First(), e.Site.WorkRoot, defaultWorkRoot)
		return retryPosts(c.Context, e, root)
	}
	work, err := workArgument(c)
	if err != nil {
		return err
	}
	opt := postOptions{work, c.String("report"), c.Bool("dry-run"), c.Bool("job")}
	if opt.job {
		return slurm.RequeueAfter(c.Context, e.Log.Warnf, lastJob(c.Context, e, pieceOf(c, work), opt))
	}
	return postWork(c.Context, e, opt)
}

// postOptions are the options of post.
type postOptions struct {
	work   string
	report string // page to attach; empty: the one in the work directory
	dryRun bool
	job    bool // it is the last job of submit
}

// lastJob does the work of the last job of submit: it reports the end of all jobs to the hook of the site and to the logbook.
func lastJob(ctx context.Context, e *environment, piece slurm.Piece, opt postOptions) error {
	if _, err := piece.Admit(); err != nil {
		return err
	}
	q, err := openQueue(ctx, opt.work)
	if err != nil {
		return err
	}
	if q.Request.Notify && !opt.dryRun {
		if err := notifyOfRun(ctx, e, q); err != nil {
			return err
		}
	}
	if !q.Request.Post {
		return nil
	}
	return postWork(ctx, e, opt)
}

func postWork(ctx context.Context, e *environment, opt postOptions) error {
	job, counters, err := jobOf(ctx, e, opt)
	if err != nil || job == nil {
		return err
	}
	if !opt.dryRun {
		fit(ctx, e, opt.work, job)
	}
	o, err := post.Build(*job)
	if err != nil {
		return err
	}
	if opt.dryRun {
		return showOutcome(e, o)
	}
	counters.final(ctx, o)
	return send(ctx, e, opt.work, o)
}

// jobOf returns what is known about the job in a work directory, nil while its jobs are not over, and its table of progress.
func jobOf(ctx context.Context, e *environment, opt postOptions) (*post.Job, *counters, error) {
	job := baseJob(e, opt.work)
	if opt.report != "" {
		job.Report = opt.report
	}
	sum, err := reduce.LoadSummary(opt.work)
	if err == nil {
		job.Summary = sum
	}
	if !opt.job {
		return &job, newCounters(e, ""), err
	}
	q, err := openQueue(ctx, opt.work)
	if err != nil {
		return nil, nil, err
	}
	v, err := q.Look(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := v.Items[0]
	if r.Active {
		e.Log.Info("the jobs are not over: the last of them posts")
		return nil, nil, nil
	}
	d := r.Plan.Dataset
	job.Experiment, job.Run, job.Detector, job.Plan = d.Run.Experiment, d.Run.Number, d.Detector, r.PlanID
	if outcome := r.Outcome(); r.Reduce.State != slurm.StateDone {
		job.Summary = nil // what is there is of another plan
		job.Failure = outcome.Error()
	} else if r.Deploy != nil {
		job.Deployment = "The constants are deployed."
		if job.Undeployed = outcome != nil; job.Undeployed {
			job.Deployment = "The constants are not deployed: " + outcome.Error()
		}
	}
	return &job, newCounters(e, q.Request.Counters), nil
}

// baseJob returns the part that every job of this site has.
func baseJob(e *environment, work string) post.Job {
	j := post.Job{Policy: sitePolicy(e), Zone: e.Site.Location(), Title: e.Site.Elog.Title, Tags: e.Site.Elog.Tags}
	if page := pages.File(work); exists(page) {
		j.Report = page
	}
	return j
}

// fit makes a smaller page of a report that is too large for an entry. Where that does not succeed the report stays:
// the entry then says that it is not attached.
func fit(ctx context.Context, e *environment, work string, job *post.Job) {
	most := int64(e.Site.Elog.AttachMax)
	whole, err := os.Stat(job.Report)
	if err != nil || job.Report != pages.File(work) || whole.Size() <= most {
		return
	}
	small := filepath.Join(post.Dir(work), "report.html")
	if made, err := os.Stat(small); err != nil || made.ModTime().Before(whole.ModTime()) || made.Size() > most {
		if err := smallReport(ctx, e, work, small, most); err != nil {
			e.Log.Warnf("the report is too large for the logbook, and no smaller one could be made: %v", err)
			return
		}
	}
	job.Report, job.Whole = small, job.Report
}

// smallReport writes a page of at most so many bytes.
func smallReport(ctx context.Context, e *environment, work, path string, most int64) error {
	if err := sitePolicy(e).MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	p, err := plan.Load(work)
	if err != nil {
		return err
	}
	baselines, err := reportBaselines(ctx, e, p, nil)
	if err != nil {
		return err
	}
	if _, err := pagesOf(e).OfWork(ctx, work, p, pages.Options{Path: path, Baselines: baselines, MaxSize: most}); err != nil {
		return err
	}
	made, err := os.Stat(path)
	if err == nil && made.Size() > most {
		err = fmt.Errorf("the smallest page has %d bytes, elog.attach_max is %d", made.Size(), most)
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sitePolicy returns the access policy of the site.
func sitePolicy(e *environment) *access.Policy {
	return &access.Policy{DirMode: uint32(e.Site.DirMode), FileMode: uint32(e.Site.FileMode), Group: e.Site.Group}
}

// elogPauses are the pauses before further attempts; nil: those of the client. Tests shorten them.
var elogPauses []time.Duration

func newSender(e *environment) *post.Sender {
	s := e.Site.Elog
	client := &elog.Client{URL: s.URL, Auth: elog.Auth{Method: s.Auth, User: s.User, PasswordFile: s.PasswordFile}, Pauses: elogPauses}
	return &post.Sender{Logbook: client, Policy: sitePolicy(e), AttachMax: int64(s.AttachMax)}
}

// send keeps an outcome in its work directory and posts it.
func send(ctx context.Context, e *environment, work string, o *post.Outcome) error {
	s := newSender(e)
	if _, err := s.Keep(ctx, work, o); err != nil {
		return err
	}
	o, err := s.Send(ctx, work)
	if err != nil {
		if fault.CodeOf(err) == fault.Unposted && fault.HintOf(err) == "" {
			err = fault.New(fault.Unposted, "%w", err).WithHint("rawstatus post --retry --work %s", slurm.Quote(work))
		}
		return err
	}
	for _, p := range o.Parts {
		if p.Dropped != "" {
			e.Log.Warn(p.Dropped)
		}
	}
	e.Log.Infof("posted to the logbook of %s, run %d: rawstatus = %s", o.Experiment, o.Run, o.State)
	return nil
}

// postAfter posts at the end of a job. It never fails the job: what could not be sent is kept.
func postAfter(ctx context.Context, e *environment, work string, job post.Job, shown *counters) {
	fit(ctx, e, work, &job)
	o, err := post.Build(job)
	if err == nil {
		shown.final(ctx, o)
		err = send(ctx, e, work, o)
	}
	if err != nil {
		e.Log.Warnf("%v; rawstatus post --retry --work %s", err, slurm.Quote(work))
	}
}

// postRun posts how run went. What stops only for now is posted when it has come to an end.
func postRun(ctx context.Context, e *environment, p *plan.Plan, work string, failure error, shown *counters) {
	job := baseJob(e, work)
	if failure == nil {
		sum, err := reduce.LoadSummary(work)
		if err != nil {
			e.Log.Warnf("not posted: %v", err)
			return
		}
		job.Summary = sum
	} else {
		if code := fault.CodeOf(failure); code == fault.Temporary || code == fault.Interrupted || code == fault.Busy {
			return
		}
		d := p.Dataset
		job.Experiment, job.Run, job.Detector, job.Plan, job.Failure = d.Run.Experiment, d.Run.Number, d.Detector, p.ID, failure.Error()
	}
	postAfter(ctx, e, work, job, shown)
}

// postFailures posts the items of a campaign that have failed for good. Those that succeeded have posted themselves.
func postFailures(ctx context.Context, e *environment, q *slurm.Queue, v *slurm.View) {
	for _, s := range v.Items {
		if s.State != slurm.Ended || !q.Request.Post {
			continue
		}
		work := s.Work
		job := baseJob(e, work)
		job.Experiment, job.Run, job.Detector, job.Plan, job.Failure, job.Report = s.Experiment, s.Run, s.Detector, s.PlanID, s.Reason, ""
		postAfter(ctx, e, work, job, newCounters(e, ""))
	}
}

// keepOutcome writes how a job went for readers of its work directory. It is not sent before somebody asks.
func keepOutcome(ctx context.Context, e *environment, work string, sum *reduce.Summary) {
	job := baseJob(e, work)
	job.Summary = sum
	o, err := post.Build(job)
	if err == nil {
		o.Unasked = true
		_, err = newSender(e).Keep(ctx, work, o)
	}
	if err != nil {
		e.Log.Warnf("the outcome is not kept in the work directory: %v", err)
	}
}

// showOutcome prints what would be posted.
func showOutcome(e *environment, o *post.Outcome) error {
	if e.JSON {
		return e.PrintJSON(o)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "to %s, experiment %s, run %d\n\nrun table, POST add_run_params\n", e.Site.Elog.URL, o.Experiment, o.Run)
	names := make([]string, 0, len(o.Params))
	for name := range o.Params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "  %s = %v\n", name, o.Params[name])
	}
	fmt.Fprintf(&b, "\nentry %q with tags %s, POST new_elog_entry\n%s", o.Title, strings.Join(o.Tags, " "), o.HTML)
	if o.Report != "" {
		fmt.Fprintf(&b, "attached: %s\n", o.Report)
	}
	fmt.Fprintf(&b, "\nrun table, last: rawstatus = %s\n", o.State)
	_, err := fmt.Fprint(e.Stdout, b.String())
	return err
}

// retryPosts sends what is missing below a folder.
func retryPosts(ctx context.Context, e *environment, root string) error {
	r, err := newSender(e).Resend(ctx, root, e.Log.Warnf)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.PrintJSON(r)
	}
	_, err = fmt.Fprintf(e.Stdout, "%d sent, %d were complete\n", r.Sent, r.Complete)
	return err
}
