package calibws

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
)

// Doc is a document of a constant, with the fields that are used here. Numbers that describe the data are
// strings in the database.
type Doc struct {
	ID         string `json:"_id,omitempty"`
	Experiment string `json:"experiment"`
	Run        int    `json:"run"`
	RunEnd     any    `json:"run_end"` // number or "end"
	Detector   string `json:"detector"`
	CType      string `json:"ctype"`
	DType      string `json:"dtype"` // "ndarray"
	TimeSec    int64  `json:"time_sec"`
	TimeStamp  string `json:"time_stamp"`
	Version    string `json:"version"`
	Comment    string `json:"comment"`
	UID        string `json:"uid"`
	Host       string `json:"host"`
	Cwd        string `json:"cwd"`
	DataID     string `json:"id_data"`
	ExpDataID  any    `json:"id_data_exp"` // 0 in the experiment's database
	ExpDocID   any    `json:"id_doc_exp"`
	DetName    string `json:"detname"`
	LongName   string `json:"longname"`
	ShortName  string `json:"shortname"`
	DetType    string `json:"dettype"`
	RunOrig    int    `json:"run_orig"`
	StampOrig  string `json:"tstamp_orig"`
	FileName   string `json:"iofname"`
	ExtPars    string `json:"extpars"` // JSON text
	DataType   string `json:"data_type"`
	DataDType  string `json:"data_dtype"`
	DataSize   string `json:"data_size"`
	DataNDim   string `json:"data_ndim"`
	DataShape  string `json:"data_shape"`
}

// extPars is what extpars tells.
type extPars struct {
	Content string   `json:"content"`
	Command []string `json:"command"`
	Deploy  string   `json:"rawstatus_id,omitempty"` // id of the record
	SHA256  string   `json:"rawstatus_sha256,omitempty"`
}

// ext reads extpars; what others have written there does not matter.
func (d *Doc) ext() (e extPars) {
	if json.Unmarshal([]byte(d.ExtPars), &e) != nil {
		return extPars{}
	}
	return e
}

// validity gives the runs of a document as psana takes them; false for a document that psana ignores.
func (d *Doc) validity() (calib.Range, bool) {
	r := calib.Range{Begin: d.Run, End: calib.Last}
	switch end := d.RunEnd.(type) {
	case float64:
		r.End = int(end)
	case string:
		n, err := strconv.Atoi(end)
		if err != nil && end != "end" {
			return r, false
		}
		if err == nil {
			r.End = n
		}
	case nil:
		return r, false
	}
	return r, r.Begin >= 0 && r.Begin <= r.End && r.End <= calib.Last
}

// deployed gives the time that the id tells; 0 when it tells none.
func (d *Doc) deployed() int64 {
	if len(d.ID) < 8 {
		return 0
	}
	t, err := strconv.ParseInt(d.ID[:8], 16, 64)
	if err != nil {
		return 0
	}
	return t
}

// parseShape reads a Python tuple of dimensions.
func parseShape(s string) ([]int, error) {
	inner, ok := strings.CutPrefix(strings.TrimSpace(s), "(")
	inner, ok2 := strings.CutSuffix(inner, ")")
	if !ok || !ok2 {
		return nil, fmt.Errorf("shape %q is not a tuple", s)
	}
	var shape []int
	n := 1
	for _, word := range strings.Split(strings.TrimSuffix(strings.TrimSpace(inner), ","), ",") {
		d, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || d <= 0 || n > maxValues/d {
			return nil, fmt.Errorf("shape %q is not a tuple of dimensions", s)
		}
		n *= d
		shape = append(shape, d)
	}
	return shape, nil
}

// maxValues bounds what a document can make us allocate: eight times the largest detector.
const maxValues = 8 * 3 * 32 * 512 * 1024

// array makes the values of a document's data, of which size bytes are announced (-1: none are).
func (d *Doc) array(r io.Reader, size int64) (*calib.Array, string, error) {
	bad := func(err error) error {
		return fault.New(fault.Input, "calibws: document %s of %s: %w", d.ID, d.ShortName, err)
	}
	shape, err := parseShape(d.DataShape)
	if err != nil {
		return nil, "", bad(err)
	}
	width, ok := map[string]int{"uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "int64": 8}[d.DataDType]
	if !ok || d.DataType != "ndarray" {
		return nil, "", bad(fmt.Errorf("data of type %s %s are not status words", d.DataType, d.DataDType))
	}
	n := 1
	for _, k := range shape {
		n *= k
	}
	if size >= 0 && size != int64(n*width) {
		return nil, "", bad(fmt.Errorf("the data have %d bytes, shape %v of %s takes %d", size, shape, d.DataDType, n*width))
	}
	a := &calib.Array{Shape: shape}
	if size >= 0 {
		a.Values = make([]uint64, 0, n)
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
		for ; len(part) > 0; part = part[width:] {
			a.Values = append(a.Values, word(part, width))
		}
	}
	if m, _ := io.ReadFull(r, b[:1]); m > 0 {
		return nil, "", bad(fmt.Errorf("the data have more than the %d bytes of shape %v", n*width, shape))
	}
	return a, hex.EncodeToString(h.Sum(nil)), nil
}

func word(b []byte, width int) uint64 {
	switch width {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// rawReader delivers an array as the bytes that the database stores.
type rawReader struct {
	values []uint64
	rest   []byte
	buf    [1 << 15]byte
}

// Read implements io.Reader.
func (r *rawReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if len(r.values) == 0 {
			return 0, io.EOF
		}
		n := min(len(r.values), len(r.buf)/8)
		for i, v := range r.values[:n] {
			binary.LittleEndian.PutUint64(r.buf[8*i:], v)
		}
		r.values, r.rest = r.values[n:], r.buf[:8*n]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// rawBody is an array as it is sent, and its SHA-256.
func rawBody(a *calib.Array) (*body, string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, &rawReader{values: a.Values}); err != nil {
		return nil, "", err
	}
	return &body{int64(8 * len(a.Values)), "application/octet-stream", func() io.Reader { return &rawReader{values: a.Values} }},
		hex.EncodeToString(h.Sum(nil)), nil
}

// stampForm is the time in documents.
const stampForm = "2006-01-02T15:04:05-0700"

// read gives the array of a document and the SHA-256 of its bytes.
func (c *Client) read(ctx context.Context, db string, d Doc) (a *calib.Array, sum string, err error) {
	err = c.Data(ctx, db, d.DataID, func(r *answered) error {
		a, sum, err = d.array(r, r.size)
		return err
	})
	return a, sum, err
}

// stamp writes a time as documents have it.
func stamp(t time.Time) string { return t.Format(stampForm) }
