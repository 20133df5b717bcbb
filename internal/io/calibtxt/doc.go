// Package calibtxt reads and writes the two text formats in which LCLS keeps calibration arrays.
//
// # Plain
//
// The output of numpy.savetxt for a 2-d array with format '%d': one row per line, values separated by one
// blank, every line ended by a newline, no header.
//
// # NDArrIO
//
// A header, an empty line and the data. The header's lines in order:
//
//	# <comment>            one per comment line, none by default
//	<empty line>
//	# HOST        <host>
//	# WORK_DIR    <current directory>
//	# FILE_NAME   <path as given to the writer>
//	# DATE_TIME   <YYYY-mm-ddTHH:MM:SS>, time of the site
//	# UID         <login>
//	# SHAPE       (704,768)     Python tuple without blanks; (5,) for one dimension
//	# DATATYPE    uint64
//	<empty line>
//	# DTYPE       uint64
//	# NDIM        2
//	# DIM:0       704
//	# DIM:1       768
//	<empty line>
//
// Values start at column 15. Data: two or more dimensions as rows of the last dimension, leading index
// slowest, one row per line; one dimension as one more empty line and then all values in one line with a
// leading and a trailing blank and no final newline.
//
// # Reading
//
// [Load] reads as psana of LCLS-I does (load_txt): only the leading block of empty and '#' lines is
// searched for DTYPE, NDIM and DIM: lines (at least three fields, the first exactly '#'); SHAPE and
// DATATYPE are ignored; the default type is float32, so integers of more than 24 bits lose digits without
// a DTYPE line; a single row or column is squeezed to one dimension and a single value to none; the array
// takes the shape of the DIM lines only if NDIM > 2; integers wrap to the width of their type.
//
// [ReadStatus] is for status words, whose every bit counts: whole numbers from 0 to 2^64-1, exact;
// anything else (a sign, a point, a letter, rows of different length, a header that contradicts the data)
// is an [Error] with file and line. Both skip blank lines and comments at line ends and accept CRLF.
package calibtxt
