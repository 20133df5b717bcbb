// Package calibws is the LCLS-II calibration database as a store of constants, through the web service in
// front of it. Package calibserve is a small server of the same protocol.
//
// # Protocol
//
// Paths below the base address, which ends with a slash:
//
//	GET    /                          names of databases, JSON list
//	GET    <db>                       names of collections
//	GET    <db>/<coll>                documents; ?query_string=<JSON> selects (equality, $lt, $lte, $gt, $gte, $ne, $in)
//	GET    <db>/<coll>/<id>           one document
//	GET    <db>/gridfs/<id>           data, raw bytes
//	GET    <db>/test_post_privilege   2xx when one may write
//	POST   <db>/gridfs/               data: raw bytes, or multipart field "files"; answers {"_id": ...}
//	POST   <db>/<coll>/               document; answers {"_id": ...}
//	PUT    <db>/<coll>/<id>           replaces a document
//	DELETE <db>, <db>/<coll>, <db>/<coll>/<id>, <db>/gridfs/<id>
//
// # Databases
//
// cdb_<experiment> and cdb_<short> hold the constants of an experiment and of a detector, in a collection
// named by the detector's short name; cdb_<short>_<suffix> is a private one. cdb_detnames/<dettype> maps
// long names (<dettype>_<panel id>_<panel id>...) of 20 and more characters to short ones
// (<dettype>_%06d). A document describes one constant and points by id_data to its data in the same
// database: the raw values in C order, little-endian. The first eight hex digits of _id are the Unix time
// of the deployment.
//
// # Which constant psana uses
//
// In the experiment's database (or the private one): of the documents whose range run..run_end has the
// run, the largest begin, then the smallest end, then the youngest. If there is none: the youngest of the
// detector's database, whatever its range.
//
// # Order of a deployment
//
// Data, then document, into the experiment's database; then both again into the detector's, whose
// document points to the first. Nothing is overwritten. The id of the deployment stands in the document's
// extpars, so that after a lost answer or a crash the next call finds out what has arrived: without a
// document in the first database the deployment is aborted, with one it is completed in the second.
//
// A rollback deletes the documents of the deployment that it takes back, first the experiment's. The data
// stay, so that they can be deployed again.
//
// # Short names
//
// The service has no locks. A new short name is posted and then looked for: of two documents for one
// detector, or of two detectors with one short name, the one with the smaller id stays, and the program
// that has posted the other deletes it and looks again.
package calibws
