// Package npy reads and writes NumPy's .npy files, and makes a .npy file of frames a run.
//
// The format, all of it that is supported:
//
//	offset  size  field
//	0       6     magic 93 4E 55 4D 50 59 ("\x93NUMPY")
//	6       1     major version: 1, 2 or 3
//	7       1     minor version: 0
//	8       2|4   header length H; u16 little-endian in version 1, u32 in versions 2 and 3
//	10|12   H     header: a Python dict literal, padded with spaces, ended by a newline;
//	              ASCII (version 3: UTF-8) with exactly the keys
//	                'descr'          one type string, see below
//	                'fortran_order'  True or False
//	                'shape'          tuple of integers; () is one scalar
//	...           product(shape) values, packed
//
// Type strings are a byte order ('<' little, '>' big, '|' none, '=' taken as little), a kind and a size
// in bytes: u1 u2 u4 u8, i1 i2 i4 i8, f4 f8, b1 (one byte, 0 or 1). Structured, string, complex, half
// and object types are refused. With fortran_order the first index runs fastest; Read delivers C order
// always. Bytes behind the values are ignored, as NumPy does.
//
// Written files are version 1, little-endian, C order, values at a multiple of 64 bytes.
//
// Source: numpy/lib/format.py and the NumPy enhancement proposal 1.
package npy
