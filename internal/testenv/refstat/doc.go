// Package refstat computes status words from frames in the plainest way: whole frames in memory, sorting,
// float64 in the order of the rules' text, rational numbers for the plane fits. It is slow and has no
// shards, planes or shortcuts. Tests compare the production path with it; nothing else uses it.
//
// It knows the sane rules (no Compat) and shares no code with the packages that it judges, only their
// parameter types and the numbers of the bits.
package refstat
