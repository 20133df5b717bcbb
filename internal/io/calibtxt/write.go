package calibtxt

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Header is the header of an NDArrIO file.
type Header struct {
	Comments []string
	Host     string
	WorkDir  string
	FileName string
	Time     time.Time // written in its own location
	UID      string
	Shape    []int
}

// append adds the header's lines for an array of the given type.
func (h *Header) append(b []byte, dtype string) []byte {
	for _, c := range h.Comments {
		b = fmt.Appendf(b, "# %s\n", oneLine(c))
	}
	line := func(key, value string) { b = fmt.Appendf(b, "# %-12s%s\n", key, oneLine(value)) }
	b = append(b, '\n')
	line("HOST", h.Host)
	line("WORK_DIR", h.WorkDir)
	line("FILE_NAME", h.FileName)
	line("DATE_TIME", h.Time.Format("2006-01-02T15:04:05"))
	line("UID", h.UID)
	line("SHAPE", Tuple(h.Shape, ""))
	line("DATATYPE", dtype)
	b = append(b, '\n')
	line("DTYPE", dtype)
	line("NDIM", strconv.Itoa(len(h.Shape)))
	for i, n := range h.Shape {
		line("DIM:"+strconv.Itoa(i), strconv.Itoa(n))
	}
	return append(b, '\n')
}

// oneLine keeps a header's value from starting a line of its own.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
}

// Tuple writes a shape as a Python tuple, its elements separated by a comma and sep.
func Tuple(shape []int, sep string) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.Itoa(n)
	}
	if len(parts) == 1 {
		return "(" + parts[0] + ",)"
	}
	return "(" + strings.Join(parts, ","+sep) + ")"
}

// WritePlain writes a 2-d array of cols columns in the plain format. a.Pixels is a multiple of cols.
func WritePlain(w io.Writer, a Sparse, cols int) error {
	if cols <= 0 || a.Pixels%cols != 0 {
		panic(fmt.Sprintf("io/calibtxt: %d values do not make rows of %d", a.Pixels, cols))
	}
	return writeRows(w, nil, a, cols)
}

// WriteArray writes an array of the header's shape as uint64 in the NDArrIO format.
func WriteArray(w io.Writer, h Header, a Sparse) error {
	n := 1
	for _, d := range h.Shape {
		n *= d
	}
	if len(h.Shape) == 0 || n != a.Pixels {
		panic(fmt.Sprintf("io/calibtxt: shape %v does not hold %d values", h.Shape, a.Pixels))
	}
	b := h.append(make([]byte, 0, chunk+slack), "uint64")
	if len(h.Shape) > 1 {
		return writeRows(w, b, a, h.Shape[len(h.Shape)-1])
	}
	b = append(b, '\n', ' ')
	for _, v := range a.Dense() {
		b = append(appendUint(b, v), ' ')
		if len(b) >= chunk {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}

const (
	chunk = 256 << 10 // bytes collected before they are written
	slack = 64        // room for one more value and its separator
)

// writeRows writes what b already holds and then rows of cols values. Rows of zeros are copied from their text, in which a
// value begins at twice its position.
func writeRows(w io.Writer, b []byte, a Sparse, cols int) error {
	if cap(b) == 0 {
		b = make([]byte, 0, chunk+slack)
	}
	template := bytes.Repeat([]byte("0 "), cols*max(1, (chunk/4)/cols))
	for i := 2*cols - 1; i < len(template); i += 2 * cols {
		template[i] = '\n'
	}
	rows := len(template) / 2
	next := 0 // the value to be written
	zeros := func(end int) error {
		for next < end {
			n := min(end-next, rows-next%rows, (chunk-len(b))/2+1)
			b = append(b, template[2*(next%rows):2*(next%rows+n)]...)
			if next += n; len(b) >= chunk {
				if _, err := w.Write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
		return nil
	}
	for i, at := range a.At {
		if err := zeros(int(at)); err != nil {
			return err
		}
		b = append(appendUint(b, a.Words[i]), template[2*(next%cols)+1])
		if next++; len(b) >= chunk {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if err := zeros(a.Pixels); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// zeros counts the leading values that are 0.
func zeros(a []uint64) (n int) {
	for n+8 <= len(a) {
		v := a[n:][:8]
		if v[0]|v[1]|v[2]|v[3]|v[4]|v[5]|v[6]|v[7] != 0 {
			break
		}
		n += 8
	}
	for n < len(a) && a[n] == 0 {
		n++
	}
	return n
}

// appendUint is strconv.AppendUint with a short way for the values that fill status arrays.
func appendUint(b []byte, v uint64) []byte {
	if v < 10 {
		return append(b, byte('0'+v))
	}
	return strconv.AppendUint(b, v, 10)
}
