// Package plan decides who does what: it turns the index of a run and the parameters of a job into
// shards and tasks, and keeps the result in a work directory.
//
// A plan is a pure function of index, parameters and the number of tasks: the same input leads to the
// same bytes. It is kept as two files of the work directory, plan.json for people and machines and
// index.pack with the extents of the planned detector.
package plan
