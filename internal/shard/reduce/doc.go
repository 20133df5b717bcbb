// Package reduce turns the partials of a plan into pixel status: it checks that all are there, merges
// them, evaluates the rules and writes the constants repository, a summary and a log. The merged planes
// are kept: [Again] and [Scan] judge them by other rules, without raw data.
package reduce
