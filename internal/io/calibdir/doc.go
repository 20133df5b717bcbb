// Package calibdir deploys constants into a calibration directory, from which psana of LCLS-I reads them.
//
//	<calibdir>/
//	  <group>/                      e.g. Epix100a::CalibV1
//	    <source>/                   e.g. XppGon.0:Epix100a.1
//	      .lock                     one deployment per detector at a time
//	      <ctype>/                  e.g. status_extra
//	        <begin>-<end>.data      text array with NDArrIO header, see package calibtxt
//	        HISTORY                 one line per deployment, for people
//	        .ledger/                see package calib
//
// psana looks at the names that end in .data only. It splits the rest at '-' into exactly two parts;
// begin is a decimal number, end a decimal number or "end". An end of another kind and a number above
// 9999 make every look-up in the directory fail in psana: this package never makes such names, and
// reports those it finds. Temporary files never end in .data.
//
// A line of HISTORY:
//
//	file:<name padded to 14> copy_of:<path> ctype:<type> user:<login> host:<host> cptime:<YYYY-mm-ddTHH:MM:SS> cwd:<cwd> cmt:<comment>
//
// # Order of a deployment
//
// Under the lock: complete or abort what a crash has left; keep the content in force and the new one in
// the ledger; ledger line "intent"; file under a temporary name, synced, compared with the planned hash,
// renamed; line in HISTORY; read back; ledger line "done". A stop before the rename leaves the old
// constant and an intent that the next call aborts; a stop after it leaves the new constant and an intent
// that the next call completes, HISTORY included.
package calibdir
