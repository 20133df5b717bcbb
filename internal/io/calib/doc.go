// Package calib is the protocol of deployments, once for all stores: validity ranges and the rule by which
// one of several deployed constants wins; the record of each deployment; [Destination], which deploys, takes
// back and completes over a [Store]; and a dry run of it. Package calibtest holds every store to one
// behaviour, and plays random histories against a model.
//
// # Which constant wins
//
// A constant is valid from run begin to run end; "end" and 9999 are the same. A run above 9999 is looked
// up as 9999. Among the constants whose range has the run, the largest begin wins, then the smallest end,
// then (where a store can hold several of one range) the one deployed last. A fallback is used only for
// runs that nothing else has.
//
// # A deployment
//
//	plan       [Destination.Outlook]: the stretches of runs that will change, and what each uses now
//	lock       one at a time; what an earlier one has left is completed or aborted first
//	freshness  the stretches are worked out again: if they are not those of the plan, it is [ErrStale]
//	begin      the store says which steps it will take, and keeps what is needed to undo them
//	intent     a line in the ledger, with steps and stretches
//	put        step by step, each old or new
//	read back  from the store, as analysis does
//	done       a line in the ledger
//
// A rollback is the same with the steps turned round: under every name the content from before, or
// nothing. It is refused where that would not give every stretch of runs what it had before the
// deployment. Deployments that were themselves taken back count as if they had never happened.
//
// # Ledger
//
// A file of JSON lines, appended and synced, never changed. A deployment writes two lines with one id: all
// of the [Record] in state "intent" before anything becomes visible, and state "done" after all of it is.
// A line that a crash has cut off is removed by the next writer. What an intent without an end means is
// decided by looking at the store: if any of its steps has been done the rest is completed, else it is
// marked "aborted".
//
// A [Set] is several types that are deployed together. Its ledger has an entry for each set, in the same form, with its
// parts; an intent without an end means that the parts which are there are taken back, unless all are.
//
// Stores that replace files keep the contents beside the ledger as content/<sha256>.zst.
package calib
