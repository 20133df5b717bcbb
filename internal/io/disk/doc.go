// Package disk is the file system as publishing uses it: a handful of operations, each of which is
// complete and durable when it returns. [Files] is the real one; [Memory] is one in memory, which serves
// dry runs (over a real one) and tests: it fails or stops at any primitive, and forgets what was not
// synced.
package disk
