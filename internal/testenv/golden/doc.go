// Package golden reads the golden cases of the shared data set for tests: synthetic frames and what the
// original software made of them. It has its own few lines of .npy reading so that the tests of the rules
// do not lean on the reader that the programs use.
package golden
