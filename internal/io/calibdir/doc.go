// Package calibdir is a calibration directory as a store of constants. psana of LCLS-I reads them there.
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
// # A deployment
//
// A deployment is one step (package calib has the protocol): the file under a temporary name, synced,
// compared with the planned hash, renamed. Both the content that it replaces and the new one are in the
// ledger before. A rollback puts the replaced content back in the same way, or removes the file if there
// was none. Each is one line in HISTORY, also after a stop between the rename and that line.
package calibdir
