package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
)

// session is one run of a command that works on a subject: its repository, and the log kept there.
type session struct {
	repo    *repo.Repo
	subject *publish.Subject
	out     io.Writer // explanations: standard output (unless that is JSON) and the log
	end     func()
}

// begin finds the subject and opens the log.
func begin(c *cli.Context, e *environment) (*session, error) {
	start := time.Now()
	if err := checkVoting(c); err != nil {
		return nil, err
	}
	r, err := repository(e)
	if err != nil {
		return nil, err
	}
	// Mistakes here are reported before a database is asked. Only the files of --dark-tree need no repository yet.
	if err := r.Check(); err != nil && !(c.IsSet("dark-tree") && errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	w, err := wanted(c, e)
	if err != nil {
		return nil, err
	}
	subject, err := publish.Find(c.Context, r, w)
	if err != nil {
		return nil, err
	}
	s := &session{repo: r, subject: subject, out: e.Stdout, end: func() {}}
	if e.JSON {
		s.out = io.Discard
	}
	log, err := r.CreateLog(subject.Type, "mergedeploy", start)
	if err != nil {
		// A repository that one may only read still serves to look at a plan.
		e.Log.Warnf("no log file is kept: %v", err)
		return s, nil
	}
	remove := e.AddLogFile(log)
	s.end = func() { remove(); log.Close() }
	s.out = io.MultiWriter(s.out, log)
	e.Log.Infof("log %s", log.Name())
	e.Log.Infof("command: %s", strings.Join(os.Args, " "))
	if err := r.AtStart(startsDir(), "mergedeploy", start, log.Name(), os.Args); err != nil {
		e.Log.Warnf("the list of starts could not be written: %v", err)
	}
	for _, w := range r.Policy.Warnings() {
		e.Log.Warn(w)
	}
	return s, nil
}

// merge merges as the flags say and prints what was done.
func (s *session) merge(c *cli.Context, e *environment, standing *publish.Standing) (*publish.Merged, error) {
	opt, err := mergeOptions(c, e, s.repo, s.subject.Type)
	if err != nil {
		return nil, err
	}
	opt.Standing, opt.LookOnly = standing, !c.Bool("deploy")
	progress := e.Progress(int64(s.subject.PlaneCount()), "panels and gain modes")
	opt.Progress = progress.Add
	m, err := publish.Merge(c.Context, s.repo, s.subject, opt)
	progress.End()
	if err != nil {
		return nil, err
	}
	m.Text(s.out)
	return m, nil
}

// startsDir returns where the original programs list their starts at this site, if they do.
func startsDir() string {
	dir := filepath.Join(os.Getenv("SIT_ROOT"), "detector/logs/atstart")
	if st, err := os.Stat(dir); os.Getenv("SIT_ROOT") == "" || err != nil || !st.IsDir() {
		return ""
	}
	return dir
}
