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
// A plan that cannot be done as it is (plan.Doubt) is not repaired but made again: the repair job cancels what is left of
// the chain and gives the command of the submission once more.
//
// # Records
//
// <workdir>/slurm/ holds what was submitted: request.json, the options every attempt starts from; the job scripts;
// logs; and attempt-NNN.json, one for each attempt with its tasks, resources, reasons and job ids. Creating that file
// exclusively claims the attempt, so a person and a repair job can not submit the same tasks twice.
//
// # Interface to Slurm
//
// The commands sbatch, squeue, sacct, scontrol and scancel, run without a shell. Their
// --parsable2 and -o formats are read, because the JSON of Slurm changes with its version (numbers become objects,
// states become lists) and is a build option.
package slurm
