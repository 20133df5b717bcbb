package elog_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/elog"
	"rawstatus/internal/io/elog/elogtest"
	"rawstatus/internal/testenv"
)

const password = "s3cret!pass"

// logbook starts a server that knows runs 7 and 8 of an experiment, and a client with the operator's password.
func logbook(t *testing.T) (*elogtest.Server, *elog.Client) {
	t.Helper()
	s, stop := elogtest.New()
	t.Cleanup(stop)
	s.Experiments["mfxlx0001"] = []int{7, 8}
	s.Active["MFX"] = "mfxlx0001"
	s.Users["mfxopr"] = password
	file := filepath.Join(t.TempDir(), "forElogPost.txt")
	if err := os.WriteFile(file, []byte(password+"\nanother line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, &elog.Client{URL: s.URL, Auth: elog.Auth{Method: elog.Basic, PasswordFile: file}, Pauses: []time.Duration{time.Millisecond, time.Millisecond}}
}

func TestRunParamsArePosted(t *testing.T) {
	s, c := logbook(t)
	params := map[string]any{"Pixel Status/epix_n_rms_high": 12, "rawstatus": "done", "a.b$c": 0.5}
	if err := c.RunParams(t.Context(), "mfxlx0001", 7, params); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"Pixel Status/epix_n_rms_high": 12.0, "rawstatus": "done", "a\uff0eb\uff04c": 0.5}
	if got := s.Params["mfxlx0001/7"]; !reflect.DeepEqual(got, want) {
		t.Errorf("the run table has %v, want %v", got, want)
	}
	if call := s.Calls[0]; call.Path != "/ws-auth/lgbk/lgbk/mfxlx0001/ws/add_run_params" || call.Query != "run_num=7" || call.User != "mfxopr" || call.Kind != "application/json" {
		t.Errorf("request %+v", call)
	}
}

func TestNewEntryIsPostedWithItsParts(t *testing.T) {
	s, c := logbook(t)
	first, err := c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{Run: 7, Title: "Bad pixels", HTML: "<p>text</p>", Tags: []string{"SUMMARY_BAD_PIX", "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{Run: 7, HTML: "again", Parent: first,
		Files: []elog.File{{Name: "report.html", Kind: "text/html", Content: []byte("<html>")}}}); err != nil {
		t.Fatal(err)
	}
	want := []elogtest.Entry{
		{ID: first, Experiment: "mfxlx0001", Run: 7, Title: "Bad pixels", Content: "<p>text</p>", Tags: []string{"SUMMARY_BAD_PIX", "x"}, Files: map[string]string{}, Kinds: map[string]string{}},
		{ID: s.Entries[1].ID, Experiment: "mfxlx0001", Run: 7, Content: "again", Parent: first, Tags: []string{},
			Files: map[string]string{"report.html": "<html>"}, Kinds: map[string]string{"report.html": "text/html"}},
	}
	if !reflect.DeepEqual(s.Entries, want) {
		t.Errorf("entries %+v\nwant %+v", s.Entries, want)
	}
	found, err := c.Entries(t.Context(), "mfxlx0001", 7)
	if err != nil || len(found) != 2 || found[0] != (elog.Found{ID: first, Content: "<p>text</p>"}) {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{HTML: "x", Tags: []string{"two words"}}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a tag with a blank: %v", err)
	}
}

// TestAuthenticationFollowsTheRuleOfTheSite follows the rule of the site: the operator's account while the experiment is active, else Kerberos.
func TestAuthenticationFollowsTheRuleOfTheSite(t *testing.T) {
	s, c := logbook(t)
	c.Auth.Method = elog.Auto
	c.Kerberos = http.DefaultTransport
	s.Ticket = true
	params := map[string]any{"rawstatus": "done"}
	post := func() string {
		t.Helper()
		if err := c.RunParams(t.Context(), "mfxlx0001", 7, params); err != nil {
			t.Fatal(err)
		}
		return strings.Split(s.Calls[len(s.Calls)-1].Path, "/")[1]
	}
	if got := post(); got != "ws-auth" {
		t.Errorf("active experiment: %s", got)
	}
	s.Active["MFX"] = "mfxlx9999"
	if got := post(); got != "ws-kerb" {
		t.Errorf("another experiment is active: %s", got)
	}
	for name, change := range map[string]func(){
		"no ticket":       func() { s.Ticket, c.Auth.Method = false, elog.Negotiate },
		"wrong password":  func() { s.Users["mfxopr"], c.Auth.Method = "other", elog.Basic },
		"nobody":          func() { c.Auth.Method = elog.None },
		"no file":         func() { c.Auth.Method, c.Auth.PasswordFile = elog.Basic, "/no/such/file" },
		"file not named":  func() { c.Auth.Method, c.Auth.PasswordFile = elog.Basic, "" },
		"unknown method":  func() { c.Auth.Method = "oauth" },
		"not an address":  func() { c.URL, c.Auth.Method = "pswww", elog.None },
		"password in URL": func() { c.URL = "http://user:" + password + "@localhost" },
	} {
		keep := *c
		change()
		err := c.RunParams(t.Context(), "mfxlx0001", 7, params)
		if fault.CodeOf(err) != fault.Usage || strings.Contains(err.Error()+fault.HintOf(err), password) {
			t.Errorf("%s: %v", name, err)
		}
		*c, s.Ticket, s.Users["mfxopr"] = keep, true, password
	}
}

// fails makes the server answer in a wrong way.
type fails struct {
	name        string
	fault       func(w http.ResponseWriter, r *http.Request, done func()) bool
	code        fault.Code
	unknown     bool // the client cannot know whether an entry was made
	calls       int  // requests for run parameters, which may be repeated
	explanation string
}

func text(status int, kind, body string) func(http.ResponseWriter, *http.Request, func()) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

var failures = []fails{
	{"success false", text(200, "application/json", `{"success": false, "errormsg": "no such run"}`), fault.Refused, false, 1, "no such run"},
	{"success false, older name", text(200, "application/json", `{"success": false, "error_msg": "no such run"}`), fault.Refused, false, 1, "no such run"},
	{"login page", text(200, "text/html", "<html>Please log in</html>"), fault.Usage, false, 1, "not authenticated"},
	{"redirected to a login page", func(w http.ResponseWriter, r *http.Request, _ func()) bool {
		http.Redirect(w, r, "/login", http.StatusFound)
		return true
	}, fault.Usage, false, 1, "not authenticated"},
	{"forbidden", text(403, "text/plain", "Forbidden"), fault.Usage, false, 1, "not allowed"},
	{"unknown experiment", text(404, "text/plain", "Not Found"), fault.Usage, false, 1, "does not know the experiment"},
	{"locked", text(423, "text/plain", "Locked"), fault.Refused, false, 1, "locked"},
	{"text of an abort", text(500, "text/plain", "Cannot find parent entry"), fault.Temporary, true, 3, "Cannot find parent entry"},
	{"proxy", text(503, "text/html", "busy"), fault.Temporary, true, 3, "busy"},
	{"bad request", text(400, "text/plain", "what?"), fault.Refused, false, 1, "what?"},
	{"not JSON", text(200, "text/plain", "hello"), fault.Temporary, true, 3, "hello"},
	{"JSON of something else", text(200, "application/json", `[1]`), fault.Temporary, true, 3, "not the logbook's"},
	{"cut before the answer", func(w http.ResponseWriter, _ *http.Request, _ func()) bool { cut(w); return true }, fault.Temporary, true, 3, "no answer"},
	{"cut after it was done", func(w http.ResponseWriter, _ *http.Request, done func()) bool { done(); cut(w); return true }, fault.Temporary, true, 3, "no answer"},
	{"answer cut", func(w http.ResponseWriter, _ *http.Request, done func()) bool {
		done()
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"success"`)
		return true
	}, fault.Temporary, true, 3, "no answer"},
}

// cut closes the connection.
func cut(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	c.Close()
}

// TestEntriesAreSentOnceWhateverFails: what may be sent twice is tried again after failures that may pass; an entry is sent once.
func TestEntriesAreSentOnceWhateverFails(t *testing.T) {
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			s, c := logbook(t)
			s.Fault = f.fault
			err := c.RunParams(t.Context(), "mfxlx0001", 7, map[string]any{"rawstatus": "done"})
			if fault.CodeOf(err) != f.code || !strings.Contains(err.Error(), f.explanation) || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("run parameters: %v (%d)", err, fault.CodeOf(err))
			}
			s.Lock() // a handler whose connection was cut may still run
			if len(s.Calls) != f.calls {
				t.Errorf("run parameters were sent %d times, want %d", len(s.Calls), f.calls)
			}
			s.Calls = nil
			s.Unlock()
			_, err = c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{Run: 7, HTML: "text"})
			if fault.CodeOf(err) != f.code || errors.Is(err, elog.ErrUnknown) != f.unknown {
				t.Errorf("entry: %v (%d)", err, fault.CodeOf(err))
			}
			s.Lock()
			defer s.Unlock()
			if len(s.Calls) != 1 || len(s.Entries) > 1 {
				t.Errorf("the entry was sent %d times and made %d times", len(s.Calls), len(s.Entries))
			}
			if strings.Contains(err.Error()+fault.HintOf(err), password) {
				t.Errorf("the password is in: %v", err)
			}
		})
	}
}

// TestSlowAnswersSayNothingAboutAnEntry: no answer in time says nothing about an entry; what may be sent twice is tried again.
func TestSlowAnswersSayNothingAboutAnEntry(t *testing.T) {
	s, c := logbook(t)
	c.HTTP = &http.Client{Timeout: 100 * time.Millisecond}
	slow := true
	s.Fault = func(_ http.ResponseWriter, r *http.Request, done func()) bool {
		if slow {
			done()
			<-r.Context().Done()
		}
		wasSlow := slow
		slow = false
		return wasSlow
	}
	if _, err := c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{Run: 7, HTML: "x"}); !errors.Is(err, elog.ErrUnknown) || fault.CodeOf(err) != fault.Temporary {
		t.Errorf("entry: %v", err)
	}
	s.Lock()
	slow = true
	s.Unlock()
	if err := c.RunParams(t.Context(), "mfxlx0001", 7, map[string]any{"rawstatus": "done"}); err != nil {
		t.Errorf("run parameters: %v", err)
	}
	s.Lock()
	defer s.Unlock()
	if len(s.Entries) != 1 || s.Params["mfxlx0001/7"]["rawstatus"] != "done" {
		t.Errorf("entries %v, parameters %v", s.Entries, s.Params)
	}
}

// TestKerberosGoesThroughCurlWithoutSecretsInArguments sends what there is to send through the system's curl, whose arguments hold no secret.
func TestKerberosGoesThroughCurlWithoutSecretsInArguments(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		testenv.Lacking(t, "curl", err.Error())
	}
	s, c := logbook(t)
	s.Ticket = true
	c.Auth.Method = elog.Negotiate
	if err := c.RunParams(t.Context(), "mfxlx0001", 7, map[string]any{"rawstatus": "done"}); err != nil {
		t.Fatal(err)
	}
	page := strings.Repeat("<p>line</p>\r\n", 10000)
	id, err := c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{Run: 7, HTML: "@/etc/passwd", Files: []elog.File{{Name: "report.html", Kind: "text/html", Content: []byte(page)}}})
	if err != nil {
		t.Fatal(err)
	}
	if e := s.Entries[0]; e.ID != id || e.Content != "@/etc/passwd" || e.Files["report.html"] != page {
		t.Errorf("entry %.200v", e)
	}
	s.Ticket = false
	if err := c.RunParams(t.Context(), "mfxlx0001", 7, map[string]any{"rawstatus": "done"}); fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "kinit") {
		t.Errorf("without a ticket: %v", err)
	}
}

// TestUnsentEntriesMayBeSentAgain: nothing was sent, so an entry may be sent again.
func TestUnsentEntriesMayBeSentAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, c := logbook(t)
	c.URL = "http://" + l.Addr().String()
	l.Close()
	if _, err := c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{HTML: "x"}); fault.CodeOf(err) != fault.Temporary || errors.Is(err, elog.ErrUnknown) {
		t.Errorf("%v", err)
	}
	c.Auth.Method, c.Kerberos = elog.Negotiate, nil
	t.Setenv("PATH", "/no/such/path")
	if _, err := c.NewEntry(t.Context(), "mfxlx0001", elog.Entry{HTML: "x"}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("without curl: %v", err)
	}
}

// TestAddressOfCountersStaysSecret: the address is a secret of the job.
func TestAddressOfCountersStaysSecret(t *testing.T) {
	s, c := logbook(t)
	if err := c.Counters(t.Context(), s.CountersURL(), []elog.Counter{{Key: "<b>tasks</b>", Value: 3}}); err != nil {
		t.Fatal(err)
	}
	if want := []string{`[{"key":"\u003cb\u003etasks\u003c/b\u003e","value":3}]`}; !reflect.DeepEqual(s.Counters, want) {
		t.Errorf("counters %q, want %q", s.Counters, want)
	}
	s.Fault = text(500, "text/plain", "no")
	for _, address := range []string{s.URL + "/job/5f0ca?token=" + password, "http://127.0.0.1:1/" + password, "nonsense " + password} {
		err := c.Counters(t.Context(), address, nil)
		if err == nil || strings.Contains(err.Error()+fault.HintOf(err), password) || strings.Contains(err.Error(), "5f0ca") {
			t.Errorf("%v", err)
		}
	}
}
