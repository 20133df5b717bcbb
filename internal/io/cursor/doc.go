// Package cursor reads little-endian structures from bytes with walls.
//
// A Cursor never reads outside its bytes. The first read that would do so sets a sticky *Error, after
// which every read returns zero values: a decoder reads a whole structure and asks Err once. Offsets in
// errors are absolute in the file.
//
// A count read from a file must be compared with Remaining before anything is multiplied or allocated:
// Fit does this.
package cursor
