// Command bench measures how fast frames are read and counted, against what the machine can do and
// against the numpy formulation of the original software's loop.
//
//	bench [run] [--size 8GiB] [--scratch DIR] [--json FILE] ...   measure everything
//	bench compare OLD.json NEW.json                               what became faster or slower
//
// All variants of a comparison run once in each repetition, and ratios are those of the same repetition:
// on a shared machine absolute figures vary by tens of percent, ratios less. See README.md.
package main
