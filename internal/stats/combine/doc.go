// Package combine merges the status arrays of one panel from several sources (kinds of status, runs, masks
// of people) into one, bit by bit, and says which source gave which bit.
//
// A source has judged a pixel when the word has none of the unjudged bits (no data, low statistics, no
// answer). Unjudged is never good:
//
//   - A source that has not judged a pixel says nothing about it, neither good nor bad, and does not vote.
//   - A pixel that no source has judged keeps its unjudged bits, whatever bits are selected.
//   - A pixel that another source has judged does not keep them, except those of Rule.Sticky.
//
// A mask that a person has made only adds bad pixels: its bits are always there in the result, and where
// it is 0 it is no judgement, for that person has looked at few pixels and not at the data of all.
package combine
