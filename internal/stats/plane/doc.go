// Package plane holds named per-pixel arrays and per-frame series and the rule by which two shards'
// arrays of the same name become one.
package plane
