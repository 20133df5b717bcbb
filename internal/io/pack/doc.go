// Package pack is the container of our own binary files: a JSON head and named arrays of numbers, each
// compressed and checksummed, in a file that is complete or refused.
//
// The index of a run, the partial result of a task and the merged planes of a panel are packs; Kind
// distinguishes them. Bytes are a pure function of content: no times, no names of machines.
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
//	tile     elements of a tile, 8192; left out where an array is not stored in tiles
//	sha256   of the stored bytes, hexadecimal; left out where an array is stored in tiles
//
// An array that is not stored in tiles is for few numbers and for those that compress well: its bytes are the elements byte-shuffled (all first bytes, then all second bytes, ...: bytes of
// equal significance compress well together) and then compressed as one Zstandard frame with its
// content size.
//
// # Tiles
//
// An array of integers of pixels is stored in tiles, one after the other: nothing is shuffled or compressed, and
// each tile can be read alone. What is stored are differences to a prediction that the user of the pack makes from
// other arrays (0 without one), modulo 2^64; signed elements are extended to 64 bits before. A tile has n
// elements, 8192 or what is left, each in w bytes as difference to the base, modulo 2^64. An element that does not
// fit w bytes is an exception; the base is the writer's choice.
//
//	offset        size  what
//	0             4     u32 CRC-32C of bytes 4... of the tile, begun with that of the array's name, which
//	                    itself begins with the number of the tile's first element (crc32.Update)
//	4             2     u16 w: 0, 1, 2, 4 or 8
//	6             2     u16 e, number of exceptions, at most n
//	8             8     u64 base
//	16            n*w   elements, without exceptions: what stands in the place of one means nothing
//	16+n*w        e*10  exceptions: u16 position in the tile, u64 value instead of base + element
//
// Every stored array begins where the one before it ends, and the footer begins where
// the last one ends, so a byte that belongs to nothing cannot exist.
//
// # Reading
//
// A reader checks magic, version, position and checksum of the footer, and that the arrays tile the
// file, before it believes anything; each array's checksum is verified before it is decompressed, and
// its size is compared with count before it is delivered. Each tile's checksum is verified before its elements are
// used; values that do not fit the dtype are refused. A truncated, torn or bit-flipped file leads to
// an *Error with file and offset.
//
// # Versions
//
//	1  first
package pack
