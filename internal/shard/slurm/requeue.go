package slurm

import (
	"context"
	"strconv"

	"rawstatus/internal/fault"
)

// RequeueVariable holds how often a job may put itself back into the queue; the job scripts set it.
const RequeueVariable = "RAWSTATUS_REQUEUE"

// RequeueAfter puts the Slurm job around this process back into the queue when err is temporary and no signal has ended ctx. It
// returns err, and says what it did by warn. A lock that others hold is temporary for a job.
func RequeueAfter(ctx context.Context, warn func(format string, args ...any), err error) error {
	if code := fault.CodeOf(err); code != fault.Temporary && code != fault.Busy || ctx.Err() != nil {
		return err
	}
	switch again, errQueue := requeueSelf(ctx); {
	case errQueue != nil:
		warn("could not requeue this job: %v", errQueue)
	case again:
		warn("this job is requeued after: %v", err)
	}
	return err
}

// requeueSelf puts the Slurm job in which this process runs back into the queue, as the last thing it does after
// a temporary failure. It does nothing outside of our job scripts, or when Slurm has restarted the job often enough.
// After a SIGTERM it must not be called: Slurm requeues what it preempts, and a job at its time limit needs more
// time, not the same again.
func requeueSelf(ctx context.Context) (requeued bool, err error) {
	c := NewClient(ctx)
	id, most := c.system.Getenv("SLURM_JOB_ID"), atoi(c.system.Getenv(RequeueVariable))
	if restarts := atoi(c.system.Getenv("SLURM_RESTART_COUNT")); id == "" || restarts >= most {
		return false, nil
	}
	if _, err := strconv.Atoi(id); err != nil {
		return false, badOutput("the environment", id, "a number in SLURM_JOB_ID")
	}
	// The number of one element, the last to start, is that of its array: requeued by it, all elements would start again.
	if array, index := c.system.Getenv("SLURM_ARRAY_JOB_ID"), c.system.Getenv("SLURM_ARRAY_TASK_ID"); array != "" && index != "" {
		id = array + "_" + index
	}
	if err := c.Requeue(ctx, id); err != nil {
		return false, err
	}
	return true, nil
}
