// Package verdict says whether the bad pixels of a run look right: a list of findings, worst first, by
// rules that stand here and nowhere else. The terminal, the log, the summary and the report show the same
// list.
package verdict
