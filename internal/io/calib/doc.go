// Package calib has what all places share from which analysis takes its constants: validity ranges and
// the rule by which one of several deployed constants wins, the record that is kept of each deployment,
// and the [Place] interface with its conformance suite in calibtest.
//
// # Which constant wins
//
// A constant is valid from run begin to run end; "end" and 9999 are the same. A run above 9999 is looked
// up as 9999. Among the constants whose range has the run, the largest begin wins, then the smallest end,
// then (where a place can hold several of one range) the one deployed last.
//
// # Ledger
//
// A file of JSON lines, appended and synced, never changed. A deployment writes two lines with one id:
// all of the [Record] in state "intent" before anything becomes visible, and state "done" after all of
// it is. A line that a crash has cut off is removed by the next writer. What an intent without an end
// means is decided by looking at the place itself: the constant is there (then the deployment is
// completed) or it is not (then it is marked "aborted").
//
// The contents of all deployments are kept beside the ledger as content/<sha256>.zst, so that each can be
// deployed again.
package calib
