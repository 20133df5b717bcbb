package calibws

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
)

// TestPostArray: arrays of each kind arrive as numpy has them in memory, also again on a connection that is kept.
func TestPostArray(t *testing.T) {
	var got []byte
	var length int64
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		got, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"_id": "0123456789abcdef01234567"}`)
	}))
	defer ts.Close()
	c := &Client{ReadURL: ts.URL, WriteURL: ts.URL} // with the connections of the package
	n := 3<<20/8 + 77
	words, short, numbers := make([]uint64, n), make([]uint16, n), make([]float32, n)
	for i := range n {
		words[i], short[i], numbers[i] = uint64(i)*7919, uint16(i*31), float32(i)/3
	}
	for range 2 {
		for name, a := range map[string]*calib.Array{"words": {Words: calibtxt.SparseOf(words)}, "short": {Short: [][]uint16{short[:100], short[100:]}}, "numbers": {Numbers: [][]float32{numbers}}, "one": {Words: calibtxt.SparseOf(words[1:2])}} {
			want, err := io.ReadAll(a.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if id, err := c.post(context.Background(), rawBody(a), "cdb_x", gridfs); err != nil || id != "0123456789abcdef01234567" {
				t.Fatal(name, id, err)
			}
			if !bytes.Equal(got, want) || length != int64(len(want)) {
				t.Errorf("%s: %d bytes of %d arrived, or others", name, len(got), len(want))
			}
		}
	}
}
