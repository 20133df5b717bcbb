// Package report makes pages that show bad pixels: one HTML file that needs no network, no server and, for
// the verdict, the facts, the table and the charts, no script.
//
// # The file
//
// Text, tables and charts (SVG) are in the page as they are shown. What the maps need follows as arrays,
// each in a <script type="application/octet-stream"> of its own: base64 of a zlib stream. The element
// "meta" describes them as JSON.
//
//	s<u>      status of unit u = gain*panels + panel: one byte per pixel, an index into units[u].words;
//	          index 0 is 0 (good), 255 any word that is not among them
//	b<k>-<u>  what baseline k has: 0 the same word, n > 0 the word before n in units[u].base[k], 255 another one
//	m<q>-<u>  medians of f x f pixels of quantity q: lo + (hi-lo)*byte/254, 255 = not judged
//	t         thumbnails: for each unit rows/8 x cols/8 bytes: class of the block's pixels * 16 + log2 of their number
//	l         the list of single pixels, column by column, the bytes of a column shuffled (all first bytes,
//	          then all second, ...), little-endian: gap to the previous index (uint32; index =
//	          first pixel of the unit + pixel), kind (uint8: 0 bad, 1 newly bad, 2 newly good), then a float32 for
//	          every quantity
//
// The same input makes the same bytes. A page that would be larger than its limit leaves details out,
// in the order of [Builder.Write], and says so.
package report
