// Package open finds the files of a run and turns them into an index, whatever their format.
//
// It is the only package that knows paths, experiments and run directories; readers of formats get
// open files. The formats are listed in one table, see formats.
package open
