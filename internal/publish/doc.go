// Package publish brings status words from the repository to where analysis reads its constants: it
// merges them per panel, stacks the panels to the detector's array, plans a deployment, compares it with
// the constants in force, and carries it out. Every decision can be shown: each step returns a value that
// prints itself as text and as JSON.
//
//	Find ─> Merge ─> NewPlan ─> Gate ─> Execute ─> (Rollback, Show, Verify, Diff)
//
// Merging reads status_* directories only, never its own output (status_merged, status_extra): a bit that
// its producer takes back disappears with the next merge.
//
// A pixel is bad when its word is not 0. Words with NO_DATA, LOW_STATS or EVAL_ERROR are bad, too: nobody
// knows whether such a pixel is good.
package publish
