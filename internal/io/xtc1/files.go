package xtc1

import "rawstatus/internal/io/rawrun"

// FileNames is how files of the format are named.
var FileNames = rawrun.NewScheme(".xtc", 2)
