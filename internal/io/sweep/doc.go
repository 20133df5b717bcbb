// Package sweep takes the frames of a run to the workers that compute on them. It is the only way to pixels.
//
// A Sweep visits the frames of some lanes, each of them once. A worker sees one band of pixels of a few frames at a
// time, and frames in order, so that the band's accumulators stay in its cache while frames stream by.
//
// Frames that lie in the page cache are read by the worker that needs them, in strips that stay in the cache of its
// core on their way: a few frames of one band. Other frames are read ahead in superblocks, with many large reads in
// flight: the same frames of some neighbouring lanes, whose panels lie side by side in a file and share reads.
//
// Pixels are little-endian in files and in memory: the package is for such machines only.
package sweep
