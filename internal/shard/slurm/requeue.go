package slurm

import (
	"context"
	"os"
	"strconv"
)

// RequeueVariable holds how often a job may put itself back into the queue; the job scripts set it.
const RequeueVariable = "RAWSTATUS_REQUEUE"

// RequeueSelf puts the Slurm job in which this process runs back into the queue, as the last thing it does after
// a temporary failure. It does nothing outside of our job scripts, or when Slurm has restarted the job often enough.
// After a SIGTERM it must not be called: Slurm requeues what it preempts, and a job at its time limit needs more
// time, not the same again.
func RequeueSelf(ctx context.Context) (requeued bool, err error) {
	id, most := os.Getenv("SLURM_JOB_ID"), atoi(os.Getenv(RequeueVariable))
	if restarts := atoi(os.Getenv("SLURM_RESTART_COUNT")); id == "" || restarts >= most {
		return false, nil
	}
	if _, err := strconv.Atoi(id); err != nil {
		return false, badOutput("the environment", id, "a number in SLURM_JOB_ID")
	}
	c, err := NewClient()
	if err != nil {
		return false, err
	}
	if err := c.Requeue(ctx, id); err != nil {
		return false, err
	}
	return true, nil
}
