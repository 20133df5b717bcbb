package calibws

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calib/calibtest"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/testenv"
)

// psana is a document that real psana2 has posted.
type psana struct {
	DB       string         `json:"database"`
	Coll     string         `json:"collection"`
	Document map[string]any `json:"document"`
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// goldenArray builds the array of pixel_status that psana2 has posted from its list of bad pixels.
func goldenArray(t *testing.T, dir, longName string) []byte {
	t.Helper()
	var bad map[string][][3]int
	readJSON(t, filepath.Join(dir, "jungfrau_r0011", "pixel_status.json"), &bad)
	const rows, cols = 512, 1024
	panels := strings.Split(longName, "_")[1:]
	data := make([]byte, 8*3*len(panels)*rows*cols)
	for gain := range 3 {
		for i, panel := range panels {
			for _, p := range bad[fmt.Sprintf("%s_g%d", panel, gain)] {
				at := ((gain*len(panels)+i)*rows+p[0])*cols + p[1]
				binary.LittleEndian.PutUint64(data[8*at:], uint64(p[2]))
			}
		}
	}
	return data
}

// TestDocumentsEqualThoseOfPsana2 serves the documents and arrays that real psana2 has posted, reads them back, and compares a
// deployment of ours, into the same databases, with its documents.
func TestDocumentsEqualThoseOfPsana2(t *testing.T) {
	dir := filepath.Join(testenv.Shared(t), "golden_psana2")
	if _, err := os.Stat(dir); err != nil {
		testenv.Lacking(t, "shared", err.Error())
	}
	var documents []psana
	readJSON(t, filepath.Join(dir, "calibws_docs", "documents.json"), &documents)
	var sums map[string]struct {
		Bytes  int64
		SHA256 string
	}
	readJSON(t, filepath.Join(dir, "calibws_docs", "data_sha256.json"), &sums)
	long := documents[0].Document["long"].(string)
	// pixel_min is 0 everywhere; the arrays of the other types are not kept.
	arrays := map[string][]byte{"pixel_status": goldenArray(t, dir, long), "pixel_min": make([]byte, 8*3*2*512*1024)}
	s := serve(t)
	put := func(name string, data []byte) {
		path := filepath.Join(s.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o775); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o664); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range documents {
		text, err := json.Marshal(d.Document)
		if err != nil {
			t.Fatal(err)
		}
		put(fmt.Sprintf("%s/%s/%s.json", d.DB, d.Coll, d.Document["_id"]), text)
		if ctype, ok := d.Document["ctype"].(string); ok {
			put(fmt.Sprintf("%s/gridfs/%s", d.DB, d.Document["id_data"]), arrays[ctype])
		}
	}
	open := func(ctype string) *Store {
		p := s.store(t.TempDir())
		p.Experiment, p.DetName, p.DetType, p.LongName, p.CType = "tstx00417", "jungfrau", "jungfrau", long, ctype
		return p
	}
	for ctype, data := range arrays {
		sum := sha256.Sum256(data)
		if got, want := hex.EncodeToString(sum[:]), sums["cdb_tstx00417/"+ctype].SHA256; got != want {
			t.Fatalf("%s built from the goldens has SHA-256 %s, psana2 has posted %s", ctype, got, want)
		}
		p := open(ctype)
		item, notes, err := p.Destination().Find(t.Context(), 99)
		if err != nil || item == nil || len(notes) > 0 || !strings.HasPrefix(item.Name, "cdb_tstx00417/") {
			t.Fatalf("%s: %+v, notes %q, %v", ctype, item, notes, err)
		}
		a, got, err := p.Read(t.Context(), *item)
		if err != nil || !slices.Equal(a.Shape, []int{3, 2, 512, 1024}) || got != hex.EncodeToString(sum[:]) {
			t.Errorf("%s reads as %v, SHA-256 %s, %v", ctype, a, got, err)
		}
		// Before its first run the detector's database helps out.
		if item, _, err := p.Destination().Find(t.Context(), 5); err != nil || item == nil || !strings.HasPrefix(item.Name, "cdb_jungfrau_000001/") {
			t.Errorf("%s for run 5: %+v, %v", ctype, item, err)
		}
	}
	p := open("status_extra")
	rec := calibtest.Record(calib.Range{Begin: 11, End: calib.Last}, 11, 5)
	rec.Experiment, rec.RunTime = "tstx00417", time.Date(2026, 1, 15, 20, 0, 0, 0, time.UTC)
	a := &calib.Array{Shape: []int{3, 2, 512, 1024}, Words: calibtxt.SparseOf(make([]uint64, 3*2*512*1024))}
	c := calibtest.Content(calibtest.Array(5))
	c.Array, rec.Shape = a, a.Shape
	if _, _, err := p.Destination().Deploy(t.Context(), rec, c); err != nil {
		t.Fatal(err)
	}
	differ := []string{"_id", "ctype", "comment", "uid", "host", "cwd", "version", "extpars", "iofname", "id_data", "id_data_exp", "id_doc_exp"}
	for _, d := range documents {
		if d.Document["ctype"] == "pixel_status" {
			compareDocuments(t, s.root, d, differ)
		}
	}
}

// compareDocuments compares our document in a database with that of psana2: the same fields, of the same
// types, and the same values but in the fields named.
func compareDocuments(t *testing.T, root string, theirs psana, differ []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, theirs.DB, theirs.Coll, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ours map[string]any
	for _, f := range files {
		var d map[string]any
		if readJSON(t, f, &d); d["ctype"] == "status_extra" {
			ours = d
		}
	}
	for field, want := range theirs.Document {
		got, there := ours[field]
		if !there || fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) || got != want && !slices.Contains(differ, field) {
			t.Errorf("%s: %s is %T %v, that of psana2 is %T %v", theirs.DB, field, got, got, want, want)
		}
	}
	for field := range ours {
		if _, there := theirs.Document[field]; !there {
			t.Errorf("%s: psana2 has no field %s", theirs.DB, field)
		}
	}
}
