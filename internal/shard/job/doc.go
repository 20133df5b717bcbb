// Package job is the work on one detector of one run as an object: what was asked for, the plan that is made of it, and
// what can be done with both.
//
// An Order says what is wanted, and Make turns it into a Job: a Request, which holds all that decides the plan, and the
// plan itself. Save stores both in the work directory, as job.json beside plan.json, and Open reads them again.
//
// A plan predicts where most frames lie. A task that finds a frame elsewhere fails and leaves a note, a
// plan.WrongPrediction. Such a job is not repaired but made again: Remake makes it from its stored request and the
// headers of all frames. All follows from the request, so that any process may do this: the one that counts (DoAll), the
// repair job of Slurm, the next step of a campaign.
package job
