// Package repo is the constants repository: the directory tree in which every evaluated constant of
// every physical panel is kept, as the original programs write and read it.
//
//	<root>/
//	  <dettype>/                               detector type in lower case
//	    .aliases.txt                           short names of panels, see [Repo.Alias]
//	    default/<dettype>_default_<ctype>.txt  written by people
//	    logs/<year>/<YYYY-mm-ddTHHMMSS>_log_<command>_<login>_<pid>.txt
//	    merge_tmp/<detName>-<YYYYmmddHHMMSS>-<exp>-r<run:%04d>-status_extra.txt
//	    <panel>/                               the panel's id, or <detName>-seg<NN>
//	      <ctype>/
//	        <dettype>_<alias>_<YYYYmmddHHMMSS>_<exp>_r<run:%04d>_<ctype>[_<gmode>][_slice].dat
//	        <same name with .json>             sidecar: what the words mean and where they come from
//	      status_user/<...>_status_user[_<gmode>]_<8 digits>.dat   a mask made by a person, by its content hash
//	        .lock
//	  <year>/<year>_lcls1_<command>.txt        at-start log, only if root contains "work"
//
// Times in names are the begin of the run in the time zone of the site.
//
// A record of .aliases.txt is one line of fields separated by single blanks (the experiment is
// right-justified in ten columns):
//
//	<alias:%04d> <panel> <YYYY-mm-ddTHH:MM:SS>[ <exp:%10s>][ r<run:%04d>][ <extra>...] <login>
//
// The dark jobs of jungfrau and epix10ka keep trees of their own, which are read here, too ([NewTree]):
//
//	<root>/.aliases_jungfrau.txt, or .aliases.txt
//	<root>/<panel>/status/<dettype>_<alias>_<YYYYmmddHHMMSS>_<exp>_r<run:%04d>_status_<gmode>.dat
//
// with <gmode> one of gm0-Normal, gm0-HighGain0, gm1-FixedGain1, ... (jungfrau) or FH, FM, ... (epix10ka).
//
// # Status file and sidecar
//
// Two files cannot appear at one instant. The sidecar is written first and holds the SHA-256 of the
// status file it belongs to; while a status file is being replaced it also holds the sidecar of the old
// one, which is taken out in the end. A reader starts from a status file and takes the sidecar whose hash
// is that of the bytes it has read: so a status file never appears without its sidecar nor with a wrong
// one, whenever the writer is stopped. What a stop leaves is a sidecar without a status file, at which
// nobody looks, or one that still has the old one in it, until the next write.
package repo
