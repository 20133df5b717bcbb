// Package explain says of one pixel why it is bad, since when and how often: from the status files of a repository and
// their sidecars. Values that rules compare with limits are not kept there; the caller adds them where the counts of a run
// are still at hand ([Verdict.Measure]).
//
// A pixel is bad in a run when its word is not 0, and unjudged when the word says that nobody could tell (NO_DATA, LOW_STATS,
// EVAL_ERROR). Unjudged runs neither begin nor end a stretch of bad runs.
package explain
