// Package atomicfile makes files appear whole or not at all.
//
// A file is written under a temporary name in the folder of its final name, optionally verified,
// synced, given its exact mode and group, and then renamed (or, for files that must not exist yet,
// linked). A reader of the final name sees the old content or the new one at any moment, also when
// the writer is killed, the disk is full or the machine stops.
//
// The temporary name is ".<base>.tmp-<16 hex digits>": hidden, and never with an extension that a
// search for constants would take. A killed writer leaves its temporary behind; RemoveStale sweeps.
//
// Errors keep their system error in the chain, so that a full disk stays a temporary failure.
package atomicfile
