package calibws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
)

// Doc holds the fields of a constant's document that are read. Documents of other programs are accepted.
type Doc struct {
	ID        text  `json:"_id,omitempty"`
	Detector  any   `json:"detector"`
	Run       whole `json:"run"`
	RunEnd    any   `json:"run_end"` // number or "end"
	DataID    text  `json:"id_data"`
	ExtPars   any   `json:"extpars"` // JSON text
	DataType  text  `json:"data_type"`
	DataDType text  `json:"data_dtype"`
	DataShape any   `json:"data_shape"` // text of a Python tuple; a list is taken as well
}

// newDoc is a whole document, as it is posted. Numbers that describe the data are strings in the database.
type newDoc struct {
	Doc
	Experiment string `json:"experiment"`
	CType      string `json:"ctype"`
	DType      string `json:"dtype"` // "ndarray"
	TimeSec    int64  `json:"time_sec"`
	TimeStamp  string `json:"time_stamp"`
	Version    string `json:"version"`
	Comment    string `json:"comment"`
	UID        string `json:"uid"`
	Host       string `json:"host"`
	Cwd        string `json:"cwd"`
	ExpDataID  any    `json:"id_data_exp"` // 0 in the experiment's database
	ExpDocID   any    `json:"id_doc_exp"`
	DetName    string `json:"detname"`
	LongName   string `json:"longname"`
	ShortName  string `json:"shortname"`
	DetType    string `json:"dettype"`
	RunOrig    int    `json:"run_orig"`
	StampOrig  string `json:"tstamp_orig"`
	FileName   string `json:"iofname"`
	DataSize   string `json:"data_size"`
	DataNDim   string `json:"data_ndim"`
}

// text is a string; a number stands for its digits, {"$oid": "x"} for x.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
	case string:
		*t = text(v)
	case float64:
		*t = text(b)
	case map[string]any:
		id, ok := v["$oid"].(string)
		if !ok {
			return fmt.Errorf("%s is no text", b)
		}
		*t = text(id)
	default:
		return fmt.Errorf("%s is no text", b)
	}
	return nil
}

// whole is a whole number, however it is written: 7 or 7.0. A text is none: psana does not find it either.
type whole int

// UnmarshalJSON implements json.Unmarshaler.
func (w *whole) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	f, ok := v.(float64)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<31 {
		return fmt.Errorf("%s is no whole number", b)
	}
	*w = whole(f)
	return nil
}

// parseDocs reads the documents of an answer one by one, so that one that cannot be read does not hide the
// others. The notes name what was passed over.
func parseDocs[T any](raw []json.RawMessage, where string) (docs []T, notes []string) {
	for _, text := range raw {
		var d T
		if err := json.Unmarshal(text, &d); err != nil {
			var id struct {
				ID any `json:"_id"`
			}
			_ = json.Unmarshal(text, &id) // without an id it is named by its place only
			notes = append(notes, fmt.Sprintf("document %v of %s cannot be read and is passed over: %v", id.ID, where, err))
			continue
		}
		docs = append(docs, d)
	}
	return docs, notes
}

// extPars are the values in extpars.
type extPars struct {
	Content any    `json:"content"`
	Command any    `json:"command"`
	Deploy  string `json:"rawstatus_id,omitempty"` // id of the record
	SHA256  string `json:"rawstatus_sha256,omitempty"`
}

// ext reads extpars; what others have written there does not matter.
func (d *Doc) ext() (e extPars) {
	text, _ := d.ExtPars.(string)
	if json.Unmarshal([]byte(text), &e) != nil {
		return extPars{}
	}
	return e
}

// validity returns the runs of a document as psana takes them; false for a document that psana ignores.
func (d *Doc) validity() (calib.Range, bool) {
	r := calib.Range{Begin: int(d.Run), End: calib.Last}
	switch end := d.RunEnd.(type) {
	case float64:
		if end != math.Trunc(end) || end < 0 || end > calib.Last {
			return r, false
		}
		r.End = int(end)
	case string:
		n, err := strconv.Atoi(end)
		if err != nil && end != "end" {
			return r, false
		}
		if err == nil {
			r.End = n
		}
	default:
		return r, false
	}
	return r, r.Begin >= 0 && r.Begin <= r.End && r.End <= calib.Last
}

// deployed returns the time in the id; 0 when it has none.
func (d *Doc) deployed() int64 {
	if len(d.ID) < 8 {
		return 0
	}
	t, err := strconv.ParseInt(string(d.ID[:8]), 16, 64)
	if err != nil {
		return 0
	}
	return t
}

// parseShape reads dimensions: the text of a Python tuple, or a list of numbers.
func parseShape(v any) ([]int, error) {
	var words []string
	switch v := v.(type) {
	case string:
		inner, ok := strings.CutPrefix(strings.TrimSpace(v), "(")
		inner, ok2 := strings.CutSuffix(inner, ")")
		if !ok || !ok2 {
			return nil, fmt.Errorf("shape %q is not a tuple", v)
		}
		words = strings.Split(strings.TrimSuffix(strings.TrimSpace(inner), ","), ",")
	case []any:
		for _, d := range v {
			words = append(words, fmt.Sprint(d))
		}
	}
	var shape []int
	n := 1
	for _, word := range words {
		d, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || d <= 0 || n > maxValues/d {
			return nil, fmt.Errorf("shape %v is not a tuple of dimensions", v)
		}
		n *= d
		shape = append(shape, d)
	}
	if len(shape) == 0 {
		return nil, fmt.Errorf("shape %v is not a tuple", v)
	}
	return shape, nil
}

// maxValues bounds what a document can make us allocate: eight times the largest detector.
const maxValues = 8 * 3 * 32 * 512 * 1024

// element returns how elements of the document's data are read.
func (d *Doc) element(real bool) (width int, read func(to *elements, b []byte), err error) {
	words := map[text]func(to *elements, b []byte){
		"uint8": reading(1, func(b []byte) uint8 { return b[0] }), "uint16": reading(2, binary.LittleEndian.Uint16), "uint32": reading(4, binary.LittleEndian.Uint32),
		"uint64": reading(8, binary.LittleEndian.Uint64), "int64": reading(8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }),
	}
	floats := map[text]func(to *elements, b []byte){
		"float32": reading(4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }),
		"float64": reading(8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }),
	}
	width = map[text]int{"uint8": 1, "uint16": 2, "uint32": 4, "float32": 4, "uint64": 8, "int64": 8, "float64": 8}[d.DataDType]
	switch read = words[d.DataDType]; {
	case d.DataType != "ndarray" || width == 0:
		err = fmt.Errorf("data of type %s %s are not an array that is known", d.DataType, d.DataDType)
	case read == nil && !real:
		err = fmt.Errorf("data of type %s %s are not status words", d.DataType, d.DataDType)
	case read == nil:
		read = floats[d.DataDType]
	}
	return width, read, err
}

// elements are those of an array as far as they have been read: words, or with real numbers, whatever they are stored as.
type elements struct {
	real    bool
	words   calibtxt.Sparse
	numbers []float32
}

// reading returns a function that appends elements of a type to others.
func reading[T uint8 | uint16 | uint32 | uint64 | int64 | float32 | float64](width int, of func(b []byte) T) func(to *elements, b []byte) {
	return func(to *elements, b []byte) {
		for ; len(b) >= width; b = b[width:] {
			if v := of(b); to.real {
				to.numbers = append(to.numbers, float32(v))
			} else {
				if word := uint64(v); word != 0 {
					to.words.At, to.words.Words = append(to.words.At, uint32(to.words.Pixels)), append(to.words.Words, word)
				}
				to.words.Pixels++
			}
		}
	}
}

// array returns the values of a document's data, of which size bytes are announced (-1: none are).
func (d *Doc) array(r io.Reader, size int64, real bool) (*calib.Array, string, error) {
	bad := func(err error) error {
		return fault.New(fault.Input, "calibws: document %s of %v: %w", d.ID, d.Detector, err)
	}
	shape, err := parseShape(d.DataShape)
	if err != nil {
		return nil, "", bad(err)
	}
	width, read, err := d.element(real)
	if err != nil {
		return nil, "", bad(err)
	}
	n := 1
	for _, k := range shape {
		n *= k
	}
	if size >= 0 && size != int64(n*width) {
		return nil, "", bad(fmt.Errorf("the data have %d bytes, shape %v of %s takes %d", size, shape, d.DataDType, n*width))
	}
	to := elements{real: real}
	if real && size >= 0 { // else it is not known that so much will arrive
		to.numbers = make([]float32, 0, n)
	}
	h := sha256.New()
	b := make([]byte, 1<<16)
	for left := n * width; left > 0; {
		part := b[:min(left, len(b))]
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, "", fmt.Errorf("%w: %d bytes of %d are missing", io.ErrUnexpectedEOF, left, n*width)
		}
		h.Write(part)
		left -= len(part)
		read(&to, part)
	}
	if m, _ := io.ReadFull(r, b[:1]); m > 0 {
		return nil, "", bad(fmt.Errorf("the data have more than the %d bytes of shape %v", n*width, shape))
	}
	a := &calib.Array{Shape: shape, Words: to.words}
	if real {
		a.Numbers = [][]float32{to.numbers}
	}
	return a, hex.EncodeToString(h.Sum(nil)), nil
}

// rawBody returns an array as it is sent.
func rawBody(a *calib.Array) *body {
	return &body{a.Size(), "application/octet-stream", func() io.Reader { return outgoing{a.Bytes()} }}
}

// holds reports whether the data of a document are those of an array, and the document says so.
func (c *Client) holds(ctx context.Context, db string, d Doc, want *calib.Array) (same bool, err error) {
	if shape, err := parseShape(d.DataShape); err != nil || !slices.Equal(shape, want.Shape) || string(d.DataDType) != want.DType() {
		return false, err
	}
	err = c.Data(ctx, db, string(d.DataID), func(r *answered) error {
		left := want.Bytes()
		for b := make([]byte, 1<<18); ; {
			k, err := r.Read(b)
			for got := b[:k]; len(got) > 0; {
				next := left.Next(len(got))
				if same = len(next) > 0 && bytes.Equal(got[:len(next)], next); !same {
					return nil
				}
				got = got[len(next):]
			}
			if err == io.EOF {
				same = len(left.Next(1)) == 0
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	return same, err
}

// stampForm is the time in documents.
const stampForm = "2006-01-02T15:04:05-0700"

// read returns the array of a document and the SHA-256 of its bytes.
func (c *Client) read(ctx context.Context, db string, d Doc, real bool) (a *calib.Array, sum string, err error) {
	err = c.Data(ctx, db, string(d.DataID), func(r *answered) error {
		a, sum, err = d.array(r, r.size, real)
		return err
	})
	return a, sum, err
}

// stamp writes a time as documents have it.
func stamp(t time.Time) string { return t.Format(stampForm) }
