// Package codec turns the stored bytes of frames into pixels.
//
// A Decoder is made once for a panel. Where pixels are stored in order, at a fixed number of bytes each, it decodes
// a part of a frame from a part of its bytes, and a cropped panel takes only the rows it needs. Other codecs need all
// bytes of a frame, and decode only the rows that are wanted where their layout allows that.
package codec
