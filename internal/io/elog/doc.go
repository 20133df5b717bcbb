// Package elog is a client of the experiment logbook (eLog): run table, entries, progress counters.
//
// # Addresses
//
// The first element of the path below the site's address selects the authentication; the rest is the
// same service. EXP is the experiment.
//
//	/ws/lgbk/lgbk/        none; reads only, inside the site
//	/ws-auth/lgbk/lgbk/   HTTP Basic, the operator account of the active experiment
//	/ws-kerb/lgbk/lgbk/   Kerberos (SPNEGO)
//
//	GET  ws/activeexperiment_for_instrument_station?instrument_name=MFX&station=0   value.name
//	POST EXP/ws/add_run_params?run_num=7     JSON object {name: number or string}; $set: repeating it is harmless
//	POST EXP/ws/new_elog_entry               form; multipart with attachments; makes one entry each time
//	GET  EXP/ws/search_elog?run_num=7        value: list of entries {_id, content, title, ...}
//
// Counters go to an address that the automatic run processor hands to its jobs: a JSON array of
// {"key": html, "value": html or number}. It replaces the whole table and takes no authentication.
//
// # Answers
//
// A success is status 200 with {"success": true, "value": ...}. A refusal is status 200, too, with
// {"success": false, "errormsg": "..."}. A missing text is plain text with status 500, an unknown
// experiment 404, a locked one 423, missing rights 401 or 403. A page in HTML instead of JSON is the
// login page of a proxy: nothing has reached the service.
//
// # What may be sent twice
//
// Run parameters and counters replace what was there, so they are tried again after connection errors
// and after 502, 503 and 504. An entry is made by each request that arrives. When the outcome of such a
// request is not known (the connection broke after it was opened, no answer in time, a status of 500 and
// more), the error is [ErrUnknown]: the caller looks for the entry with [Client.Entries] before it sends
// it again.
package elog
