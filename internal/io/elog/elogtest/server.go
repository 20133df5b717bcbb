package elogtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Call is a request that the server has seen.
type Call struct {
	Method, Path, Query, Kind, User string
	Body                            string // of JSON requests
}

// Entry is an entry of the logbook.
type Entry struct {
	ID, Experiment, Title, Content, Parent string
	Run                                    int
	Tags                                   []string
	Files                                  map[string]string // content by name
	Kinds                                  map[string]string // content type by name
}

// Server is a logbook with an automatic run processor. Fields may be changed between requests under Lock.
type Server struct {
	sync.Mutex
	URL string

	Experiments map[string][]int // runs by experiment
	Locked      map[string]bool
	Active      map[string]string // experiment by instrument
	Users       map[string]string // passwords of the operators
	Ticket      bool              // Kerberos requests are accepted
	// Fault, if not nil, may answer a request itself: it returns true when it has. done does the request first.
	Fault func(w http.ResponseWriter, r *http.Request, done func()) bool

	Calls    []Call
	Params   map[string]map[string]any // by "experiment/run"
	Entries  []Entry
	Counters []string // bodies
}

// New starts a server; stop ends it.
func New() (s *Server, stop func()) {
	s = &Server{Experiments: map[string][]int{}, Locked: map[string]bool{}, Active: map[string]string{}, Users: map[string]string{}, Params: map[string]map[string]any{}}
	h := httptest.NewServer(s)
	s.URL = h.URL
	return s, h.Close
}

// CountersURL returns the address that the automatic run processor hands to a job.
func (s *Server) CountersURL() string { return s.URL + "/ws-jid/replace_counters/exp/5f0ca" }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	defer s.Unlock()
	user, _, _ := r.BasicAuth()
	call := Call{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Kind: r.Header.Get("Content-Type"), User: user}
	if strings.HasPrefix(call.Kind, "application/json") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		call.Body = string(body)
	}
	s.Calls = append(s.Calls, call)
	serve := func(w http.ResponseWriter) { s.serve(w, r, call) }
	if s.Fault != nil && s.Fault(w, r, func() { serve(httptest.NewRecorder()) }) {
		return
	}
	serve(w)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, call Call) {
	if strings.HasPrefix(call.Path, "/ws-jid/replace_counters/") {
		s.Counters = append(s.Counters, call.Body)
		answer(w, true, nil)
		return
	}
	prefix, rest, _ := strings.Cut(strings.TrimPrefix(call.Path, "/"), "/")
	rest, ok := strings.CutPrefix(rest, "lgbk/lgbk/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	switch prefix {
	case "ws":
	case "ws-auth":
		_, password, _ := r.BasicAuth()
		if want, known := s.Users[call.User]; !known || want != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="logbook"`)
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
	case "ws-kerb":
		if !s.Ticket {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
	default:
		http.NotFound(w, r)
		return
	}
	if rest == "ws/activeexperiment_for_instrument_station" {
		name := s.Active[r.URL.Query().Get("instrument_name")]
		if name == "" {
			http.Error(w, "Cannot find a valid active experiment", http.StatusInternalServerError)
			return
		}
		answer(w, true, map[string]any{"name": name})
		return
	}
	experiment, verb, _ := strings.Cut(rest, "/ws/")
	if s.Experiments[experiment] == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodPost && prefix == "ws" {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	switch r.Method + " " + verb {
	case "POST add_run_params":
		s.addParams(w, r, experiment, call.Body)
	case "POST new_elog_entry":
		s.newEntry(w, r, experiment)
	case "GET search_elog":
		s.search(w, r, experiment)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) addParams(w http.ResponseWriter, r *http.Request, experiment, body string) {
	if s.Locked[experiment] {
		http.Error(w, "Locked", http.StatusLocked)
		return
	}
	run, err := strconv.Atoi(r.URL.Query().Get("run_num"))
	if err != nil || !slices.Contains(s.Experiments[experiment], run) {
		http.Error(w, "'NoneType' object is not subscriptable", http.StatusInternalServerError)
		return
	}
	var params map[string]any
	if err := json.Unmarshal([]byte(body), &params); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key := fmt.Sprintf("%s/%d", experiment, run)
	if s.Params[key] == nil {
		s.Params[key] = map[string]any{}
	}
	for name, value := range params {
		s.Params[key][strings.NewReplacer(".", "\uff0e", "$", "\uff04").Replace(name)] = value
	}
	answer(w, true, map[string]any{"num": run, "params": s.Params[key]})
}

func (s *Server) newEntry(w http.ResponseWriter, r *http.Request, experiment string) {
	var err error
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		err = r.ParseMultipartForm(64 << 20)
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e := Entry{ID: fmt.Sprintf("%024x", len(s.Entries)+1), Experiment: experiment, Title: r.PostFormValue("log_title"), Content: r.PostFormValue("log_text"),
		Parent: r.PostFormValue("parent"), Tags: strings.Fields(r.PostFormValue("log_tags")), Files: map[string]string{}, Kinds: map[string]string{}}
	if strings.TrimSpace(e.Content) == "" {
		http.Error(w, "Cannot post empty message", http.StatusInternalServerError)
		return
	}
	known := func(o Entry) bool { return o.ID == e.Parent && o.Experiment == experiment }
	if e.Parent != "" && !slices.ContainsFunc(s.Entries, known) {
		http.Error(w, "Cannot find parent entry for followup log message", http.StatusInternalServerError)
		return
	}
	if text := r.PostFormValue("run_num"); text != "" {
		if e.Run, err = strconv.Atoi(text); err != nil || !slices.Contains(s.Experiments[experiment], e.Run) {
			answer(w, false, "Cannot find run with specified run number - "+text+" for experiment "+experiment)
			return
		}
	}
	if r.MultipartForm != nil {
		for _, h := range r.MultipartForm.File["files"] {
			f, err := h.Open()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			content, err := io.ReadAll(f)
			f.Close()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			e.Files[h.Filename], e.Kinds[h.Filename] = string(content), h.Header.Get("Content-Type")
		}
	}
	s.Entries = append(s.Entries, e)
	answer(w, true, map[string]any{"_id": e.ID, "content": e.Content, "insert_time": time.Now().UTC()})
}

func (s *Server) search(w http.ResponseWriter, r *http.Request, experiment string) {
	run, err := strconv.Atoi(r.URL.Query().Get("run_num"))
	if err != nil {
		http.Error(w, "invalid literal for int()", http.StatusInternalServerError)
		return
	}
	found := []map[string]any{}
	for _, e := range s.Entries {
		if e.Experiment == experiment && e.Run == run {
			found = append(found, map[string]any{"_id": e.ID, "content": e.Content, "title": e.Title, "run_num": e.Run})
		}
	}
	answer(w, true, found)
}

// answer writes what the logbook's methods return.
func answer(w http.ResponseWriter, success bool, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	out := map[string]any{"success": success, "value": value}
	if !success {
		out = map[string]any{"success": false, "errormsg": value, "value": nil}
	}
	// A client that has gone away is what some tests want.
	_ = json.NewEncoder(w).Encode(out)
}
