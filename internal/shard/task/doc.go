// Package task does one element of the job array: it reads the frames of its shards once, counts, and
// leaves one partial.
//
// A task is a pure function of plan, task number and raw bytes. It leaves a complete, verified partial
// or nothing; running it twice, or on two nodes at once, is harmless. Its memory does not depend on the
// number of frames.
package task
