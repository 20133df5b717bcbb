package main

import (
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/publish"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

// pieceFlags say which submission of rawstatus a job belongs to.
func pieceFlags() []cli.Flag {
	return command.In(command.Slurm, []cli.Flag{
		&cli.StringFlag{Name: "job-of", Usage: "this is a job of the submission in the work `DIR`"},
		&cli.StringFlag{Name: "plan", Usage: "do nothing unless it holds the plan of this `ID`, whose results are merged"},
		&cli.StringFlag{Name: "request", Usage: "... and works for the request of this `ID`"},
	})
}

// piece is a job of a submission; nil where a person types the command.
type piece struct {
	slurm.Piece
	plan *plan.Plan
}

// asPiece does the work of a command. As a job of a submission it works for its plan and request alone, leaves word of
// how it went in the work directory, and goes back into the queue after temporary failures.
func asPiece(c *cli.Context, e *environment, do func(j *piece) error) error {
	if c.String("job-of") == "" {
		if c.IsSet("plan") || c.IsSet("request") {
			return fault.New(fault.Usage, "--plan and --request are of the work directory that --job-of names")
		}
		return do(nil)
	}
	j := &piece{Piece: slurm.Piece{Work: c.String("job-of"), Plan: c.String("plan"), Request: c.String("request")}}
	if j.Plan == "" || len(j.Request) < 12 {
		return fault.New(fault.Usage, "--job-of needs --plan and --request, as `rawstatus submit` gives them")
	}
	var err error
	if j.plan, err = j.Admit(); err != nil {
		return err
	}
	err = do(j)
	word := slurm.Deployment{Code: int(fault.CodeOf(err)), Time: time.Now().UTC()}
	if err != nil {
		word.Error, word.Hint = fault.Message(err), fault.HintOf(err)
	}
	if c.Context.Err() == nil {
		if errWord := j.Deployed(word); errWord != nil && err == nil {
			err = errWord
		}
	}
	return slurm.RequeueAfter(c.Context, e.Log.Warnf, err)
}

// made refuses to go on with results of another plan: since this job was submitted somebody else may have written the
// repository.
func (j *piece) made(m *publish.Merged) error {
	if j == nil {
		return nil
	}
	own := 0
	for i := range m.Planes {
		for _, s := range m.Planes[i].Sources {
			switch {
			case s.CType != j.plan.Params.CType:
			case s.PlanID != j.Plan:
				return fault.New(fault.Refused, "%s is of plan %.12s, and this job is for the results of plan %.12s: nothing is deployed", s.Path, s.PlanID, j.Plan).
					WithHint("another job has written the same files; decide which one is wanted, and submit it again with --replace")
			default:
				own++
			}
		}
	}
	if own == 0 {
		return fault.New(fault.Refused, "no %s of plan %.12s is merged: nothing is deployed", j.plan.Params.CType, j.Plan).
			WithHint("see what is merged with: mergedeploy merge --exp %s --run %d --det %s", m.Run.Experiment, m.Run.Number, m.Detector)
	}
	return nil
}

// deployed returns the deployment in the ledger that this job has made before, nil if there is none. It is not made
// again, also where a person has taken it back since.
func (j *piece) deployed(dest calib.Destination) (*calib.Record, error) {
	if j == nil {
		return nil, nil
	}
	records, err := dest.Records()
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(records) {
		switch {
		case r.State != calib.Done || r.Undoes != "":
		case slices.Contains(r.Command, j.Request):
			return &r, nil
		case slices.Contains(r.Command, j.Work):
			return nil, nil // another request of this work directory took its place, and now it is wanted again
		}
	}
	return nil, nil
}
