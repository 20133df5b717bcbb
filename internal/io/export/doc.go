// Package export writes masks of bad pixels for other programs.
//
// A [Mask] holds the status words of a detector, panel by panel, after the caller has chosen bits and combined gain
// modes: a pixel is masked when its word is not 0. [Write] writes one [Format]:
//
//	npy           numpy array: uint8 with 1 = masked, 1 = good with Options.GoodIsOne, or the words as uint64
//	edf           ESRF data format (silx, pyFAI): ASCII header of a multiple of 512 bytes, then rows of uint8, 1 = masked
//	msk           Fit2D mask: 1024 bytes of header, then per row ceil(cols/32) little-endian words of 32 pixels
//	list          text "panel row column status names", one line per masked pixel, all numbers from 0
//	crystfel      bad regions for a CrystFEL geometry file: inclusive corners in the coordinates of the data array
//	dials         regions for dials.generate_mask: half-open rectangles "x0 x1 y0 y1" and pixels "y x" of a panel
//	xds           lines UNTRUSTED_RECTANGLE= x1 x2 y1 y2 of one picture: pixels count from 1, corners lie outside
//	nxmx          NeXus pixel_mask, int32 of bits, HDF5; a numpy array with Options.Plain
//	cxi           mask of CXI and Cheetah, uint16 of bits, HDF5; a numpy array with Options.Plain
//	euxfel        bad-pixel words of European XFEL, uint32, numpy array
//	areadetector  JSON for the plugin NDPluginBadPixel of EPICS areaDetector
//
// # Layout
//
// Arrays are (panels, rows, columns), or (rows, columns) of one panel. With Options.Stack, and always for edf, msk, xds and
// areadetector, panels lie one below the other: row r of the panel in position p is row p*rows + r. With Options.Picture
// panels lie where a geometry puts them; what no panel covers is a gap and is masked. Where two pixels of the detector fall
// on one pixel of the picture, that one is masked when either is.
//
// # Regions
//
// crystfel, dials and xds name rectangles: the runs of masked pixels in a row, joined with equal runs of the rows below.
// They are disjoint, inside their panel, and together the mask.
package export
