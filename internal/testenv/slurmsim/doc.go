// Package slurmsim is a model of Slurm in memory, at the level of its commands: sbatch, squeue, sacct, scancel and scontrol
// take the arguments that our programs use and print the text that our parsers read.
//
// # What is modelled
//
// Queueing on nodes with cores and memory, job arrays and their throttles, dependencies (after, afterok, afternotok, afterany,
// aftercorr, singleton, --kill-on-invalid-dep), requeueing, time limits with --signal, memory limits, nodes that are lost or cut off, preemption,
// held jobs, failed launches, MinJobAge, MaxArraySize, MaxJobCount, accounting that lags, is away or switched off,
// a controller that is away or whose answers are lost, and clocks that differ. A suite of scripts runs over the model and
// over a real cluster and wants the same text from both.
//
// # Time and processes
//
// The model runs in a bubble of testing/synctest: its time is virtual, a week takes milliseconds. Each job is a process, that is a
// goroutine which runs a function of the test; so are the commands that a person types. A process is known by its
// Process, through which it calls Slurm, sleeps and reads its environment and clock. Exactly one process runs at a time, and
// which one goes on is decided by the source of random numbers: a seed repeats a whole night.
//
// A process that is killed never returns from its call. Its deferred functions run, because they close its files as the
// system would; their calls of Slurm end them at once.
package slurmsim
