package calibserve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/disk"
)

var files = disk.Files{Policy: &access.Policy{DirMode: 0o2775, FileMode: 0o664}}

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

// TestServerSpeaksTheProtocol speaks the protocol by hand.
func TestServerSpeaksTheProtocol(t *testing.T) {
	root := t.TempDir()
	srv := &Server{Root: root, Disk: files, Writable: true, MaxData: 1000, MaxDoc: 200}
	ts := httptest.NewServer(srv.Handler())
	defer ts.Close()
	post := func(path, body string) string {
		status, text := request(t, "POST", ts.URL+path, body)
		var made created
		if err := json.Unmarshal([]byte(text), &made); status != 200 || err != nil {
			t.Fatalf("POST %s: %d %s", path, status, text)
		}
		return made.ID
	}
	data := post("/cdb_x/gridfs/", "abc")
	one := post("/cdb_x/det_1/", `{"run": 5, "ctype": "a"}`)
	two := post("/calib_ws/cdb_x/det_1/", `{"run": 7, "ctype": "b", "run_end": "end", "list": [1]}`)
	if one >= two || len(one) != 24 {
		t.Errorf("ids %s, %s", one, two)
	}
	ids := func(query string) string {
		status, text := request(t, "GET", ts.URL+"/cdb_x/det_1?query_string="+strings.ReplaceAll(query, " ", ""), "")
		var docs []created
		if err := json.Unmarshal([]byte(text), &docs); status != 200 || err != nil {
			return fmt.Sprint(status)
		}
		var found []string
		for _, d := range docs {
			found = append(found, map[string]string{one: "one", two: "two"}[d.ID])
		}
		return strings.Join(found, " ")
	}
	for query, want := range map[string]string{
		``: "one two", `{}`: "one two", `{"run":5}`: "one", `{"run":{"$lte":5}}`: "one", `{"run":{"$gte":5,"$lt":7}}`: "one", `{"run":{"$gt":5}}`: "two",
		`{"run":{"$ne":5}}`: "two", `{"ctype":{"$in":["b","c"]}}`: "two", `{"run_end":{"$gt":3}}`: "", `{"run":"5"}`: "", `{"list":[1]}`: "",
		`{"nothing":null}`: "", `oops`: "400", `{"run":{"$where":"1"}}`: "400", `{"run":{"$in":5}}`: "400", `{"list":{"$in":[[1]]}}`: "",
	} {
		if got := ids(query); got != want {
			t.Errorf("query %s: %q, want %q", query, got, want)
		}
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"GET", "/", "", 200, `["cdb_x"]`},
		{"GET", "/cdb_x", "", 200, `["det_1"]`},
		{"GET", "/cdb_none/det_1", "", 200, `[]`},
		{"GET", "/cdb_x/gridfs/" + data, "", 200, "abc"},
		{"GET", "/ws-kerb/calib_ws/cdb_x/test_post_privilege", "", 200, `"you may write"`},
		{"GET", "/cdb_x/det_1/" + one, "", 200, `{"_id":"` + one + `","ctype":"a","run":5}`},
		{"PUT", "/cdb_x/det_1/" + one, `{"run": 6}`, 200, `{"_id":"` + one + `"}`},
		{"GET", "/cdb_x/det_1/" + one, "", 200, `{"_id":"` + one + `","run":6}`},
		{"PUT", "/cdb_x/det_1/none", `{"run": 6}`, 404, ""},
		{"POST", "/cdb_x/det_1/", `[1]`, 400, ""},
		{"POST", "/cdb_x/det_1/", `null`, 400, ""},
		{"POST", "/cdb_x/det_1/", `{"x": "` + strings.Repeat("y", 300) + `"}`, 413, ""},
		{"POST", "/cdb_x/gridfs/", strings.Repeat("y", 1001), 413, ""},
		{"GET", "/cdb_x/gridfs/none", "", 404, ""},
		{"GET", "/cdb_x/gridfs/..%2f..%2fetc", "", 400, ""},
		{"GET", "/..%2f..%2fetc/passwd", "", 400, ""},
		{"GET", "/cdb_x/.hidden/x", "", 400, ""},
		{"POST", "/cdb_x%2f..%2f../det/", `{}`, 400, ""},
		{"DELETE", "/..%2fx", "", 400, ""},
		{"DELETE", "/cdb_x/det_1/" + one, "", 200, `"deleted"`},
		{"DELETE", "/cdb_x/det_1/" + one, "", 404, ""},
		{"DELETE", "/cdb_x/gridfs/" + data, "", 200, `"deleted"`},
		{"DELETE", "/cdb_x", "", 200, `"deleted"`},
		{"GET", "/", "", 200, `[]`},
	} {
		status, text := request(t, tt.method, ts.URL+tt.path, tt.body)
		if status != tt.status || tt.text != "" && text != tt.text {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, status, text, tt.status, tt.text)
		}
	}
}

// TestServerTakesForms: psana's add-file sends a form.
func TestServerTakesForms(t *testing.T) {
	s := httptest.NewServer((&Server{Root: t.TempDir(), Disk: files, Writable: true}).Handler())
	defer s.Close()
	var form bytes.Buffer
	form.WriteString("--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"x\"\r\n\r\nabc\r\n--b--\r\n")
	res, err := http.Post(s.URL+"/cdb_x/gridfs/", "multipart/form-data; boundary=b", &form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var made created
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode != 200 {
		t.Fatal(res.Status, err)
	}
	if _, text := request(t, "GET", s.URL+"/cdb_x/gridfs/"+made.ID, ""); text != "abc" {
		t.Errorf("stored %q", text)
	}
}

// TestAsPsanaAsks: the queries of psana2's info_doc and delete_document_and_data.
func TestAsPsanaAsks(t *testing.T) {
	s := httptest.NewServer((&Server{Root: t.TempDir(), Disk: files, Writable: true}).Handler())
	defer s.Close()
	var made created
	_, text := request(t, "POST", s.URL+"/cdb_x/det_1/", `{"run": 5}`)
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]bool{
		`{"_id":"ObjectId(ID)"}`: true, `{"_id":"ID"}`: true, `{"_id":"ObjectId('ID')"}`: true, `{"_id":{"$in":["ObjectId(ID)"]}}`: true,
		`{"_id":{"$oid":"ID"}}`: true, `{"_id":"ObjectId(000000000000000000000000)"}`: false, `{"run":"ObjectId(5)"}`: false,
	} {
		_, text := request(t, "GET", s.URL+"/cdb_x/det_1?query_string="+strings.ReplaceAll(query, "ID)", made.ID+")"), "")
		if strings.Contains(query, `"ID"`) {
			_, text = request(t, "GET", s.URL+"/cdb_x/det_1?query_string="+strings.ReplaceAll(query, `"ID"`, `"`+made.ID+`"`), "")
		}
		if strings.Contains(query, `'ID'`) {
			_, text = request(t, "GET", s.URL+"/cdb_x/det_1?query_string="+strings.ReplaceAll(query, `ID'`, made.ID+`'`), "")
		}
		if found := strings.Contains(text, made.ID); found != want {
			t.Errorf("%s: %s", query, text)
		}
	}
	if status, text := request(t, "DELETE", s.URL+"/cdb_x/det_1/"+made.ID, ""); status != 200 {
		t.Errorf("%d %s", status, text)
	}
}

// TestWritableServerAnswersNoForeignNamesOrPages: a writable server answers neither under names of others nor for pages of others.
func TestWritableServerAnswersNoForeignNamesOrPages(t *testing.T) {
	for _, writable := range []bool{true, false} {
		s := httptest.NewServer((&Server{Root: t.TempDir(), Disk: files, Writable: writable, Hosts: []string{"calib.example"}}).Handler())
		defer s.Close()
		address := strings.TrimPrefix(s.URL, "http://")
		_, port, _ := net.SplitHostPort(address)
		for _, tt := range []struct {
			host, origin string
			good         bool
		}{
			{address, "", true}, {"localhost:" + port, "", true}, {"calib.example", "", true}, {"evil.example", "", false}, {"evil.example:" + port, "", false},
			{address, "http://" + address, true}, {address, "http://evil.example", false}, {address, "null", false}, {address, "http://localhost:" + port, false},
		} {
			req, err := http.NewRequest("GET", s.URL+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if req.Host = tt.host; tt.origin != "" {
				req.Header.Set("Origin", tt.origin)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if good := res.StatusCode == 200; good != (tt.good || !writable) {
				t.Errorf("host %s, origin %q, writable %v: %s", tt.host, tt.origin, writable, res.Status)
			}
		}
	}
}

// TestNothingBehindALinkIsServedOrWritten: nothing behind a symbolic link is served or written.
func TestNothingBehindALinkIsServedOrWritten(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	for _, f := range []string{"gridfs/1", "det/2.json"} {
		if err := os.MkdirAll(filepath.Join(outside, filepath.Dir(f)), 0o775); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(outside, f), []byte(`{"secret":1}`), 0o664); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "cdb_b"), 0o775); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"cdb_a": outside, "cdb_b/gridfs": outside + "/gridfs", "cdb_b/det": outside + "/det"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer((&Server{Root: root, Disk: files, Writable: true}).Handler())
	defer s.Close()
	for _, path := range []string{"/", "/cdb_a", "/cdb_a/det", "/cdb_a/det/2", "/cdb_a/gridfs/1", "/cdb_b/gridfs/1", "/cdb_b/det", "/cdb_b/det/2"} {
		if _, text := request(t, "GET", s.URL+path, ""); strings.Contains(text, "secret") || strings.Contains(text, "cdb_a") {
			t.Errorf("%s: %s", path, text)
		}
	}
	for _, path := range []string{"/cdb_a/det/", "/cdb_a/gridfs/", "/cdb_b/gridfs/", "/cdb_b/det/"} {
		if status, _ := request(t, "POST", s.URL+path, "{}"); status == 200 {
			t.Errorf("%s was written through a link", path)
		}
	}
	if left, err := filepath.Glob(outside + "/*/*"); err != nil || len(left) != 2 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

// TestSlowClientsAreNotWaitedFor: one that stops in the middle of a body is not waited for; further clients wait for a
// place.
func TestSlowClientsAreNotWaitedFor(t *testing.T) {
	defer func(old time.Duration) { progressTimeout = old }(progressTimeout)
	progressTimeout = 50 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	places := &limited{l, make(chan struct{}, 1)}
	s := &http.Server{Handler: (&Server{Root: t.TempDir(), Disk: files, Writable: true}).Handler()}
	go s.Serve(places)
	defer s.Close()
	slow, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(slow, "POST /cdb_x/gridfs/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nabc")
	// This one gets its place when the first has lost it.
	other, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(other, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
	for what, c := range map[string]net.Conn{"500": slow, "200": other} {
		text, err := io.ReadAll(c)
		if !strings.HasPrefix(string(text), "HTTP/1.1 "+what) {
			t.Errorf("answer %q, %v; want status %s", text, err, what)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add(`{"run":{"$lte":5}}`, `{"run":3}`)
	f.Add(`{"list":{"$in":[[1],{"a":1}]}}`, `{"list":[1]}`)
	f.Fuzz(func(t *testing.T, text, document string) {
		q, err := parseQuery(text)
		var doc map[string]any
		if err == nil && json.Unmarshal([]byte(document), &doc) == nil {
			q.selects(doc)
		}
	})
}

// TestServeData: data of many parts come back as they were sent, whole and in ranges, from files and from another disk.
func TestServeData(t *testing.T) {
	for name, d := range map[string]disk.Disk{"files": files, "memory": disk.NewMemory(nil)} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			srv := &Server{Root: t.TempDir(), Disk: d, Writable: true}
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- srv.Serve(ctx, l) }()
			sent := make([]byte, 5*filePart+12345)
			for i := range sent {
				sent[i] = byte(i * i >> 7)
			}
			url := "http://" + l.Addr().String() + "/cdb_x/gridfs/"
			status, text := request(t, "POST", url, string(sent))
			var made created
			if err := json.Unmarshal([]byte(text), &made); status != 200 || err != nil {
				t.Fatalf("%d %s", status, text)
			}
			for _, want := range []struct {
				ask         string
				first, last int
			}{{"", 0, len(sent) - 1}, {"bytes=100-", 100, len(sent) - 1}, {"bytes=262143-600000", 262143, 600000}} {
				req, err := http.NewRequest("GET", url+made.ID, nil)
				if err != nil {
					t.Fatal(err)
				}
				if want.ask != "" {
					req.Header.Set("Range", want.ask)
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || !bytes.Equal(got, sent[want.first:want.last+1]) {
					t.Errorf("range %q: %d bytes, status %d, %v", want.ask, len(got), res.StatusCode, err)
				}
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
