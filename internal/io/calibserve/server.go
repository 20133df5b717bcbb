package calibserve

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/disk"
)

// Server is the web service over files: <root>/<db>/<coll>/<id>.json and <root>/<db>/gridfs/<id>.
// Everything is on disk before it is answered.
type Server struct {
	Root     string
	Disk     disk.Disk
	Writable bool
	Token    string       // wanted of writers as bearer token; empty: none
	Hosts    []string     // names of this machine under which a writable server answers, besides its own and addresses
	MaxData  int64        // bytes of one array
	MaxDoc   int64        // bytes of one document
	Warn     func(string) // told of what is passed over; nil: nobody

	posting sync.Mutex // of documents
	mu      sync.Mutex // of ids and of deletions
	last    string
}

// Limits of a server that sets none, and of its connections.
const (
	defaultMaxData = 4 << 30
	defaultMaxDoc  = 1 << 20

	maxConnections = 256
	maxHeader      = 64 << 10
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
)

// progressTimeout is how long a client may take for the next part of a body, in either direction.
var progressTimeout = 30 * time.Second

const gridfs = "gridfs"

// Serve answers on a listener until ctx ends. Requests under way may end then; what is not answered is
// not promised.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		server.Shutdown(ctx)
	})
	defer stop()
	if err := server.Serve(&limited{l, make(chan struct{}, maxConnections)}); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// limited is a listener that lets further clients wait while many are connected.
type limited struct {
	net.Listener
	places chan struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConn{Conn: c, free: sync.OnceFunc(func() { <-l.places })}, nil
}

type limitedConn struct {
	net.Conn
	free func()
}

// ReadFrom implements io.ReaderFrom: the system sends files by itself.
func (c *limitedConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// Handler returns the service. It answers below /, and below the paths of the real service.
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
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.fromElsewhere(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		control := http.NewResponseController(w)
		r.Body = &patientBody{r.Body, control}
		outer.ServeHTTP(&patientWriter{w, control}, r)
	})
}

// fromElsewhere refuses what a page of another site makes a browser send to a writable server: a name of
// that site that leads here, or an origin that is not this server.
func (s *Server) fromElsewhere(r *http.Request) error {
	if !s.Writable {
		return nil
	}
	host := (&url.URL{Host: r.Host}).Hostname()
	own, _ := os.Hostname()
	short, _, _ := strings.Cut(own, ".")
	known := host == "localhost" || net.ParseIP(host) != nil || host != "" && (host == own || host == short || slices.Contains(s.Hosts, host))
	if !known {
		return fmt.Errorf("this server is not called %q; start it with --host to let it answer under that name", host)
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return fmt.Errorf("requests from pages of %q are not answered", origin)
		}
	}
	return nil
}

// patientBody limits the time that a client takes for each part of a body, not for all of it.
type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	// Connections without deadlines are those of tests.
	_ = b.control.SetReadDeadline(time.Now().Add(progressTimeout))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { // and else there is no more to wait for
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientWriter does the same for answers.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write implements io.Writer.
func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(progressTimeout))
	return w.ResponseWriter.Write(p)
}

// filePart is how much of a file is sent within one progressTimeout, and received at once.
const filePart = 256 << 10

// ReadFrom implements io.ReaderFrom.
func (w *patientWriter) ReadFrom(r io.Reader) (n int64, err error) {
	rest, limited := r.(*io.LimitedReader)
	from, direct := w.ResponseWriter.(io.ReaderFrom)
	if !limited || !direct {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	for rest.N > 0 {
		_ = w.control.SetWriteDeadline(time.Now().Add(progressTimeout))
		k, err := from.ReadFrom(&io.LimitedReader{R: rest.R, N: min(rest.N, filePart)})
		n, rest.N = n+k, rest.N-k
		if err != nil || k == 0 {
			return n, err
		}
	}
	return n, nil
}

// httpError is an error with its status.
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
		case fault.IsFull(err):
			status = http.StatusInsufficientStorage
		case errors.Is(err, fs.ErrNotExist):
			status, err = http.StatusNotFound, errors.New("there is no such thing")
		}
		http.Error(w, fault.Message(err), status)
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

// path makes the file name of the request's database, collection and document. Nothing behind a symbolic
// link is served.
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
		if err := s.noLink(path); err != nil {
			return "", err
		}
	}
	return path, nil
}

// noLink makes a symbolic link look as if it were not there.
func (s *Server) noLink(path string) error {
	if kind, err := s.Disk.Kind(path); err == nil && kind&fs.ModeSymlink != 0 {
		return fs.ErrNotExist
	}
	return nil
}

// names lists a directory; a directory that does not exist is empty.
func (s *Server) names(dir string, want func(disk.Entry) bool) ([]string, error) {
	entries, err := s.Disk.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := []string{}
	for _, e := range entries {
		if access.Plausible(e.Name) && want(e) {
			list = append(list, e.Name)
		}
	}
	return list, nil
}

func isDir(e disk.Entry) bool { return e.Kind == fs.ModeDir }

func (s *Server) databases(*http.Request) (any, error) { return s.names(s.Root, isDir) }

func (s *Server) collections(r *http.Request) (any, error) {
	dir, err := s.path(r)
	if err != nil {
		return nil, err
	}
	return s.names(dir, func(e disk.Entry) bool { return isDir(e) && e.Name != gridfs })
}

// find returns the documents of a collection that a query selects, in the order of their creation.
func (s *Server) find(r *http.Request) (any, error) {
	dir, err := s.path(r)
	if err != nil {
		return nil, err
	}
	q, err := parseQuery(r.URL.Query().Get("query_string"))
	if err != nil {
		return nil, &httpError{http.StatusBadRequest, err.Error()}
	}
	files, err := s.names(dir, func(e disk.Entry) bool { return e.Kind == 0 && strings.HasSuffix(e.Name, ".json") })
	if err != nil {
		return nil, err
	}
	found := []json.RawMessage{}
	for _, name := range files { // ascending, and so are ids
		text, err := disk.ReadFile(s.Disk, filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			if s.Warn != nil {
				s.Warn(fmt.Sprintf("%s is not a document and is passed over: %v", filepath.Join(dir, name), err))
			}
			continue
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
	path += ".json"
	if err := s.noLink(path); err != nil {
		return nil, err
	}
	text, err := disk.ReadFile(s.Disk, path)
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

func (s *Server) openData(r *http.Request) (disk.File, error) {
	db, id := r.PathValue("db"), r.PathValue("id")
	for _, name := range []string{db, id} {
		if !access.Plausible(name) {
			return nil, &httpError{http.StatusBadRequest, fmt.Sprintf("%q is not a name", name)}
		}
	}
	path := s.Root
	for _, name := range []string{db, gridfs, id} {
		path = filepath.Join(path, name)
		if err := s.noLink(path); err != nil {
			return nil, err
		}
	}
	return s.Disk.Open(path)
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
	if err := s.noLink(dir); err != nil {
		return nil, err
	}
	if err := s.Disk.Make(dir); err != nil {
		return nil, err
	}
	return created{id}, s.Disk.Replace(filepath.Join(dir, id), false, func(w io.Writer) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, body, make([]byte, filePart))
		return err
	}, nil)
}

// postDocument stores a new document.
func (s *Server) postDocument(r *http.Request) (any, error) {
	dir, err := s.path(r)
	if err != nil {
		return nil, err
	}
	doc, err := s.receive(r)
	if err != nil {
		return nil, err
	}
	// Documents appear in the order of their ids.
	s.posting.Lock()
	defer s.posting.Unlock()
	id := s.newID()
	return created{id}, s.store(dir, id, doc)
}

// putDocument replaces a document that exists.
func (s *Server) putDocument(r *http.Request) (any, error) {
	path, err := s.path(r)
	if err != nil {
		return nil, err
	}
	if _, err := s.Disk.Kind(path + ".json"); err != nil {
		return nil, err
	}
	doc, err := s.receive(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	return created{id}, s.store(filepath.Dir(path), id, doc)
}

// receive reads the document of a request.
func (s *Server) receive(r *http.Request) (doc map[string]any, err error) {
	if r.PathValue("coll") == gridfs {
		return nil, &httpError{http.StatusBadRequest, "gridfs holds data, not documents"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, s.MaxDoc))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc == nil {
		return nil, &httpError{http.StatusBadRequest, fmt.Sprintf("a JSON object is wanted: %v", err)}
	}
	return doc, nil
}

// store writes a document under an id.
func (s *Server) store(dir, id string, doc map[string]any) error {
	doc["_id"] = id
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if err := s.Disk.Make(dir); err != nil {
		return err
	}
	return s.Disk.Replace(filepath.Join(dir, id+".json"), false, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}, nil)
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
	return "deleted", s.Disk.Remove(path)
}
