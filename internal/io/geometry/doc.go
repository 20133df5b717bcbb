// Package geometry reads the geometry constants of psana and finds where each pixel lies in the detector's picture.
//
// A file is text. Lines that begin with '#' are comments; every other line places one object in its parent:
//
//	parent index  object index  x0 y0 z0  rot_z rot_y rot_x  tilt_z tilt_y tilt_x
//
// with micrometres and degrees. An object whose name is that of a segment type (EPIX10KA:V1, JUNGFRAU:V2, MTRX:rows:cols:y:x,
// ...) has pixels; the array of the detector has the segments in the order of the file. The parent that is no object itself
// is the top. A point of an object is rotated about z, y and x by the sum of rotation and tilt, then moved.
//
// The picture is psana's: x of the top counts rows, y counts columns, in pixels of the first segment's size, from the
// smallest coordinate on. Pixels at the edge of a chip, which are larger, are where psana puts them by default.
package geometry
