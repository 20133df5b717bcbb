package calibtxt

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"rawstatus/internal/fault"
)

// Error reports a mistake in a text file and where it is.
type Error struct {
	File string
	Line int // counted from 1; 0 when the file as a whole is meant
	What string
	Want string
	Got  string
}

func (e *Error) Error() string {
	where := strconv.Quote(e.File)
	if e.Line > 0 {
		where += " line " + strconv.Itoa(e.Line)
	}
	return fmt.Sprintf("calibtxt: %s: %s: wanted %s, got %s", where, e.What, e.Want, e.Got)
}

// maxLine bounds the memory that one line of a file can claim.
const maxLine = 1 << 30

// lines delivers the lines of a file, the header first.
type lines struct {
	r    *bufio.Reader
	name string
	size int64 // of the file, or -1 when unknown
	n    int   // number of the line that next returned last
	long []byte
	// The header.
	dtype  string
	ndim   int
	dims   []int
	first  []byte // first line of data, already read; nil at the end of the file
	header bool   // a NDIM or DIM line was seen
}

// next returns the next line without its end, valid until the following call; io.EOF after the last.
func (l *lines) next() ([]byte, error) {
	if l.first != nil {
		line := l.first
		l.first = nil
		return line, nil
	}
	line, err := l.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		l.long = l.long[:0]
		for err == bufio.ErrBufferFull {
			if l.long = append(l.long, line...); len(l.long) > maxLine {
				return nil, l.fail("line", "at most 1 GiB", "more")
			}
			line, err = l.r.ReadSlice('\n')
		}
		line = append(l.long, line...)
		l.long = line
	}
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("could not read %q: %w", l.name, err)
	}
	if err == io.EOF && len(line) == 0 {
		return nil, io.EOF
	}
	l.n++
	return bytes.TrimRight(line, "\r\n"), nil
}

func (l *lines) fail(what, want, got string) error {
	return l.failAt(l.n, what, want, got)
}

func (l *lines) failAt(line int, what, want, got string) error {
	return fault.New(fault.Input, "%w", &Error{File: l.name, Line: line, What: what, Want: want, Got: got})
}

// open reads the header: the leading lines that are empty or begin with '#'.
func open(r io.Reader, size int64, name string) (*lines, error) {
	buffer := 64 << 10
	if size >= 0 {
		buffer = int(min(size+1, 64<<10)) // small files are read by the thousand in tests of the protocol
	}
	l := &lines{r: bufio.NewReaderSize(r, buffer), name: name, size: size, ndim: -1}
	for {
		line, err := l.next()
		if err == io.EOF {
			return l, nil
		}
		if err != nil {
			return nil, err
		}
		if len(line) > 0 && line[0] != '#' {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			l.first = line
			return l, nil
		}
		if err := l.keyword(bytes.Fields(line)); err != nil {
			return nil, err
		}
	}
}

// keyword takes up a header line that psana recognises.
func (l *lines) keyword(f [][]byte) error {
	if len(f) < 3 || string(f[0]) != "#" {
		return nil
	}
	key, value := string(f[1]), string(f[2])
	switch {
	case key == "DTYPE":
		l.dtype = value
	case key == "NDIM", bytes.Contains(f[1], []byte("DIM:")):
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > 1<<40 {
			return l.fail("header "+key, "a whole number", strconv.Quote(value))
		}
		l.header = true
		if key == "NDIM" {
			l.ndim = n
		} else {
			l.dims = append(l.dims, n)
		}
	}
	return nil
}

// product multiplies dimensions; false when the result does not fit the number of values that a file of
// this size can hold.
func (l *lines) product() (int, bool) {
	limit := int64(1) << 40
	if l.size >= 0 {
		limit = l.size/2 + 1 // a value is a digit and a separator
	}
	n := int64(1)
	for _, d := range l.dims {
		if d != 0 && n > limit/int64(d) {
			return 0, false
		}
		n *= int64(d)
	}
	return int(n), true
}

// Status is an array of status words with its shape.
type Status struct {
	Sparse
	Shape []int
	// Header reports whether the file states its own shape.
	Header bool
}

// ReadStatusFile is [ReadStatus] of a file.
func ReadStatusFile(path string, want []int) (*Status, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, inputError(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, inputError(err)
	}
	return ReadStatus(f, st.Size(), path, want)
}

// inputError makes a missing or unreadable file an input error and leaves temporary conditions alone.
func inputError(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return fault.New(fault.Input, "calibtxt: %w", err)
	}
	return err
}

// ReadStatus reads an array of status words exactly. size is that of the file, or -1 when unknown; name
// is for messages. The shape is that of the header, else rows and columns as found; with want it must be
// that one.
func ReadStatus(r io.Reader, size int64, name string, want []int) (*Status, error) {
	l, err := open(r, size, name)
	if err != nil {
		return nil, err
	}
	count, err := l.checkHeader()
	if err != nil {
		return nil, err
	}
	var a Sparse
	rows, cols := 0, 0
	var row []uint64
	var good []byte // the text of a row of zeros
	for {
		line, err := l.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		n := cols
		if len(good) == 0 || !bytes.Equal(line, good) {
			if row, err = l.statusRow(row[:0], line); err != nil {
				return nil, err
			}
			n = len(row)
			for i, v := range row {
				if v != 0 {
					a.At, a.Words = append(a.At, uint32(a.Pixels+i)), append(a.Words, v)
				}
			}
		}
		switch {
		case n == 0:
		case rows > 0 && n != cols:
			return nil, l.fail("row", fmt.Sprintf("%d values as in the rows above", cols), strconv.Itoa(n))
		default:
			if rows == 0 {
				good = bytes.Repeat([]byte("0 "), n)[:2*n-1]
			}
			rows, cols = rows+1, n
			if a.Pixels += n; l.header && a.Pixels > count {
				return nil, l.fail("data", fmt.Sprintf("%d values as the header says", count), "more")
			}
			if a.Pixels > math.MaxUint32 {
				return nil, l.fail("data", fmt.Sprintf("at most %d values", uint32(math.MaxUint32)), "more")
			}
		}
	}
	if a.Pixels == 0 {
		return nil, l.failAt(0, "data", "status words", "none")
	}
	shape := []int{rows, cols}
	if l.header {
		if a.Pixels != count {
			return nil, l.failAt(0, "data", fmt.Sprintf("%d values as the header says", count), strconv.Itoa(a.Pixels))
		}
		shape = l.dims
		if last := shape[len(shape)-1]; len(shape) > 1 && last != cols {
			return nil, l.failAt(0, "rows", fmt.Sprintf("%d values as the header's last dimension", last), strconv.Itoa(cols))
		}
	}
	if want != nil && !slices.Equal(shape, want) {
		return nil, l.failAt(0, "shape", Tuple(want, ""), Tuple(shape, ""))
	}
	return &Status{a, shape, l.header}, nil
}

// checkHeader checks that a header is complete and that of a status array, and returns the number of its
// values.
func (l *lines) checkHeader() (int, error) {
	if k := kinds[l.dtype]; !k.integer() && l.dtype != "" {
		return 0, l.failAt(0, "header DTYPE", "an integer type", strconv.Quote(l.dtype))
	}
	if !l.header {
		return 0, nil
	}
	if len(l.dims) == 0 || l.ndim != len(l.dims) {
		return 0, l.failAt(0, "header NDIM", fmt.Sprintf("the number of DIM lines (%d)", len(l.dims)), strconv.Itoa(l.ndim))
	}
	count, ok := l.product()
	if !ok {
		return 0, l.failAt(0, "header DIM", fmt.Sprintf("an array that fits the file's %d bytes", l.size), Tuple(l.dims, ""))
	}
	return count, nil
}

// Four values of one digit, each followed by a blank, as they lie in eight bytes.
const (
	fourZeros = 0x2030203020302030 // "0 0 0 0 "
	fourOther = 0xfff0fff0fff0fff0 // bits that are 0 for any four digits
	fourSixes = 0x0006000600060006 // carries into bit 4 of what is not a digit
)

// statusRow appends the values of one line.
func (l *lines) statusRow(a []uint64, line []byte) ([]uint64, error) {
	for i := 0; i < len(line); {
		// Nearly all of a status array is words of one digit.
		for i+8 <= len(line) {
			x := binary.LittleEndian.Uint64(line[i:]) ^ fourZeros
			if (x|(x+fourSixes))&fourOther != 0 {
				break
			}
			a = append(a, x&0xf, x>>16&0xf, x>>32&0xf, x>>48&0xf)
			i += 8
		}
		if i == len(line) {
			break
		}
		c := line[i]
		if c == ' ' || c == '\t' {
			i++
			continue
		}
		if c == '#' {
			break
		}
		start := i
		var v uint64
		for ; i < len(line); i++ {
			d := line[i] - '0'
			if d > 9 {
				break
			}
			const most = (1<<64 - 1) / 10
			if v > most || v == most && d > 5 {
				return nil, l.badWord(line[start:])
			}
			v = v*10 + uint64(d)
		}
		if i == start || i < len(line) && line[i] != ' ' && line[i] != '\t' && line[i] != '#' {
			return nil, l.badWord(line[start:])
		}
		a = append(a, v)
	}
	return a, nil
}

// badWord returns an error that says what is wrong with the word at the start of text.
func (l *lines) badWord(text []byte) error {
	word := text
	if i := bytes.IndexAny(text, " \t#"); i > 0 {
		word = text[:i]
	}
	if len(word) > 40 {
		word = word[:40]
	}
	what := "status word"
	if _, err := strconv.ParseFloat(string(word), 64); err == nil {
		switch {
		case word[0] == '-':
			what = "negative status word"
		case bytes.ContainsAny(word, ".eE"):
			what = "fractional status word"
		}
	}
	return l.fail(what, "a whole number from 0 to 2^64-1", strconv.Quote(string(word)))
}
