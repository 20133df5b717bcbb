// Package campaign does the same work for many runs: it plans all of them, packs their tasks into few job arrays, and
// brings every run to its status files.
//
// # How it moves
//
// A campaign is a directory. campaign.json lists its items (one run, detector and profile each) and what jobs ask for;
// every item has a work directory below it with an ordinary plan. Step looks at the partials and at Slurm, and submits the next
// wave: a job array whose elements each do some tasks of some items, so that short runs share an element and long runs
// have several. The element that completes an item's last partial reduces it.
//
// Behind every wave waits one more job, which makes a step, too. So the campaign goes on without a coordinator; the one that
// a person starts only plans, watches, and makes steps sooner. Both may step at the same time.
//
// An item that is to be deployed gets a piece of its own for that when all runs of its detector before it are reduced or have
// failed for good; deployments of one detector are one element, in the order of runs. mergedeploy leaves word in the item's
// work directory, as for single runs.
//
// # Who submits
//
// Steps, cancellations and new plans are made under the lock of the campaign's directory, which ends with its holder: of two
// coordinators one submits, and a wave whose record is not complete while nobody holds the lock was left by one that is gone.
// A cancellation is written into the last wave; after it only a command of a person submits.
//
// # What decides
//
// As for single runs: partials and summaries decide what is done, Slurm informs. A task whose element failed is diagnosed
// as slurm.Diagnose says; an item whose own commands failed is judged by their exit code, which the element left in the item's
// work directory: temporary failures are tried again, a bounded number of times, others wait for a person. An item whose
// predictions are wrong (plan.WrongPrediction) is made again (job.Remake) before the next step.
//
// # Files
//
//	campaign.json                   items and request
//	waves/wave-NNN.json             pieces of each element, resources, job ids
//	log/                            logs of the jobs
//	<item>/                         work directory: plan, partials, summary
//	<item>/outcome/plan.json        how planning went
//	<item>/outcome/wave-NNN-EEE.json  how element EEE of a wave went for this item
//	report.txt report.csv report.json trend.csv pixels.csv
package campaign
