package calibws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
)

// Client speaks to the web service. Reading and writing may go to different addresses.
type Client struct {
	ReadURL  string // with or without trailing slash
	WriteURL string
	Token    string            // bearer token for writing; empty: none
	HTTP     *http.Client      // nil: one with the time-outs of this package
	Writer   http.RoundTripper // for requests to WriteURL, e.g. [negotiate.Transport]; nil: as HTTP
	Retries  int               // further attempts of reads after a temporary failure
	Pause    time.Duration     // before the first of them; doubles
}

// answerTimeout is how long the service may think; psana waits as long.
const answerTimeout = 180 * time.Second

// defaultHTTP bounds waiting for connections and answers, not the transfer of large arrays.
var defaultHTTP = &http.Client{Transport: &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           dial,
	TLSHandshakeTimeout:   20 * time.Second,
	ResponseHeaderTimeout: answerTimeout,
	MaxIdleConnsPerHost:   4,
}}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn{c}, nil
}

// conn is a connection that takes arrays from where they are in memory.
type conn struct{ net.Conn }

// sentAtOnce bounds what is sent by one call.
const sentAtOnce = 1 << 20

// ReadFrom implements io.ReaderFrom.
func (c conn) ReadFrom(r io.Reader) (n int64, err error) {
	rest, limited := r.(*io.LimitedReader)
	if !limited {
		return io.Copy(c.Conn, r)
	}
	from, array := rest.R.(outgoing)
	if !array {
		return io.Copy(c.Conn, r)
	}
	for rest.N > 0 {
		b := from.Next(int(min(rest.N, sentAtOnce)))
		if len(b) == 0 {
			break // the caller misses it
		}
		k, err := c.Write(b)
		if n, rest.N = n+int64(k), rest.N-int64(k); err != nil {
			return n, err
		}
	}
	return n, nil
}

// outgoing is an array as the body of a request.
type outgoing struct{ *calib.Bytes }

// Close implements io.Closer.
func (outgoing) Close() error { return nil }

// body is something to send; it can be sent again.
type body struct {
	size int64
	kind string // content type
	open func() io.Reader
}

func jsonBody(v any) (*body, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("could not encode a document: %w", err)
	}
	return &body{int64(len(b)), "application/json", func() io.Reader { return bytes.NewReader(b) }}, nil
}

// answered is the body of an answer.
type answered struct {
	io.ReadCloser
	size int64 // as announced; -1: not announced
}

// send makes one request and returns the answer's body. Names in path are checked and escaped.
func (c *Client) send(ctx context.Context, write bool, method string, b *body, values url.Values, names ...string) (*answered, error) {
	base := c.ReadURL
	if write {
		base = c.WriteURL
	}
	for i, n := range names {
		if n != "" && !access.Plausible(n) {
			return nil, fault.New(fault.Input, "calibws: %q cannot be a name in the database", n)
		}
		names[i] = url.PathEscape(n)
	}
	address := strings.TrimSuffix(base, "/") + "/" + strings.Join(names, "/")
	if len(values) > 0 {
		address += "?" + values.Encode()
	}
	var content io.Reader
	if b != nil {
		content = b.open()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, fault.New(fault.Usage, "calibws: %w", err)
	}
	if b != nil {
		req.ContentLength = b.size
		req.Header.Set("Content-Type", b.kind)
	}
	if write && c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	res, err := c.client(write).Do(req)
	if err != nil {
		return nil, failed(ctx, method, address, err)
	}
	if res.StatusCode/100 == 2 {
		return &answered{res.Body, res.ContentLength}, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 300)) // what there is of an explanation
	return nil, refusal(res.StatusCode, method, address, strings.TrimSpace(string(text)))
}

func (c *Client) client(write bool) *http.Client {
	h := c.HTTP
	if h == nil {
		h = defaultHTTP
	}
	if !write {
		return h
	}
	writer := *h
	if c.Writer != nil {
		writer.Transport = c.Writer
	}
	writer.CheckRedirect = sameOrigin
	return &writer
}

// sameOrigin refuses redirects of requests that carry a token or ticket to another scheme, host or port.
func sameOrigin(req *http.Request, via []*http.Request) error {
	const most = 5
	from, to := via[0].URL, req.URL
	switch {
	case from.Scheme != to.Scheme || from.Host != to.Host:
		return fault.New(fault.Input, "calibws: %s://%s redirects to %s://%s: a token or ticket is not sent to another address", from.Scheme, from.Host, to.Scheme, to.Host).
			WithHint("if this is the right service, give its address by --write-url or calibws.write_url")
	case len(via) > most:
		return fault.New(fault.Input, "calibws: %s redirects more than %d times", from, most)
	}
	return nil
}

// failed classifies what happened without an answer.
func failed(ctx context.Context, method, address string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("calibws: %s %s: %w", method, address, ctx.Err())
	}
	var classified *fault.Error
	if errors.As(err, &classified) {
		return err
	}
	return fault.New(fault.Temporary, "calibws: %s %s: %w", method, address, err).
		WithHint("the service does not answer: run the same command again later")
}

// refusal classifies an answer that is not a success.
func refusal(status int, method, address, text string) error {
	say := func(code fault.Code) *fault.Error {
		return fault.New(code, "calibws: %s %s: status %d %s: %s", method, address, status, http.StatusText(status), text)
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return say(fault.Usage).WithHint("you may not write here: get a Kerberos ticket (kinit), or set CALIB_JWT; detector databases are written by experts, and so are deletions")
	case status == http.StatusInsufficientStorage:
		return fault.New(fault.Temporary, "calibws: %s %s: the service has no room left: %w", method, address, syscall.ENOSPC).
			WithHint("make room on the machine of the service, then run the same command again: what has arrived is kept")
	case status == http.StatusTooManyRequests, status/100 == 5:
		return say(fault.Temporary).WithHint("the service is busy or broken: run the same command again later")
	}
	return say(fault.Input)
}

// get reads with retries.
func (c *Client) get(ctx context.Context, use func(*answered) error, values url.Values, names ...string) error {
	pause := c.Pause
	for try := 0; ; try++ {
		r, err := c.send(ctx, false, http.MethodGet, nil, values, names...)
		if err == nil {
			err = use(r)
			r.Close()
		}
		if err == nil || fault.CodeOf(err) != fault.Temporary || try >= c.Retries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// maxAnswer bounds what is taken as a JSON answer.
const maxAnswer = 256 << 20

// decode reads a JSON answer; one that is none is as good as no answer.
func decode(v any) func(*answered) error {
	return func(r *answered) error {
		if err := json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(v); err != nil {
			return fault.New(fault.Temporary, "calibws: the answer is not what it should be: %w", err).
				WithHint("is this the address of the calibration web service?")
		}
		return nil
	}
}

// gridfs is the collection of the data.
const gridfs = "gridfs"

// Find returns the documents of a collection that a query selects, and notes about those that cannot be read.
func (c *Client) Find(ctx context.Context, db, coll string, query map[string]any) (docs []Doc, notes []string, err error) {
	q, err := json.Marshal(query)
	if err != nil {
		return nil, nil, fmt.Errorf("could not encode a query: %w", err)
	}
	var raw []json.RawMessage
	err = c.get(ctx, decode(&raw), url.Values{"query_string": {string(q)}}, db, coll)
	docs, notes = parseDocs[Doc](raw, db+"/"+coll)
	return docs, notes, err
}

// Document returns one document.
func (c *Client) Document(ctx context.Context, db, coll, id string) (Doc, error) {
	var raw json.RawMessage
	var d Doc
	if err := c.get(ctx, decode(&raw), nil, db, coll, id); err != nil {
		return d, err
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, fault.New(fault.Input, "calibws: document %s of %s/%s cannot be read: %w", id, db, coll, err)
	}
	return d, nil
}

// Data reads data; use may be called again after a failure.
func (c *Client) Data(ctx context.Context, db, id string, use func(*answered) error) error {
	return c.get(ctx, func(r *answered) error {
		err := use(r)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return fault.New(fault.Temporary, "calibws: data %s of %s: %w", id, db, err)
		}
		return err
	}, nil, db, gridfs, id)
}

// MayWrite asks whether one may write into a database.
func (c *Client) MayWrite(ctx context.Context, db string) error {
	r, err := c.send(ctx, true, http.MethodGet, nil, nil, db, "test_post_privilege")
	if err != nil {
		return err
	}
	return r.Close()
}

// post sends once, for what has arrived without an answer must not be sent twice, and returns the id.
func (c *Client) post(ctx context.Context, b *body, db, coll string) (string, error) {
	r, err := c.send(ctx, true, http.MethodPost, b, nil, db, coll, "")
	if err != nil {
		return "", err
	}
	defer r.Close()
	var made struct {
		ID string `json:"_id"`
	}
	if err := decode(&made)(r); err != nil {
		return "", err
	}
	if !access.Plausible(made.ID) {
		return "", fault.New(fault.Temporary, "calibws: the answer has no id").WithHint("is this the address of the calibration web service?")
	}
	return made.ID, nil
}

// Delete removes a document.
func (c *Client) Delete(ctx context.Context, db, coll, id string) error {
	r, err := c.send(ctx, true, http.MethodDelete, nil, nil, db, coll, id)
	if err != nil {
		return err
	}
	return r.Close()
}

// PostDocument adds a document.
func (c *Client) PostDocument(ctx context.Context, db, coll string, doc any) (string, error) {
	b, err := jsonBody(doc)
	if err != nil {
		return "", err
	}
	return c.post(ctx, b, db, coll)
}

// SameHost reports whether two addresses are those of one service: scheme, host and port.
func SameHost(a, b string) bool {
	x, errX := url.Parse(strings.ToLower(a))
	y, errY := url.Parse(strings.ToLower(b))
	if errX != nil || errY != nil {
		return false
	}
	name := func(u *url.URL) string {
		if u.Hostname() == "localhost" {
			return "127.0.0.1"
		}
		return u.Hostname()
	}
	return x.Scheme == y.Scheme && name(x) == name(y) && x.Port() == y.Port()
}
