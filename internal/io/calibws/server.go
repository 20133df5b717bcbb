package calibws

import (
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
)

// Server is the web service over files: <root>/<db>/<coll>/<id>.json and <root>/<db>/gridfs/<id>.
// Everything is on disk before it is answered.
type Server struct {
	Root     string
	Policy   *access.Policy
	Writable bool
	Token    string // wanted of writers as bearer token; empty: none
	MaxData  int64  // bytes of one array
	MaxDoc   int64  // bytes of one document

	mu   sync.Mutex // of ids and of deletions
	last string
}

// Limits of a server that sets none.
const (
	defaultMaxData = 4 << 30
	defaultMaxDoc  = 1 << 20
)

const gridfs = "gridfs"

// Handler gives the service. It answers below /, and below the paths of the real service.
func (s *Server) Handler() http.Handler {
	s.MaxData = cmp.Or(s.MaxData, defaultMaxData)
	s.MaxDoc = cmp.Or(s.MaxDoc, defaultMaxDoc)
	mux := http.NewServeMux()
	read := func(pattern string, h func(r *http.Request) (any, error)) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r, h) })
	}
	write := func(pattern string, h func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer(w, r, func(r *http.Request) (any, error) {
				if err := s.mayWrite(r); err != nil {
					return nil, err
				}
				return h(r)
			})
		})
	}
	read("/{$}", s.databases)
	read("/{db}", s.collections)
	read("/{db}/{coll}", s.find)
	read("/{db}/{coll}/{id}", s.document)
	mux.HandleFunc("GET /{db}/gridfs/{id}", s.data)
	write("GET /{db}/test_post_privilege", func(*http.Request) (any, error) { return "you may write", nil })
	write("POST /{db}/gridfs/{$}", s.postData)
	write("POST /{db}/{coll}/{$}", s.postDocument)
	write("PUT /{db}/{coll}/{id}", s.putDocument)
	write("DELETE /{db}", s.remove)
	write("DELETE /{db}/{coll}", s.remove)
	write("DELETE /{db}/{coll}/{id}", s.remove)
	outer := http.NewServeMux()
	outer.Handle("/", mux)
	for _, prefix := range []string{"/calib_ws", "/ws-kerb/calib_ws", "/ws-jwt/calib_ws"} {
		outer.Handle(prefix+"/", http.StripPrefix(prefix, mux))
	}
	return outer
}

// httpError is an error with the status that tells it.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

// answer runs a handler and writes its value as JSON.
func answer(w http.ResponseWriter, r *http.Request, h func(r *http.Request) (any, error)) {
	v, err := h(r)
	if err != nil {
		status := http.StatusInternalServerError
		var e *httpError
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &e):
			status = e.status
		case errors.As(err, &tooLarge):
			status = http.StatusRequestEntityTooLarge
		case errors.Is(err, fs.ErrNotExist):
			status, err = http.StatusNotFound, errors.New("there is no such thing")
		}
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// The client is gone when this fails; nobody is left to tell.
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) mayWrite(r *http.Request) error {
	if !s.Writable {
		return &httpError{http.StatusForbidden, "this server is read-only"}
	}
	given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.Token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.Token)) != 1 {
		return &httpError{http.StatusUnauthorized, "a valid bearer token is wanted"}
	}
	return nil
}

// path makes the file name of the request's database, collection and document.
func (s *Server) path(r *http.Request) (string, error) {
	path := s.Root
	for _, key := range []string{"db", "coll", "id"} {
		name := r.PathValue(key)
		if name == "" {
			break
		}
		if !access.Plausible(name) {
			return "", &httpError{http.StatusBadRequest, fmt.Sprintf("%q is not a name", name)}
		}
		path = filepath.Join(path, name)
	}
	return path, nil
}

// names lists a directory; a directory that does not exist is empty.
func names(dir string, want func(fs.DirEntry) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := []string{}
	for _, e := range entries {
		if access.Plausible(e.Name()) && want(e) {
			list = append(list, e.Name())
		}
	}
	return list, nil
}

func (s *Server) databases(*http.Request) (any, error) { return names(s.Root, fs.DirEntry.IsDir) }

func (s *Server) collections(r *http.Request) (any, error) {
	dir, err := s.path(r)
	if err != nil {
		return nil, err
	}
	return names(dir, func(e fs.DirEntry) bool { return e.IsDir() && e.Name() != gridfs })
}

// find gives the documents of a collection that a query selects, in the order of their creation.
func (s *Server) find(r *http.Request) (any, error) {
	dir, err := s.path(r)
	if err != nil {
		return nil, err
	}
	q, err := parseQuery(r.URL.Query().Get("query_string"))
	if err != nil {
		return nil, &httpError{http.StatusBadRequest, err.Error()}
	}
	files, err := names(dir, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".json") })
	if err != nil {
		return nil, err
	}
	found := []json.RawMessage{}
	for _, name := range files { // ascending, and so are ids
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, fmt.Errorf("document %s of %s: %w", name, r.URL.Path, err)
		}
		if q.selects(doc) {
			found = append(found, text)
		}
	}
	return found, nil
}

func (s *Server) document(r *http.Request) (any, error) {
	path, err := s.path(r)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path + ".json")
	return json.RawMessage(text), err
}

func (s *Server) data(w http.ResponseWriter, r *http.Request) {
	f, err := s.openData(r)
	if err != nil {
		answer(w, r, func(*http.Request) (any, error) { return nil, err })
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
}

func (s *Server) openData(r *http.Request) (*os.File, error) {
	db, id := r.PathValue("db"), r.PathValue("id")
	for _, name := range []string{db, id} {
		if !access.Plausible(name) {
			return nil, &httpError{http.StatusBadRequest, fmt.Sprintf("%q is not a name", name)}
		}
	}
	return os.Open(filepath.Join(s.Root, db, gridfs, id))
}

// newID makes an id that begins with the time as those of MongoDB do, larger than all before.
func (s *Server) newID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		now := time.Now()
		id := fmt.Sprintf("%08x%08x%08x", uint32(now.Unix()), uint32(now.Nanosecond()), rand.Uint32())
		if id > s.last {
			s.last = id
			return id
		}
	}
}

type created struct {
	ID string `json:"_id"`
}

// postData stores raw bytes, or the field "files" of a form.
func (s *Server) postData(r *http.Request) (any, error) {
	db, err := s.path(r)
	if err != nil {
		return nil, err
	}
	var body io.Reader = http.MaxBytesReader(nil, r.Body, s.MaxData)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		r.Body = io.NopCloser(body)
		form, err := r.MultipartReader()
		if err != nil {
			return nil, &httpError{http.StatusBadRequest, err.Error()}
		}
		part, err := form.NextPart()
		if err != nil || part.FormName() != "files" {
			return nil, &httpError{http.StatusBadRequest, "a form with the field \"files\" is wanted"}
		}
		body = part
	}
	id := s.newID()
	dir := filepath.Join(db, gridfs)
	if err := s.Policy.MkdirAll(dir); err != nil {
		return nil, err
	}
	return created{id}, atomicfile.Write(filepath.Join(dir, id), s.Policy.File(), func(w io.Writer) error {
		_, err := io.Copy(w, body)
		return err
	})
}

// postDocument stores a new document.
func (s *Server) postDocument(r *http.Request) (any, error) {
	dir, err := s.path(r)
	if err != nil {
		return nil, err
	}
	id := s.newID()
	return created{id}, s.store(r, dir, id)
}

// putDocument replaces a document that exists.
func (s *Server) putDocument(r *http.Request) (any, error) {
	path, err := s.path(r)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path + ".json"); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	return created{id}, s.store(r, filepath.Dir(path), id)
}

// store reads a document and writes it under an id.
func (s *Server) store(r *http.Request, dir, id string) error {
	if filepath.Base(dir) == gridfs {
		return &httpError{http.StatusBadRequest, "gridfs holds data, not documents"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, s.MaxDoc))
	if err != nil {
		return err
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil || doc == nil {
		return &httpError{http.StatusBadRequest, fmt.Sprintf("a JSON object is wanted: %v", err)}
	}
	doc["_id"] = id
	if text, err = json.Marshal(doc); err != nil {
		return err
	}
	if err := s.Policy.MkdirAll(dir); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, id+".json"), s.Policy.File(), text)
}

// remove deletes a document, data, a collection or a database.
func (s *Server) remove(r *http.Request) (any, error) {
	path, err := s.path(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, coll := r.PathValue("id"), r.PathValue("coll")
	if id != "" && coll != gridfs {
		path += ".json"
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if id != "" {
		err = os.Remove(path)
	} else {
		err = os.RemoveAll(path)
	}
	return "deleted", err
}
