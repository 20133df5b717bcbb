package calibws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calib/calibtest"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/negotiate"
	"rawstatus/internal/testenv"
)

var files = disk.Files{Policy: &access.Policy{DirMode: 0o2775, FileMode: 0o664}}

const longName = "epix10ka_3926196238-0175152897-1157627926_3926196238-0174824449-0268435478"

// service is a server over HTTP with faults on order.
type service struct {
	*httptest.Server
	root  string
	count atomic.Int64 // requests
	// fault answers in place of the server; requests of a client that has given up may still be in it.
	fault atomic.Pointer[faultFunc]
}

type faultFunc func(n int64, w http.ResponseWriter, r *http.Request, next http.Handler)

// answer makes f answer in place of the server.
func (s *service) answer(f faultFunc) { s.fault.Store(&f) }

func serve(t testing.TB) *service {
	s := &service{root: t.TempDir()}
	h := (&calibserve.Server{Root: s.root, Disk: files, Writable: true}).Handler()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.count.Add(1)
		if fault := s.fault.Load(); fault != nil {
			(*fault)(n, w, r, h)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) dest(ledger string) calib.Destination { return s.store(ledger).Destination() }

func (s *service) store(ledger string) *Store {
	return &Store{Client: &Client{ReadURL: s.URL + "/calib_ws/", WriteURL: s.URL + "/ws-kerb/calib_ws", HTTP: &http.Client{Timeout: time.Minute}},
		Experiment: "xpptut15", DetName: "epixquad", DetType: "epix10ka", LongName: longName, CType: "status_extra",
		Ledger: &calib.Ledger{Dir: ledger, Disk: files}, LockWait: time.Minute}
}

func TestConformance(t *testing.T) {
	calibtest.Run(t, true, func(t *testing.T) func() calib.Destination {
		s, ledger := serve(t), t.TempDir()
		return func() calib.Destination { return s.dest(ledger) }
	})
}

// TestConformanceInAPrivateDatabase is the suite in a private database.
func TestConformanceInAPrivateDatabase(t *testing.T) {
	calibtest.Run(t, false, func(t *testing.T) func() calib.Destination {
		s, ledger := serve(t), t.TempDir()
		return func() calib.Destination {
			p := s.store(ledger)
			p.Suffix = "test"
			return p.Destination()
		}
	})
}

// TestConformanceWithWritesByCurl is the suite with everything written by curl.
func TestConformanceWithWritesByCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		testenv.Lacking(t, "curl", err.Error())
	}
	calibtest.Run(t, true, func(t *testing.T) func() calib.Destination {
		s, ledger := serve(t), t.TempDir()
		return func() calib.Destination {
			p := s.store(ledger)
			p.Client.Writer = negotiate.Transport{}
			return p.Destination()
		}
	})
}

func docsIn(t *testing.T, s *service, db string) []newDoc {
	t.Helper()
	var raw []json.RawMessage
	if err := s.store("").Client.get(t.Context(), decode(&raw), nil, db, "epix10ka_000001"); err != nil {
		t.Fatal(err)
	}
	docs, _ := parseDocs[newDoc](raw, db)
	return docs
}

// TestDeploymentIsInBothDatabasesAsSpecified looks at what a deployment leaves: as LCLS2_CALIBDB 1.1 and 2.1 say.
func TestDeploymentIsInBothDatabasesAsSpecified(t *testing.T) {
	s := serve(t)
	p := s.dest(t.TempDir())
	r := calib.Range{Begin: 10, End: 20}
	rec := calibtest.Record(r, 12, 5)
	rec.RunTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("PST", -8*3600))
	rec.Command = []string{"mergedeploy", "-D"}
	if _, _, err := p.Deploy(t.Context(), rec, calibtest.Content(calibtest.Array(5))); err != nil {
		t.Fatal(err)
	}
	exp, det := docsIn(t, s, "cdb_xpptut15"), docsIn(t, s, "cdb_epix10ka_000001")
	if len(exp) != 1 || len(det) != 1 {
		t.Fatalf("%d and %d documents, want one each", len(exp), len(det))
	}
	d := exp[0]
	want := newDoc{Doc: Doc{ID: d.ID, Run: 10, RunEnd: 20.0, Detector: "epix10ka_000001", DataID: d.DataID, ExtPars: d.ExtPars, DataType: "ndarray",
		DataDType: "uint64", DataShape: "(3, 1, 4, 5)"}, Experiment: "xpptut15", CType: "status_extra", DType: "ndarray", TimeSec: rec.RunTime.Unix(),
		TimeStamp: "2026-01-02T03:04:05-0800", Version: d.Version, UID: access.Login(), Host: access.Host(), Cwd: d.Cwd, ExpDataID: 0.0, ExpDocID: 0.0,
		DetName: "epixquad", LongName: longName, ShortName: "epix10ka_000001", DetType: "epix10ka", RunOrig: 12, StampOrig: "2026-01-02T03:04:05-0800",
		FileName: "/repo/merged.txt", DataSize: "60", DataNDim: "4"}
	if d != want {
		t.Errorf("document\n%+v\nwant\n%+v", d, want)
	}
	if det[0].ExpDataID != string(d.DataID) || det[0].ExpDocID != string(d.ID) || det[0].DataID == d.DataID {
		t.Errorf("document of the detector %+v does not point to %s", det[0], d.ID)
	}
	raw, err := os.ReadFile(filepath.Join(s.root, "cdb_xpptut15", "gridfs", string(d.DataID)))
	if err != nil || len(raw) != 480 || raw[472] != 5 {
		t.Errorf("%d raw bytes, %v", len(raw), err)
	}
	// A second detector gets the next number; the same one is found by its panels in any name.
	q := s.store(t.TempDir())
	q.LongName = "epix10ka_another-panel-of-another-detector"
	if short, err := q.shortName(t.Context(), true); err != nil || short != "epix10ka_000002" {
		t.Errorf("short name %q, %v", short, err)
	}
	q = s.store(t.TempDir())
	q.LongName = "epix10ka_3926196238-0174824449-0268435478"
	if short, err := q.shortName(t.Context(), false); err != nil || short != "epix10ka_000001" {
		t.Errorf("short name of a part %q, %v", short, err)
	}
}

// TestWithoutADocumentForTheRunTheYoungestIsUsed: without a document for the run the youngest of the detector is used, whatever its range.
func TestWithoutADocumentForTheRunTheYoungestIsUsed(t *testing.T) {
	s := serve(t)
	p := s.dest(t.TempDir())
	calibtest.MustDeploy(t, p, "10-20", 12, 1)
	if got := calibtest.Used(t, p, 15); got != 1 {
		t.Errorf("run 15 uses %d", got)
	}
	if got := calibtest.Used(t, p, 99); got != 1 {
		t.Errorf("run 99 uses %d, want the youngest of the detector", got)
	}
	other := s.store(t.TempDir())
	other.Experiment = "xpptut16"
	calibtest.MustDeploy(t, other.Destination(), "0-end", 1, 2)
	if got := calibtest.Used(t, p, 15); got != 1 {
		t.Errorf("run 15 uses %d, want that of its experiment", got)
	}
	if got := calibtest.Used(t, p, 99); got != 2 {
		t.Errorf("run 99 uses %d, want the youngest of the detector", got)
	}
}

const timeOut = "time-out"

// faults are ways in which a request can go wrong.
var faults = map[string]func(w http.ResponseWriter, r *http.Request, next http.Handler){
	"503": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "busy", http.StatusServiceUnavailable)
	},
	"lost request": func(http.ResponseWriter, *http.Request, http.Handler) {
		panic(http.ErrAbortHandler)
	},
	"lost answer": func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	},
	"wrong answer": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		fmt.Fprint(w, "<html>welcome to the portal")
	},
	timeOut: func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		<-r.Context().Done()
	},
	"half of the data": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
		w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
	},
}

// TestFaultAtEveryRequest lets every request of a deployment go wrong in every way: in between old or new
// is used, and the same command again ends as if nothing had happened.
func TestFaultAtEveryRequest(t *testing.T) {
	for name, spoil := range faults {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "lost answer" {
				t.Skip("each takes some seconds")
			}
			hurt, step := 0, int64(1)
			if name == timeOut {
				step = 3 // each takes a second
			}
			for n := int64(1); ; n += step {
				s := serve(t)
				ledger := t.TempDir()
				calibtest.MustDeploy(t, s.dest(ledger), "0-end", 7, 1)
				begin := s.count.Load()
				var hit atomic.Bool
				s.answer(func(k int64, w http.ResponseWriter, r *http.Request, next http.Handler) {
					if k == begin+n {
						hit.Store(true)
						spoil(w, r, next)
						return
					}
					next.ServeHTTP(w, r)
				})
				p := s.store(ledger)
				if name == timeOut {
					p.Client.HTTP.Timeout = time.Second
				}
				_, _, err := p.Destination().Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2)))
				s.fault.Store(nil)
				if !hit.Load() {
					if err != nil || n < 10 {
						t.Errorf("undisturbed deployment of %d requests: %v", n-1, err)
					}
					break
				}
				if err != nil {
					hurt++
					if code := fault.CodeOf(err); code != fault.Temporary && code != fault.Input {
						t.Errorf("request %d: %v (code %d)", n, err, code)
					}
				}
				if got := calibtest.Used(t, s.dest(ledger), 7); got != 1 && got != 2 {
					t.Errorf("request %d: run 7 uses %d", n, got)
				}
				if _, _, err := s.dest(ledger).Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2))); err != nil {
					t.Fatalf("request %d: again: %v", n, err)
				}
				sound(t, s, ledger, 2)
				if t.Failed() {
					t.Fatalf("after a fault at request %d", n)
				}
			}
			if hurt < 5/int(step) {
				t.Errorf("only %d faults had an effect", hurt)
			}
		})
	}
}

var forever = calib.Range{Begin: 0, End: calib.Last}

// sound checks that both databases and the ledger have each deployment once and that the last is used.
func sound(t *testing.T, s *service, ledger string, want int) {
	t.Helper()
	p := s.dest(ledger)
	records, err := p.Records()
	if err != nil {
		t.Fatal(err)
	}
	records = slices.DeleteFunc(records, func(r calib.Record) bool { return r.State == calib.Aborted })
	exp, det := docsIn(t, s, "cdb_xpptut15"), docsIn(t, s, "cdb_epix10ka_000001")
	if len(records) != want || len(exp) != want || len(det) != want {
		t.Fatalf("%d records, %d and %d documents, want %d of each", len(records), len(exp), len(det), want)
	}
	for i, r := range records {
		if r.State != calib.Done || len(r.Steps) != 2 || r.Steps[0].Name != "cdb_xpptut15/"+string(exp[i].ID) || r.Steps[1].Name != "cdb_epix10ka_000001/"+string(det[i].ID) {
			t.Errorf("record %+v does not fit documents %s, %s", r, exp[i].ID, det[i].ID)
		}
	}
	if got := calibtest.Used(t, p, 7); got != uint64(want) {
		t.Errorf("run 7 uses %d, want %d", got, want)
	}
}

// TestStopAtEveryRequest stops the process at every request of a deployment and of a rollback, before it or
// before its answer, and at every primitive of its ledger.
func TestStopAtEveryRequest(t *testing.T) {
	for _, answered := range []bool{false, true} {
		for _, rollback := range []bool{false, true} {
			for n := 1; ; n++ {
				s, mem := serve(t), disk.NewMemory(nil)
				dest := func(m *disk.Memory, h http.RoundTripper) calib.Destination {
					p := s.store("/ledger")
					p.Ledger.Disk, p.LockWait = m, 0
					if h != nil {
						p.Client.HTTP = &http.Client{Transport: h}
					}
					return p.Destination()
				}
				calibtest.MustDeploy(t, dest(mem, nil), "0-end", 7, 1)
				do := func(p calib.Destination) error {
					_, _, err := p.Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2)))
					return err
				}
				before, after := uint64(1), uint64(2)
				if rollback {
					if err := do(dest(mem, nil)); err != nil {
						t.Fatal(err)
					}
					records, err := dest(mem, nil).Records()
					if err != nil {
						t.Fatal(err)
					}
					id := records[len(records)-1].ID
					do = func(p calib.Destination) error {
						_, err := p.Undo(t.Context(), calib.Record{Action: calib.ActionRollback, Range: forever}, id)
						return err
					}
					before, after = 2, 1
				}
				count := 0
				stop := func() bool { count++; return count >= n }
				process := mem.Process(func(string, string) error {
					if stop() {
						return disk.ErrKilled
					}
					return nil
				})
				err := do(dest(process, killer{stop, answered}))
				process.Die()
				if count < n {
					if err != nil || n < 15 {
						t.Errorf("undisturbed: %d requests and primitives, %v", n-1, err)
					}
					break
				}
				if got := calibtest.Used(t, dest(mem, nil), 7); got != before && got != after {
					t.Errorf("run 7 uses %d", got)
				}
				if err := do(dest(mem, nil)); err != nil {
					t.Errorf("again: %v", err)
				}
				if got := calibtest.Used(t, dest(mem, nil), 7); got != after {
					t.Errorf("again: run 7 uses %d, want %d", got, after)
				}
				want := 2
				if rollback {
					want = 1
				}
				if exp, det := docsIn(t, s, "cdb_xpptut15"), docsIn(t, s, "cdb_epix10ka_000001"); len(exp) != want || len(det) != want {
					t.Errorf("%d and %d documents, want %d of each", len(exp), len(det), want)
				}
				if t.Failed() {
					t.Fatalf("stopped at %d (answered %v, rollback %v)", n, answered, rollback)
				}
			}
		}
	}
}

// killer is the network of a process that is killed: nothing gets through after it, and of the request in
// hand at most the answer is missing.
type killer struct {
	stop     func() bool
	answered bool
}

func (k killer) RoundTrip(r *http.Request) (*http.Response, error) {
	if k.stop() {
		if k.answered {
			if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
				res.Body.Close()
			}
		}
		return nil, disk.ErrKilled
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestNoRightToWrite: asked before anything is sent.
func TestNoRightToWrite(t *testing.T) {
	for _, srv := range []*calibserve.Server{{Writable: false}, {Writable: true, Token: "secret"}} {
		srv.Root, srv.Disk = t.TempDir(), files
		ts := httptest.NewServer(srv.Handler())
		defer ts.Close()
		p := (&service{Server: ts}).store(t.TempDir())
		_, _, err := p.Destination().Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2)))
		if fault.CodeOf(err) != fault.Usage || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
		if left, _ := os.ReadDir(srv.Root); len(left) > 0 {
			t.Errorf("something was written: %v", left)
		}
		if srv.Token != "" {
			p.Client.Token = "secret"
			calibtest.MustDeploy(t, p.Destination(), "0-end", 7, 2)
		}
	}
}

func request(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, strings.TrimSpace(string(text))
}

// TestDocumentsOfOthers: what the database may hold besides ours never stops us.
func TestDocumentsOfOthers(t *testing.T) {
	s := serve(t)
	calibtest.MustDeploy(t, s.dest(t.TempDir()), "0-end", 7, 1)
	for _, doc := range []string{
		`{"detector":"epix10ka_000001","ctype":"status_extra","run":3,"run_end":"10000"}`,
		`{"detector":"epix10ka_000001","ctype":"status_extra","run":3,"run_end":"foo"}`,
		`{"detector":"epix10ka_000001","ctype":"status_extra","run":3}`,
		`{"detector":"epix10ka_000001","ctype":"status_extra","run":"x","run_end":"end"}`,
		`{"detector":"epix10ka_000001","ctype":"status_extra","run":7.5,"run_end":"end"}`,
		`{"detector":"epix10ka_000001","ctype":"status_extra","run":3,"run_end":"end","id_data":[1]}`,
		`{"detector":"epix10ka_000001","ctype":"pedestals","run":3,"run_end":"end"}`,
	} {
		if status, text := request(t, "POST", s.URL+"/cdb_xpptut15/epix10ka_000001/", doc); status != 200 {
			t.Fatal(text)
		}
	}
	request(t, "POST", s.URL+"/cdb_detnames/epix10ka/", `{"long":7,"short":"x","seqnumber":"one"}`)
	request(t, "POST", s.URL+"/cdb_detnames/epix10ka/", `{"long":"epix10ka_other","short":"epix10ka_000009","seqnumber":9.0,"time_sec":1795912025.5387812}`)
	if err := os.WriteFile(filepath.Join(s.root, "cdb_xpptut15", "epix10ka_000001", "6b0b71500000000000000000.json"), []byte("{oops"), 0o664); err != nil {
		t.Fatal(err)
	}
	p := s.dest(t.TempDir())
	_, notes, err := p.Items(t.Context())
	if err != nil || len(notes) != 7 {
		t.Errorf("notes %q, %v", notes, err)
	}
	for _, n := range notes {
		if !strings.Contains(n, "document ") || !strings.Contains(n, "cdb_") {
			t.Errorf("note %q does not name a document", n)
		}
	}
	if got := calibtest.Used(t, p, 7); got != 1 {
		t.Errorf("run 7 uses %d", got)
	}
	for _, doc := range []string{
		`{"run":7.0,"data_shape":"(1, 2)","data_size":2,"data_ndim":2,"run_end":9,"unknown":{"a":[1]},"time_sec":1.5e9}`,
		`{"run":7,"data_shape":[1,2],"data_size":"2","data_ndim":"2","run_end":"9","extpars":{"content":1},"_id":{"$oid":"6b0b71590000000000000000"}}`,
	} {
		var d Doc
		if err := json.Unmarshal([]byte(doc), &d); err != nil {
			t.Fatal(err)
		}
		d.DataType, d.DataDType = "ndarray", "uint64"
		a, _, err := d.array(strings.NewReader(strings.Repeat("\x01", 16)), 16, false)
		if r, ok := d.validity(); err != nil || !slices.Equal(a.Shape, []int{1, 2}) || !ok || r != (calib.Range{Begin: 7, End: 9}) {
			t.Errorf("%s: %+v, runs %v, %v", doc, a, r, err)
		}
	}
	for _, spoil := range []func(*Doc){
		func(d *Doc) { d.DataShape = "(3, 1, 4, 6)" },
		func(d *Doc) { d.DataShape = "(3, 1, 4)" },
		func(d *Doc) { d.DataShape = "(99999999999, 99999999999)" },
		func(d *Doc) { d.DataShape = "(3, 32, 512, 1024)" },
		func(d *Doc) { d.DataShape = "60" },
		func(d *Doc) { d.DataDType = "float32" },
		func(d *Doc) { d.DataType = "any" },
		func(d *Doc) { d.DataID = "../../x" },
	} {
		d := docsIn(t, s, "cdb_xpptut15")[0].Doc
		spoil(&d)
		if _, _, err := s.store("").Client.read(t.Context(), "cdb_xpptut15", d, false); fault.CodeOf(err) != fault.Input {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

// TestNamesLongerThanAFileNameAreDeployed: the name of a large detector is longer than a file can be called.
func TestNamesLongerThanAFileNameAreDeployed(t *testing.T) {
	s := serve(t)
	long := "jungfrau"
	for i := range 32 {
		long += fmt.Sprintf("_8000000020000-230920-c23400%02d", i)
	}
	for _, name := range []string{long, "jungfrau_4m_..-x", ""} {
		if err := CheckLongName(name); (err == nil) != (name != "") {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	if err := CheckLongName("jungfrau_../x"); fault.CodeOf(err) != fault.Input {
		t.Error(err)
	}
	open := func() *Store {
		p := s.store(t.TempDir())
		p.DetType, p.LongName = "jungfrau", long
		return p
	}
	calibtest.MustDeploy(t, open().Destination(), "0-end", 7, 3)
	p := open()
	if got := calibtest.Used(t, p.Destination(), 7); got != 3 || p.short != "jungfrau_000001" {
		t.Errorf("run 7 of %s uses %d", p.short, got)
	}
}

// TestShortNamesAtOnce: parallel first deployments of many detectors, some of them of the same one, give
// every detector one short name and every short name one detector, in whatever order their requests come
// to the service.
func TestShortNamesAtOnce(t *testing.T) {
	const detectors, each = 4, 3
	random := rand.New(rand.NewPCG(testenv.Seed(t), 0))
	for round := range 20 {
		s, order := serve(t), newTurns(detectors*each)
		short := make([]string, detectors*each)
		var wg sync.WaitGroup
		for i := range short {
			wg.Go(func() {
				defer func() { order.over <- struct{}{} }()
				p := s.store("")
				p.Client.HTTP.Transport = player{i, order}
				p.LongName = fmt.Sprintf("epix10ka_panel-%d-of-detector", i%detectors)
				var err error
				if short[i], err = p.shortName(context.Background(), true); err != nil {
					t.Error(err)
				}
			})
		}
		order.run(random)
		wg.Wait()
		seen := map[string]int{}
		for i, name := range short {
			if name != short[i%detectors] {
				t.Errorf("round %d: detector %d is %s and %s", round, i%detectors, short[i%detectors], name)
			}
			if d, taken := seen[name]; taken && d != i%detectors {
				t.Errorf("round %d: %s is the name of detectors %d and %d", round, name, d, i%detectors)
			}
			seen[name] = i % detectors
		}
		docs, err := s.store("").names(t.Context())
		if err != nil || len(docs) != detectors {
			t.Errorf("round %d: %d documents of names, want %d, %v", round, len(docs), detectors, err)
		}
		if t.Failed() {
			return
		}
	}
}

// turns lets one request of several clients through at a time, in a random order.
type turns struct {
	turn []chan struct{} // by client
	asks chan int        // a client's request waits for its turn
	over chan struct{}   // a client has ended
	done chan struct{}   // the request whose turn it was is answered
}

func newTurns(clients int) *turns {
	t := &turns{turn: make([]chan struct{}, clients), asks: make(chan int), over: make(chan struct{}), done: make(chan struct{})}
	for i := range t.turn {
		t.turn[i] = make(chan struct{})
	}
	return t
}

// run lets one client at a time go on, chosen once all of them wait, until all have ended.
func (t *turns) run(random *rand.Rand) {
	clients := len(t.turn)
	for asking := []int{}; clients > 0; {
		for len(asking) < clients {
			select {
			case client := <-t.asks:
				asking = append(asking, client)
			case <-t.over:
				clients--
			}
		}
		if clients == 0 {
			return
		}
		slices.Sort(asking)
		i := random.IntN(len(asking))
		t.turn[asking[i]] <- struct{}{}
		asking = slices.Delete(asking, i, i+1)
		<-t.done
	}
}

// player is a client that takes turns.
type player struct {
	client int
	*turns
}

// RoundTrip waits for its turn and reads the answer to its end.
func (p player) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asks <- p.client
	<-p.turn[p.client]
	defer func() { p.done <- struct{}{} }()
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, err
}

// TestPeopleSeeTheAddressThatIsRead: what people see names the address that is read and what is there.
func TestPeopleSeeTheAddressThatIsRead(t *testing.T) {
	s := serve(t)
	calibtest.MustDeploy(t, s.dest(t.TempDir()), "0-end", 7, 1)
	p := s.store("")
	if err := p.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := p.String(), s.URL+"/calib_ws/ cdb_xpptut15/epix10ka_000001 cdb_epix10ka_000001/epix10ka_000001"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, tt := range []struct {
		a, b string
		same bool
	}{{"http://h:1/a/", "http://h:1/b", true}, {"http://H:1", "http://h:1", true}, {"http://localhost:1", "http://127.0.0.1:1", true},
		{"http://h:1", "http://h:2", false}, {"http://h", "https://h", false}, {"http://h", "http://g", false}} {
		if SameHost(tt.a, tt.b) != tt.same {
			t.Errorf("%s and %s: %v", tt.a, tt.b, !tt.same)
		}
	}
}

// TestSuffixesAreThoseThatPsanaTakes: psana2 takes names of private databases that are shorter than 50 bytes.
func TestSuffixesAreThoseThatPsanaTakes(t *testing.T) {
	for suffix, good := range map[string]bool{"": true, "me": true, strings.Repeat("x", 29): true, strings.Repeat("x", 30): false, "../x": false} {
		if err := CheckSuffix(longName, "epix10ka", suffix); (err == nil) != good {
			t.Errorf("%q: %v", suffix, err)
		}
	}
}

// TestFullServiceIsWorthAnotherTry: a full disk of the service is said, and is worth another try.
func TestFullServiceIsWorthAnotherTry(t *testing.T) {
	full := disk.NewMemory(nil).Process(func(primitive, _ string) error {
		if primitive == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	s := httptest.NewServer((&calibserve.Server{Root: "/db", Disk: full, Writable: true}).Handler())
	defer s.Close()
	c := &Client{ReadURL: s.URL, WriteURL: s.URL}
	_, err := c.PostDocument(t.Context(), "cdb_x", "det", map[string]any{"run": 1})
	if fault.CodeOf(err) != fault.Temporary || !strings.HasPrefix(fault.Message(err), "disk full: ") || !strings.Contains(fault.HintOf(err), "machine of the service") {
		t.Errorf("%v (code %d, hint %q)", err, fault.CodeOf(err), fault.HintOf(err))
	}
}

func TestParseShape(t *testing.T) {
	for text, want := range map[string][]int{"(5,)": {5}, "(704, 768)": {704, 768}, " (3, 1, 512, 1024) ": {3, 1, 512, 1024}} {
		if got, err := parseShape(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "()", "(,)", "5", "(-1,)", "(0, 5)", "(1, x)", "(4294967296, 4294967296)"} {
		if got, err := parseShape(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestReadsAreTriedAgainWritesNever: reads are tried again after temporary failures, writes never.
func TestReadsAreTriedAgainWritesNever(t *testing.T) {
	s := serve(t)
	calibtest.MustDeploy(t, s.dest(t.TempDir()), "0-end", 7, 1)
	c := s.store("").Client
	c.Retries, c.Pause = 2, time.Millisecond
	failures := 2
	s.answer(func(_ int64, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if failures > 0 {
			failures--
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
	if docs, _, err := c.Find(t.Context(), "cdb_xpptut15", "epix10ka_000001", map[string]any{}); err != nil || len(docs) != 1 {
		t.Errorf("found %d, %v", len(docs), err)
	}
	failures = 1
	if _, err := c.PostDocument(t.Context(), "cdb_x", "d", map[string]any{}); fault.CodeOf(err) != fault.Temporary || failures != 0 {
		t.Errorf("a write was tried again: %v", err)
	}
	failures = 3
	if _, _, err := c.Find(t.Context(), "cdb_x", "d", map[string]any{}); fault.CodeOf(err) != fault.Temporary {
		t.Errorf("after all tries: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Find(ctx, "cdb_x", "d", map[string]any{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestAddressWithoutServiceIsNamed: an address without a service.
func TestAddressWithoutServiceIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	c := &Client{ReadURL: url, WriteURL: url}
	if _, _, err := c.Find(t.Context(), "cdb_x", "d", nil); fault.CodeOf(err) != fault.Temporary || fault.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
	c.Writer = negotiate.Transport{Curl: "/no/such/curl"}
	if err := c.MayWrite(t.Context(), "cdb_x"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
}

// TestLargestArrayGoesThroughHTTP sends the array of a 16M detector through real HTTP.
func TestLargestArrayGoesThroughHTTP(t *testing.T) {
	if testing.Short() || os.Getenv("RAWSTATUS_TEST_LARGE") == "" {
		t.Skip("needs RAWSTATUS_TEST_LARGE=1: 0.4 GB in memory and 0.8 GB of disk")
	}
	s := serve(t)
	p := s.store(t.TempDir())
	p.Client.HTTP.Timeout = 5 * time.Minute
	a := &calib.Array{Shape: []int{3, 32, 512, 1024}, Words: calibtxt.Sparse{Pixels: 3 * 32 * 512 * 1024, At: []uint32{3*32*512*1024 - 1}, Words: []uint64{7}}}
	c := calibtest.Content(&calib.Array{Shape: []int{1, 1}, Words: calibtxt.SparseOf([]uint64{0})})
	c.Array = a
	rec := calib.Record{Action: calib.ActionDeploy, Experiment: "xpptut15", Run: 7, Range: forever, Key: "k", Shape: a.Shape}
	begin := time.Now()
	if _, _, err := p.Destination().Deploy(t.Context(), rec, c); err != nil {
		t.Fatal(err)
	}
	t.Logf("deployed %d bytes twice and read them back in %.1f s", 8*a.Words.Pixels, time.Since(begin).Seconds())
}

// FuzzDoc: whatever a service says about its data, the worst is an error.
func FuzzDoc(f *testing.F) {
	f.Add([]byte(`{"_id":"6b02bdfc2d86a89da5ef3092","run":5,"run_end":"end","data_type":"ndarray","data_dtype":"uint64","data_shape":"(1, 2)","extpars":"{}"}`), []byte("0123456789abcdef"))
	f.Add([]byte(`{"run_end":1e300,"data_type":"ndarray","data_dtype":"uint8","data_shape":"(3,)"}`), []byte("abcd"))
	f.Fuzz(func(t *testing.T, text, data []byte) {
		var d Doc
		if json.Unmarshal(text, &d) != nil {
			return
		}
		if r, ok := d.validity(); ok && (r.Begin < 0 || r.End > calib.Last || r.Begin > r.End) {
			t.Errorf("validity %v", r)
		}
		d.deployed()
		d.ext()
		if shape, err := parseShape(d.DataShape); err == nil && len(shape) > 0 {
			n := 1
			for _, k := range shape {
				n *= k
			}
			if n > 1<<16 {
				return // only slow
			}
		}
		a, _, err := d.array(bytes.NewReader(data), -1, false)
		if err == nil && a.Words.Pixels == 0 {
			t.Errorf("an array of shape %v without values", a.Shape)
		}
	})
}
