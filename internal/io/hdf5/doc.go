// Package hdf5 writes small HDF5 files: groups with attributes of text, and datasets of integers.
//
// It writes the subset of the file format (version 3 of its specification) that has no index structures, so that a file is a
// superblock, object headers and raw data, in this order. All numbers are little-endian; addresses and lengths have 8 bytes.
//
//	superblock      version 2: signature, 2, 8, 8, 0, base address 0, no extension, end of file, root group, checksum
//	object header   "OHDR", 2, flags 2 (length of messages in 4 bytes), length, messages, checksum
//	message         type u8, length u16, flags u8, content
//	group           messages link info (2, none indexed), group info (10), attributes (12), one hard link (6) per child
//	dataset         messages dataspace (1, version 2), datatype (3, fixed point), fill value (5), layout (8, version 3, contiguous),
//	                attributes (12, version 3, fixed text of ASCII or UTF-8)
//
// Checksums are Jenkins' lookup3 over all bytes of the superblock or header before them. Every HDF5 library since 1.8 reads
// these files.
package hdf5
