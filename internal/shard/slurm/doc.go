// Package slurm runs the tasks of a plan as Slurm jobs and brings them to a complete result.
//
// # Who is believed
//
// Only a partial that is present, whole and of the plan completes a task. Slurm informs: where a task runs,
// why it ended, how much memory it took. A task that Slurm calls COMPLETED and that left no partial is
// missing; one that Slurm has forgotten and whose partial verifies is done.
//
// # The chain
//
// One attempt at a plan is a chain of jobs:
//
//	array (one or more chunks) --afterok--> reduce --afterok----> deploy (optional)
//	                                               --afternotok-> repair
//
// Every dependent job carries --kill-on-invalid-dep=yes, so exactly one of deploy and repair starts. When an
// array element fails, reduce can never start, is removed, and that counts as not ok: repair starts.
// Repair looks at every task without a partial, decides with Diagnose what it needs (more memory, more time, other
// nodes, nothing), and submits the next attempt of just those, with a new reduce and repair of its own. The number
// of attempts is bounded. Nobody has to be watching: the jobs look after themselves.
//
// A job whose predictions are wrong (plan.WrongPrediction) is made again (job.Remake): the repair job cancels what is left
// of the chain and submits the new plan for the same request.
//
// # What a job works for
//
// A Request is all that decides what the jobs of a plan do and where it goes. It has an id, the hash of its content, and
// never changes. Every job names plan and request (--plan, --request), and does nothing in a work directory that holds
// another plan, works for another request, or was cancelled (Piece.Admit). So a later submission changes nothing for jobs
// that wait: it joins them, takes their place after they are cancelled, or is refused.
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
// removed because a job before them failed. `rawstatus cancel` writes its wish into the record first, for the jobs that
// start in this moment, and returns when all have ended.
//
// # Records
//
// <workdir>/slurm/<plan>/ holds what was submitted: attempt-NNN.json, one for each attempt with its tasks, resources,
// reasons and job ids; logs; and for each request a directory with request.json, site.toml (the settings in force at the
// submission), the job scripts, and deployment.json. Records are written under the lock <workdir>/slurm/.lock, which ends
// with its holder: a record that is not complete while nobody holds the lock was left by a submitter that is gone.
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
