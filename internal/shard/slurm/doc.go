// Package slurm lets Slurm do the tasks of plans and brings them to a complete result, for one run and for many.
//
// # Who is believed
//
// Only a partial that is present, whole and of the plan completes a task. Slurm informs: where a task runs,
// why it ended, how much memory it took. A task that Slurm calls COMPLETED and that left no partial is
// missing; one that Slurm has forgotten and whose partial verifies is done.
//
// # The queue
//
// A Queue is a directory with items: the work directory of one run is a list of one, a campaign has many, each with a work
// directory of its own below it. The same steps lead every queue on:
//
//	Look     partials and summaries first, then one squeue and one sacct: the state of every task, reduction, deployment
//	settle   what that makes of an item: done, at work, waiting, held, failed for good; a pure function
//	Again, share   what is to be handed over now: an Attempt
//	Submit   claims the attempt in the journal and submits its jobs
//
// Look, settle and the journal do not know how work is packed. Only the forms differ in which it is handed over:
//
//   - One run is a chain of jobs, which needs nobody between its links:
//
//     array (one or more chunks) --afterok--> reduce --afterok----> deploy (optional)
//     --afternotok-> repair
//
//     Every dependent job carries --kill-on-invalid-dep=yes, so exactly one of deploy and repair starts. When an array
//     element fails, reduce can never start, is removed, and that counts as not ok: repair starts.
//
//   - Many runs share arrays. An element has portions of some items, so that short runs share an element and long runs have
//     several; the one that completes an item's last partial reduces it. An item that is to be deployed gets a portion for that when
//     all runs of its detector before it are reduced or have failed for good; deployments of one detector are one element, in
//     the order of runs. An element leaves word of each portion in the item's work directory (Outcome). One repair job waits behind
//     the arrays, however they end.
//
// A repair job decides what comes next and submits it: tasks that failed with what they need (more memory, more time, other
// nodes), what follows them, nothing that a person has ended or that would fail again. The number of tries is bounded. So nobody
// has to be watching; the coordinator of a campaign only makes the same steps sooner.
//
// A job whose predictions are wrong (plan.WrongPrediction) is made again (job.Remake): the repair job of one run cancels what is
// left of the chain and submits the new plan for the same request; an item of a campaign is made again before the next step.
//
// # What a job works for
//
// A Request is all that decides what the jobs of a queue do and where it goes. It has an id, the hash of its content, and
// never changes. Every job names plan and request (--plan, --request), or its attempt, which does. It does nothing in a work
// directory that holds another plan, works for another request, or was cancelled (Piece.Admit). So a later submission changes
// nothing for jobs that wait: it joins them, takes their place after they are cancelled, or is refused.
//
// # What is done
//
// Reduce is done when the files of the request are in its repository, as the summary of its plan lists them. The deployment is
// done when it has left word, which mergedeploy writes after the ledger of the target; the ledger holds the
// request's id in the command of the deployment, so a second start of the job deploys nothing.
//
// # What a person has ended
//
// A job that a person cancelled is not submitted again until a person asks for it. Slurm distinguishes such jobs from those that it
// removed because a job before them failed. `rawstatus cancel` writes its wish into the latest attempt first, for the jobs that
// start in this moment, and returns when all have ended.
//
// # Records
//
//	<dir>/campaign.json              items and request of a campaign
//	<dir>/slurm/attempt-NNN.json     the journal: what was handed over, for what, with which resources, as which jobs
//	<dir>/slurm/log/                 logs of the jobs
//	<dir>/slurm/<request>/           request.json, site.toml (the settings in force at the submission), job scripts
//	<work>/slurm/<request>/deployment.json   what came of the deployment
//
// Records are written under the lock <dir>/slurm/.lock, which ends with its holder: a record that is not complete while
// nobody holds the lock was left by a submitter that is gone. The next holder submits the rest.
//
// # A controller that is away
//
// Commands are given again for some minutes. A job that sbatch may have taken before it lost the connection is
// looked for by its name first.
//
// # Interface to Slurm
//
// The commands sbatch, squeue, sacct, scontrol and scancel, run without a shell. Their
// --parsable2 and -o formats are read, because the JSON of Slurm changes with its version (numbers become objects,
// states become lists) and is a build option.
package slurm
