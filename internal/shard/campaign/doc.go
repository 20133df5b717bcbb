// Package campaign holds what a campaign asks for and what it found: the file with its runs, the table of its items, the trend of
// pixels and pedestals through the runs. The work itself is that of any queue (package slurm).
//
// # Files
//
//	campaign.json                   items and request (package slurm)
//	slurm/                          journal, requests, job scripts and logs, as of a single run
//	<item>/                         work directory: plan, partials, summary
//	<item>/outcome/plan.json        how planning went
//	<item>/outcome/attempt-NNN-EEE.json  how element EEE of an attempt went for this item
//	report.txt report.csv report.json trend.csv pixels.csv
package campaign
