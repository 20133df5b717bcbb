package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

func newRunCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "plan, all tasks and reduce on this machine",
		Description: "The same command again goes on where it was stopped: partials that are complete are kept. Example:\n" +
			"  rawstatus run --exp mfx101332224 --run 7 -d jungfrau --dir /data/mfx101332224/xtc -o /constants",
		Flags:  concat(dataFlags(), jobFlags(), reduceFlags(), workFlags(), []cli.Flag{workFlag(), tasksFlag(), postFlag()}, elogFlags()),
		Action: func(c *cli.Context) error { return runRun(c, e) },
	}
}

func runRun(c *cli.Context, e *environment) error {
	start := time.Now()
	if _, err := repository(e); err != nil {
		return err
	}
	p, work, err := makePlan(c, e)
	if err != nil {
		return err
	}
	if _, err := wantedProducts(c, e, p); err != nil {
		return err
	}
	l, err := openLog(e, p, start)
	if err != nil {
		return err
	}
	defer l.close()
	shown := newCounters(e, countersURL(wantsPost(c, e)))
	err = doTasks(c, e, p, work, allTasks(p), shown)
	if errors.Is(err, frame.ErrHeading) { // the plan made now reads all headers
		if p, work, err = makePlan(c, e); err != nil {
			return err
		}
		err = doTasks(c, e, p, work, allTasks(p), shown)
	}
	if err == nil {
		err = runReduce(c, e, p, work, l)
	}
	if code := fault.CodeOf(err); code != fault.Interrupted && code != fault.Temporary {
		tell(context.WithoutCancel(c.Context), e, filepath.Join(work, "notification.json"), eventOf(e, work, p, err))
	}
	if wantsPost(c, e) {
		postRun(c.Context, e, p, work, err, shown)
	}
	return err
}
