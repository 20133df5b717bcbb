package elog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/negotiate"
)

// Client speaks to one logbook. The zero value of a field after Auth stands for its default.
type Client struct {
	URL  string // the site's address, e.g. https://pswww.slac.stanford.edu
	Auth Auth

	HTTP     *http.Client      // for anonymous and Basic requests
	Kerberos http.RoundTripper // for Kerberos requests; default: curl
	Pauses   []time.Duration   // before further attempts of what may be sent twice
}

// ErrUnknown is in the chain of an error after which nobody knows whether an entry was made.
var ErrUnknown = errors.New("whether the entry was made is not known")

const (
	connectTimeout = 10 * time.Second
	wholeTimeout   = 30 * time.Second
	maxAnswer      = 64 << 20
)

var (
	defaultPauses = []time.Duration{time.Second, 4 * time.Second, 15 * time.Second}

	defaultHTTP = &http.Client{
		Timeout: wholeTimeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout: connectTimeout,
		},
	}
)

// request is one call of the service.
type request struct {
	method  string
	address string
	kind    string // content type of body
	body    []byte
	by      credentials
}

// send makes the request once and returns the value of a successful answer. The error of a request whose
// outcome is not known has ErrUnknown in its chain.
func (c *Client) send(ctx context.Context, r request) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, r.address, bytes.NewReader(r.body))
	if err != nil {
		return nil, fault.New(fault.Usage, "elog: %s is not an address", shown(r.address))
	}
	if r.kind != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	if r.by.user != "" {
		req.SetBasicAuth(r.by.user, r.by.password)
	}
	res, err := c.client(r.by).Do(req)
	if err != nil {
		var op *net.OpError
		connected := !(errors.As(err, &op) && op.Op == "dial")
		return nil, unanswered(r, err, connected)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil && res.StatusCode == http.StatusOK {
		return nil, unanswered(r, err, true)
	}
	return judge(r, res, text)
}

func (c *Client) client(a credentials) *http.Client {
	h := c.HTTP
	if h == nil {
		h = defaultHTTP
	}
	h = &http.Client{Transport: h.Transport, Timeout: h.Timeout}
	if a.kerberos {
		if h.Transport = c.Kerberos; h.Transport == nil {
			h.Transport = negotiate.Transport{}
		}
	}
	// A redirection leads to a login page or to another server. Neither may see the password.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return h
}

// unanswered returns the error of a request that got no answer. A classified error comes from the
// transport, before anything was sent.
func unanswered(r request, err error, sent bool) error {
	var classified *fault.Error
	if errors.As(err, &classified) {
		return fault.New(classified.Code, "elog: %s %s: %s", r.method, shown(r.address), classified.Msg).WithHint("%s", classified.Hint)
	}
	err = cause(err)
	if sent {
		err = errors.Join(ErrUnknown, err)
	}
	return fault.New(fault.Temporary, "elog: %s %s: no answer: %w", r.method, shown(r.address), flat{err}).
		WithHint("the logbook does not answer: `rawstatus post --retry` sends what is missing")
}

// cause returns an error of the HTTP client without the address, which may have secrets in it.
func cause(err error) error {
	var withAddress *url.Error
	if errors.As(err, &withAddress) {
		return withAddress.Err
	}
	return err
}

// flat shows a joined error on one line.
type flat struct{ error }

func (f flat) Error() string { return strings.ReplaceAll(f.error.Error(), "\n", ": ") }
func (f flat) Unwrap() error { return f.error }

// judge returns the value of an answer, or the error that it stands for.
func judge(r request, res *http.Response, text []byte) (json.RawMessage, error) {
	say := func(code fault.Code, format string, args ...any) *fault.Error {
		return fault.New(code, "elog: %s %s: "+format, append([]any{r.method, shown(r.address)}, args...)...)
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch code := res.StatusCode; {
	case code/100 == 3, code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusOK && kind == "text/html":
		return nil, say(fault.Usage, "not authenticated or not allowed (status %d)", code).WithHint("%s", r.by.hint())
	case code == http.StatusNotFound:
		return nil, say(fault.Usage, "the logbook does not know the experiment (status 404)").WithHint("check the experiment's name and elog.url")
	case code == http.StatusLocked:
		return nil, say(fault.Refused, "the experiment is locked (status 423)").WithHint("ask its owner to unlock it, then: rawstatus post --retry")
	case code/100 == 5, code == http.StatusTooManyRequests:
		return nil, say(fault.Temporary, "status %d: %s: %w", code, excerpt(text), ErrUnknown).
			WithHint("the logbook is busy or refuses: `rawstatus post --retry` sends what is missing")
	case code != http.StatusOK:
		return nil, say(fault.Refused, "status %d: %s", code, excerpt(text))
	}
	var answer struct {
		Success  *bool           `json:"success"`
		Value    json.RawMessage `json:"value"`
		ErrorMsg string          `json:"errormsg"`
		Older    string          `json:"error_msg"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Success == nil {
		return nil, say(fault.Temporary, "the answer is not the logbook's: %s: %w", excerpt(text), ErrUnknown).WithHint("check elog.url")
	}
	if !*answer.Success {
		return nil, say(fault.Refused, "refused: %s", excerpt([]byte(firstOf(answer.ErrorMsg, answer.Older, "no reason given"))))
	}
	return answer.Value, nil
}

// again makes a request that may be sent twice, with pauses after failures that may pass.
func (c *Client) again(ctx context.Context, r request) (json.RawMessage, error) {
	pauses := c.Pauses
	if pauses == nil {
		pauses = defaultPauses
	}
	for try := 0; ; try++ {
		value, err := c.send(ctx, r)
		if err == nil || fault.CodeOf(err) != fault.Temporary || try >= len(pauses) || ctx.Err() != nil {
			return value, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pauses[try]):
		}
	}
}

// address returns the address of a call; names are escaped.
func (c *Client) address(a credentials, values url.Values, names ...string) (string, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return "", fault.New(fault.Usage, "elog.url %q is not an address such as https://pswww.slac.stanford.edu", shown(c.URL))
	}
	for _, n := range names {
		if !access.Plausible(n) {
			return "", fault.New(fault.Input, "elog: %q cannot be part of an address", n)
		}
	}
	base.Path = path.Join("/", base.Path, a.prefix(), "lgbk/lgbk", path.Join(names...))
	base.RawQuery = values.Encode()
	return base.String(), nil
}

// shown returns an address without what may be secret in it: user, password, query.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(an address that cannot be read)"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// excerpt returns the beginning of a text on one line.
func excerpt(text []byte) string {
	s := strings.Join(strings.Fields(string(text)), " ")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
