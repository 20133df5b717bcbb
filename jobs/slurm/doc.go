// Package slurm holds the batch scripts. They work by hand as they stand; rawstatus submits copies that name the
// binary and carry the site's lines.
package slurm
