// Package post writes the result of a job into the experiment logbook: run-table parameters, an entry with the table
// of bad pixels and the report, and the parameter "rawstatus", which other jobs may wait for.
//
// Everything to be sent is written into the work directory first, as post/outcome.json. It is the spool as
// well: each part is marked before and after it is sent, so that a later call sends what is missing and
// nothing else.
//
//	part    repeated  content
//	params  harmless  parameters of the run, [Outcome.Params]
//	entry   doubles   message; sent again only after the logbook was asked whether it has it
//	state   harmless  parameter "rawstatus" = done, incomplete or failed; last, after both others
//
// An entry ends with a line that names its outcome ([Outcome.Token]). When nobody knows whether an entry
// arrived, the logbook is searched for that line. While it is not found the entry is not sent again before
// some minutes have passed, because a slow request may still arrive.
package post
