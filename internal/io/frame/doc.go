// Package frame is the meeting point of raw formats and pixel arithmetic: a run as an index of extents.
//
// A reader of a format (io/xtc2, io/xtc1, io/npy) turns a run's files into one Index. After that no
// code of the format runs: package sweep takes the bytes of extents to the workers.
package frame
