// Package lint holds the rules of this module that no other tool knows: which package may import which.
//
// Imports run downwards only. Programs use workflows (shard, publish, report, simulate), workflows use
// internal/io and internal/stats, and those two know nothing of each other, so that reading, counting,
// judging and publishing can each be tested, replaced or thrown away without the others. The test of
// this package checks the whole module and is part of `make lint`.
package lint
