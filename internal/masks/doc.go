// Package masks makes one mask of a detector from status files: it finds which file is which panel and gain mode, chooses
// bits and combines gain modes, and says what it did. internal/io/export writes the result for other programs.
//
// A pixel that nobody has judged is masked, and so is a panel without a file: what is not known to be good is not good.
package masks
