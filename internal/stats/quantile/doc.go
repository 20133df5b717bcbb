// Package quantile finds exact order statistics: of every pixel over a block of frames, of the pixels of
// one frame, and of any list of numbers. Nothing is interpolated, sampled or approximated.
package quantile
