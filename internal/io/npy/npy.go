package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// File is a file in memory.
type File struct {
	Shape []int // empty for a scalar
	// Data are the values in C order (last index fastest): a slice of uint8 ... uint64, int8 ... int64,
	// float32, float64 or bool.
	Data any
}

// chunk is how many bytes are converted at once.
const chunk = 1 << 16

// Read reads a file whole.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, openError(err)
	}
	return Decode(f, st.Size(), path)
}

// Open reads the header of a file and leaves the file open; values start at Header.Offset.
func Open(path string) (Header, *os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, nil, openError(err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return Header{}, nil, openError(err)
	}
	h, err := ReadHeader(f, st.Size(), path)
	if err != nil {
		f.Close()
		return Header{}, nil, err
	}
	return h, f, nil
}

func openError(err error) error {
	err = fmt.Errorf("npy: %w", err)
	if fault.CodeOf(err) == fault.Temporary {
		return err
	}
	return fault.New(fault.Input, "%w", err)
}

// Decode reads a file of size bytes from r. name is for errors.
func Decode(r io.ReaderAt, size int64, name string) (*File, error) {
	h, err := ReadHeader(r, size, name)
	if err != nil {
		return nil, err
	}
	a := &File{Shape: h.Shape}
	body := io.NewSectionReader(r, h.Offset, int64(h.Count())*int64(h.DType.Size))
	switch h.DType.String()[1:] {
	case "u1":
		a.Data, err = decode[uint8](body, h)
	case "u2":
		a.Data, err = decode[uint16](body, h)
	case "u4":
		a.Data, err = decode[uint32](body, h)
	case "u8":
		a.Data, err = decode[uint64](body, h)
	case "i1":
		a.Data, err = decode[int8](body, h)
	case "i2":
		a.Data, err = decode[int16](body, h)
	case "i4":
		a.Data, err = decode[int32](body, h)
	case "i8":
		a.Data, err = decode[int64](body, h)
	case "f4":
		a.Data, err = decode[float32](body, h)
	case "f8":
		a.Data, err = decode[float64](body, h)
	case "b1":
		a.Data, err = decode[bool](body, h)
	}
	if err != nil {
		return nil, fmt.Errorf("npy: could not read the values of %q: %w", name, err)
	}
	return a, nil
}

func decode[T any](r io.Reader, h Header) ([]T, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if h.DType.Big {
		order = binary.BigEndian
	}
	out := make([]T, h.Count())
	buf := make([]byte, min(chunk, len(out)*h.DType.Size))
	for rest := out; len(rest) > 0; {
		n := min(len(rest), chunk/h.DType.Size)
		b := buf[:n*h.DType.Size]
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		if _, err := binary.Decode(b, order, rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	if h.Fortran {
		out = transpose(out, h.Shape)
	}
	return out, nil
}

// transpose brings values whose first index runs fastest into C order.
func transpose[T any](in []T, shape []int) []T {
	out := make([]T, len(in))
	index := make([]int, len(shape))
	for _, v := range in {
		to := 0
		for i, d := range shape {
			to = to*d + index[i]
		}
		out[to] = v
		for i := range index {
			if index[i]++; index[i] < shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return out
}

// Write makes a file of values in C order; data as Array.Data. The file appears whole.
func Write(path string, shape []int, data any) error {
	return atomicfile.Write(path, atomicfile.Options{}, func(w io.Writer) error { return Encode(w, shape, data) })
}

// Encode writes a file of values in C order to w; data as Array.Data. Data of another type, or of a
// length that is not that of the shape, is a mistake of the caller: Encode panics.
func Encode(w io.Writer, shape []int, data any) error {
	switch v := data.(type) {
	case []uint8:
		return encode(w, 'u', shape, v)
	case []uint16:
		return encode(w, 'u', shape, v)
	case []uint32:
		return encode(w, 'u', shape, v)
	case []uint64:
		return encode(w, 'u', shape, v)
	case []int8:
		return encode(w, 'i', shape, v)
	case []int16:
		return encode(w, 'i', shape, v)
	case []int32:
		return encode(w, 'i', shape, v)
	case []int64:
		return encode(w, 'i', shape, v)
	case []float32:
		return encode(w, 'f', shape, v)
	case []float64:
		return encode(w, 'f', shape, v)
	case []bool:
		return encode(w, 'b', shape, v)
	}
	panic(fmt.Sprintf("npy: Encode of %T", data))
}

func encode[T any](w io.Writer, kind byte, shape []int, data []T) error {
	var zero T
	h := Header{DType: DType{Kind: kind, Size: binary.Size(zero)}, Shape: shape}
	if h.Count() != len(data) {
		panic(fmt.Sprintf("npy: Encode of %d values with shape %v", len(data), shape))
	}
	if _, err := w.Write(h.bytes()); err != nil {
		return err
	}
	buf := make([]byte, 0, min(chunk, len(data)*h.DType.Size))
	for len(data) > 0 {
		n := min(len(data), chunk/h.DType.Size)
		b, err := binary.Append(buf, binary.LittleEndian, data[:n])
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
