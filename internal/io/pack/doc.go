// Package pack is the container of our own binary files: a JSON head and named arrays of numbers, each
// compressed and checksummed, in a file that is complete or refused.
//
// The index of a run, the partial result of a task and the merged planes of a panel are packs; Kind
// tells them apart. Bytes are a pure function of content: no times, no names of machines.
//
// # Layout
//
// All integers are little-endian. Offsets count from the start of the file.
//
//	offset        size  what
//	0             8     magic "RSPACK\r\n" (a text-mode copy damages it visibly)
//	8             4     u32 version, now 1
//	12            4     u32 zero
//	16            ...   stored arrays, one after the other, in the order of the table
//	F             L     footer: JSON {"kind", "head", "arrays"}
//	F+L           32    SHA-256 of bytes 0..15 followed by the footer
//	F+L+32        8     u64 F
//	F+L+40        8     magic "RSPEND\r\n"
//
// The table "arrays" has for each array:
//
//	name     unique within the pack
//	dtype    u1 u2 u4 u8 i4 i8 f8 (numpy's letters, little-endian)
//	count    number of elements
//	attr     one small number for the user of the pack (the merge rule of a plane)
//	offset   of the stored bytes
//	length   of the stored bytes
//	sha256   of the stored bytes, hexadecimal
//
// Stored bytes are the elements byte-shuffled (all first bytes, then all second bytes, ...: bytes of
// equal significance compress well together) and then compressed as one Zstandard frame with its
// content size. Every stored array begins where the one before it ends, and the footer begins where
// the last one ends, so a byte that belongs to nothing cannot exist.
//
// # Reading
//
// A reader checks magic, version, position and checksum of the footer, and that the arrays tile the
// file, before it believes anything; each array's checksum is verified before it is decompressed, and
// its size is compared with count before it is delivered. A truncated, torn or bit-flipped file gives
// an *Error with file and offset.
//
// # Versions
//
//	1  first
package pack
