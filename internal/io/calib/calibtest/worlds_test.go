package calibtest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/disk"
)

// TestModelDirectory plays histories in a calibration directory in memory.
func TestModelDirectory(t *testing.T) {
	playAll(t, few(1000), func(*testing.T) world {
		mem := disk.NewMemory(nil)
		return &directory{mem: mem, files: mem, root: "/calib"}
	})
}

// TestModelDatabase plays histories in the databases of a service in memory.
func TestModelDatabase(t *testing.T) {
	playAll(t, few(1000), func(*testing.T) world {
		d := &database{mem: disk.NewMemory(nil), files: disk.NewMemory(nil), root: "/db", ledger: "/ledger", url: "http://127.0.0.1/"}
		d.start()
		return d
	})
}

// TestModelFiles plays histories in a real directory: processes are killed at any moment, and work at once.
func TestModelFiles(t *testing.T) {
	playAll(t, few(150), func(t *testing.T) world { return &directory{files: files, root: filepath.Join(t.TempDir(), "calib")} })
}

// TestModelHTTP does the same in a service over HTTP.
func TestModelHTTP(t *testing.T) {
	playAll(t, few(150), func(t *testing.T) world {
		d := &database{files: files, root: filepath.Join(t.TempDir(), "db"), ledger: filepath.Join(t.TempDir(), "ledger")}
		d.start()
		s := httptest.NewUnstartedServer(d.handler)
		s.Config.ConnState = d.connection
		s.Start()
		t.Cleanup(s.Close)
		d.url = s.URL + "/"
		return d
	})
}

// few bounds the histories of short tests: the race detector makes each take ten times as long.
func few(n int) int {
	if testing.Short() {
		return n / 20
	}
	return n
}

var files = disk.Files{Policy: &access.Policy{DirMode: 0o2775, FileMode: 0o664}}

// waitLong is how long real processes wait for each other; those in memory do not.
const waitLong = time.Minute

// directory is a calibration directory.
type directory struct {
	mem   *disk.Memory // nil: real files
	files disk.Disk
	root  string
}

func (d *directory) path() string { return d.root + "/Jungfrau::CalibV1/det/status_extra" }

func (d *directory) dest(fs disk.Disk, wait time.Duration) calib.Destination {
	c, err := calibdir.New(d.root, "Jungfrau::CalibV1", "det", "status_extra", fs, time.UTC)
	if err != nil {
		panic(err)
	}
	c.LockWait = wait
	return c.Destination()
}

func (d *directory) open(at func(string) error) (calib.Destination, func()) {
	if d.mem == nil {
		return d.dest(d.files, waitLong), func() {}
	}
	process := d.mem.Process(func(primitive, name string) error { return at(primitive + " " + name) })
	return d.dest(process, 0), process.Die
}

func (d *directory) address() string { return "directory " + d.root }

func (d *directory) settle() {}

func (d *directory) real() bool { return d.mem == nil }

// entries reads names and files as psana does.
func (d *directory) entries() []entry {
	var out []entry
	list, _ := d.files.List(d.path())
	for _, e := range list {
		stem, isData := strings.CutSuffix(e.Name, ".data")
		parts := strings.Split(stem, "-")
		if !isData || len(parts) != 2 {
			continue
		}
		begin, err := strconv.Atoi(parts[0])
		end, errEnd := strconv.Atoi(parts[1])
		if parts[1] == "end" {
			end, errEnd = 9999, nil
		}
		if err != nil || errEnd != nil || begin > end {
			continue
		}
		text, err := disk.ReadFile(d.files, path.Join(d.path(), e.Name))
		if err != nil {
			panic(err)
		}
		words := strings.Fields(string(text))
		word, err := strconv.ParseUint(words[len(words)-1], 10, 64)
		if err != nil {
			panic(err)
		}
		out = append(out, entry{begin: begin, end: end, word: word})
	}
	return out
}

func (d *directory) added(old []entry, r calib.Range, word uint64) []entry {
	old = slices.DeleteFunc(old, func(e entry) bool { return e.begin == r.Begin && e.end == r.End })
	return append(old, entry{begin: r.Begin, end: r.End, word: word})
}

func (d *directory) edit(r *rand.Rand, word uint64) string {
	write := func(name, text string) string {
		if err := d.files.Make(d.path()); err != nil {
			panic(err)
		}
		if err := d.files.Replace(path.Join(d.path(), name), false, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }, nil); err != nil {
			panic(err)
		}
		return "write " + name
	}
	entries := d.entries()
	begin := r.IntN(lastRun)
	switch k := r.IntN(6); {
	case k < 2 && len(entries) > 0:
		e := entries[r.IntN(len(entries))]
		name := calib.Range{Begin: e.begin, End: e.end}.String() + ".data"
		if k == 0 {
			if err := d.files.Remove(path.Join(d.path(), name)); err != nil {
				panic(err)
			}
			return "remove " + name
		}
		return write(name, fmt.Sprintf("0 %d\n", word))
	case k == 2:
		return write([]string{"notes.txt", "7.data", "9-5.data", "a-b-c.data", ".hidden"}[r.IntN(5)], "junk")
	case k == 3:
		if err := errors.Join(d.files.Make(d.path()), d.files.Extend(d.path()+"/HISTORY", -1, []byte("file:0-end.data  copy_of:x  zone:PDT\n"))); err != nil {
			panic(err)
		}
		return "a line in HISTORY"
	case k == 4:
		return write(fmt.Sprintf("%d-end.data", begin), fmt.Sprintf("0 %d\n", word))
	}
	return write(fmt.Sprintf("%d-%d.data", begin, begin+r.IntN(3)), fmt.Sprintf("0 %d\n", word))
}

// agree wants every deployment on record to be one line in HISTORY, in their order.
func (d *directory) agree(records []calib.Record) error {
	text, err := disk.ReadFile(d.files, d.path()+"/HISTORY")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var want, got []string
	for _, r := range records {
		if r.State == calib.Done {
			want = append(want, r.History)
		}
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.Contains(line, "zone:PDT") {
			got = append(got, line)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("HISTORY has\n%s\nthe ledger\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// gc does nothing where nothing was ever deployed: what a kill has left there is removed by the next deployment.
	list, err := d.files.List(d.path())
	for _, e := range list {
		if strings.Contains(e.Name, ".tmp-") && len(records) > 0 {
			return fmt.Errorf("leftover %s", e.Name)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

func (d *directory) powerCut(r *rand.Rand) { d.mem.PowerCut(r) }

// database is a service with its files, and the ledger of who deploys there.
type database struct {
	mem     *disk.Memory // the ledger's; nil: real files
	files   disk.Disk    // the service's
	root    string
	ledger  string
	url     string
	handler http.Handler

	mu   sync.Mutex
	busy map[net.Conn]bool // connections with a request
}

// connection keeps the connections that have a request.
func (d *database) connection(c net.Conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		d.busy[c] = true
	} else {
		delete(d.busy, c)
	}
}

// settle waits until the service has done what a process that was killed has asked of it.
func (d *database) settle() {
	// Connections are accepted in their order: those of the process were before this one.
	if c, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(d.url, "http://"), "/")); err == nil {
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, c) // its end is what counts
		c.Close()
	}
	for n := 1; n > 0; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		n = len(d.busy)
		d.mu.Unlock()
	}
}

const (
	shortName = "epix10ka_000001"
	longName  = "epix10ka_panel-a-0001_panel-b-0002"
)

// start makes the service, which knows the detector.
func (d *database) start() {
	d.busy = map[net.Conn]bool{}
	d.handler = (&calibserve.Server{Root: d.root, Disk: d.files, Writable: true}).Handler()
	d.post("cdb_detnames", "epix10ka", map[string]any{"long": longName, "short": shortName, "seqnumber": 1, "time_sec": 1.5e9})
}

// RoundTrip implements http.RoundTripper without a network.
func (d *database) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.Host = r.URL.Host
	d.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// wire is the network of one process.
type wire struct {
	d  *database
	at func(string) error
}

// RoundTrip implements http.RoundTripper. A fault comes before the request arrives or after it has been
// done, whichever the point is at.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := w.at(r.Method + " " + r.URL.Path); err != nil {
		return nil, err
	}
	res, err := w.d.RoundTrip(r)
	if errAt := w.at("answer of " + r.Method + " " + r.URL.Path); errAt != nil {
		return nil, errAt
	}
	return res, err
}

func (d *database) open(at func(string) error) (calib.Destination, func()) {
	s := &calibws.Store{Client: &calibws.Client{ReadURL: d.url, WriteURL: d.url}, Experiment: "mfxx1", DetName: "epixquad", DetType: "epix10ka",
		LongName: longName, CType: "status_extra", Ledger: &calib.Ledger{Dir: d.ledger, Disk: files}, LockWait: waitLong}
	if d.mem == nil {
		return s.Destination(), func() {}
	}
	process := d.mem.Process(func(primitive, name string) error { return at(primitive + " " + name) })
	s.Client.HTTP, s.Ledger.Disk, s.LockWait = &http.Client{Transport: wire{d, at}}, process, 0
	return s.Destination(), process.Die
}

func (d *database) address() string { return "database " + d.url + " " + d.ledger }

func (d *database) real() bool { return d.mem == nil }

func (d *database) post(db, coll string, doc any) string {
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return d.send(http.MethodPost, db+"/"+coll+"/", text)
}

func (d *database) send(method, where string, body []byte) string {
	rec := httptest.NewRecorder()
	d.handler.ServeHTTP(rec, httptest.NewRequest(method, "http://127.0.0.1/"+where, bytes.NewReader(body)))
	if rec.Code != http.StatusOK {
		panic(fmt.Sprintf("%s %s: %d %s", method, where, rec.Code, rec.Body))
	}
	var made struct {
		ID string `json:"_id"`
	}
	_ = json.Unmarshal(rec.Body.Bytes(), &made) // other answers have no id
	return made.ID
}

// stored is a document as it lies in the service's files.
type stored struct {
	id, db string
	fields map[string]any
}

func (d *database) stored() []stored {
	var out []stored
	for _, db := range []string{"cdb_mfxx1", "cdb_" + shortName} {
		list, _ := d.files.List(d.root + "/" + db + "/" + shortName)
		for _, e := range list { // in the order of their ids
			if strings.HasPrefix(e.Name, ".") {
				continue // being written
			}
			text, err := disk.ReadFile(d.files, d.root+"/"+db+"/"+shortName+"/"+e.Name)
			s := stored{id: strings.TrimSuffix(e.Name, ".json"), db: db}
			if err == nil && json.Unmarshal(text, &s.fields) == nil {
				out = append(out, s)
			}
		}
	}
	return out
}

// entries reads the documents as LCLS2_CALIBDB 2.2 says that psana2 does.
func (d *database) entries() []entry {
	var out []entry
	for _, s := range d.stored() {
		run, ok := s.fields["run"].(float64)
		if !ok || s.fields["ctype"] != "status_extra" || s.fields["detector"] != shortName || run > 9999 {
			continue
		}
		seconds, err := strconv.ParseInt(s.id[:8], 16, 64)
		if err != nil {
			panic(err)
		}
		e := entry{begin: int(run), time: seconds, detector: s.db != "cdb_mfxx1"}
		switch end := s.fields["run_end"].(type) {
		case float64:
			e.end = int(end)
		case string:
			if e.end = 9999; end != "end" {
				if e.end, err = strconv.Atoi(end); err != nil && !e.detector {
					continue
				}
			}
		default:
			if !e.detector {
				continue
			}
		}
		data, err := disk.ReadFile(d.files, d.root+"/"+s.db+"/gridfs/"+fmt.Sprint(s.fields["id_data"]))
		if err != nil {
			panic(err)
		}
		e.word = binary.LittleEndian.Uint64(data[8:])
		if e.end > 9999 && !e.detector {
			continue
		}
		out = append(out, e)
	}
	return out
}

func (d *database) added(old []entry, r calib.Range, word uint64) []entry {
	const never = 1 << 40
	return append(old, entry{begin: r.Begin, end: r.End, time: never, word: word}, entry{begin: r.Begin, end: r.End, time: never, detector: true, word: word})
}

func (d *database) edit(r *rand.Rand, word uint64) string {
	db := []string{"cdb_mfxx1", "cdb_" + shortName}[r.IntN(2)]
	all := d.stored()
	begin := r.IntN(lastRun)
	doc := map[string]any{"experiment": "other", "run": begin, "run_end": "end", "detector": shortName, "ctype": "status_extra", "data_type": "ndarray",
		"data_dtype": "uint64", "data_shape": "(1, 2)", "data_size": 2, "time_sec": 1.5e9, "more": []int{1}}
	switch k := r.IntN(7); {
	case k == 0 && len(all) > 0:
		s := all[r.IntN(len(all))]
		d.send(http.MethodDelete, s.db+"/"+shortName+"/"+s.id, nil)
		return "delete document " + s.id + " of " + s.db
	case k == 1 && len(all) > 0:
		s := all[r.IntN(len(all))]
		s.fields["run_end"], s.fields["edited"] = lastRun, true
		text, err := json.Marshal(s.fields)
		if err != nil {
			panic(err)
		}
		d.send(http.MethodPut, s.db+"/"+shortName+"/"+s.id, text)
		return "change the runs of document " + s.id + " of " + s.db
	case k == 2:
		doc["run"] = []any{"seven", nil, 20000, map[string]any{}}[r.IntN(4)]
		doc["id_data"] = "none"
		return "broken document " + d.post(db, shortName, doc)
	case k == 3:
		doc["run_end"] = float64(begin + r.IntN(3))
	case k == 4:
		doc["run_end"] = strconv.Itoa(begin + r.IntN(3))
	}
	data := make([]byte, 16)
	binary.LittleEndian.PutUint64(data[8:], word)
	doc["id_data"] = d.send(http.MethodPost, db+"/gridfs/", data)
	return fmt.Sprintf("document %s in %s of %d for %v to %v", d.post(db, shortName, doc), db, word, doc["run"], doc["run_end"])
}

// agree wants the documents of the deployments that are in force, and no others of ours.
func (d *database) agree(records []calib.Record) error {
	inForce := map[string]bool{}
	for _, r := range records {
		if r.State == calib.Done && r.Undoes == "" && calib.Undone(records, r.ID) == nil {
			inForce[r.ID] = true
		}
	}
	for _, s := range d.stored() {
		var ext struct {
			ID string `json:"rawstatus_id"`
		}
		if text, ok := s.fields["extpars"].(string); ok && json.Unmarshal([]byte(text), &ext) == nil && ext.ID != "" && !inForce[ext.ID] && s.fields["edited"] == nil {
			return fmt.Errorf("document %s of %s is of deployment %s, which the ledger does not have in force", s.id, s.db, ext.ID)
		}
	}
	return nil
}

func (d *database) powerCut(r *rand.Rand) { d.mem.PowerCut(r) }
