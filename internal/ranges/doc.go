// Package ranges reads and writes lists of whole numbers such as 5,8-11: runs, streams, segments, steps, tasks,
// elements of job arrays.
package ranges
