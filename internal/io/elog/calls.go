package elog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// RunParams sets parameters of a run in the run table. Values are numbers or strings. Parameters that
// the run has under other names stay.
func (c *Client) RunParams(ctx context.Context, experiment string, run int, params map[string]any) error {
	a, err := c.authenticate(ctx, experiment)
	if err != nil {
		return err
	}
	address, err := c.address(a, url.Values{"run_num": {strconv.Itoa(run)}}, experiment, "ws", "add_run_params")
	if err != nil {
		return err
	}
	body, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("elog: could not encode the run parameters: %w", err)
	}
	_, err = c.again(ctx, request{method: http.MethodPost, address: address, kind: "application/json", body: body, by: a})
	return err
}

// Entry is a message for the logbook.
type Entry struct {
	Run    int
	Title  string
	HTML   string // the message; what comes from outside must be escaped
	Tags   []string
	Parent string // id of the entry that this one answers; empty: none
	Files  []File
}

// File is an attachment.
type File struct {
	Name    string
	Kind    string // content type
	Content []byte
}

// NewEntry makes an entry and returns its id. See [ErrUnknown] before it is called again.
func (c *Client) NewEntry(ctx context.Context, experiment string, e Entry) (id string, err error) {
	a, err := c.authenticate(ctx, experiment)
	if err != nil {
		return "", err
	}
	address, err := c.address(a, nil, experiment, "ws", "new_elog_entry")
	if err != nil {
		return "", err
	}
	kind, body, err := e.form()
	if err != nil {
		return "", err
	}
	value, err := c.send(ctx, request{method: http.MethodPost, address: address, kind: kind, body: body, by: a})
	if err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"_id"`
	}
	if err := json.Unmarshal(value, &made); err != nil || made.ID == "" {
		return "", fault.New(fault.Temporary, "elog: the answer has no id: %w", ErrUnknown)
	}
	return made.ID, nil
}

// form returns the entry as the service takes it.
func (e Entry) form() (kind string, body []byte, err error) {
	for _, t := range e.Tags {
		if t == "" || strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' }) {
			return "", nil, fault.New(fault.Usage, "elog: tag %q has a blank in it or is empty", t).WithHint("check elog.tags")
		}
	}
	fields := [][2]string{{"log_text", e.HTML}, {"run_num", strconv.Itoa(e.Run)}, {"log_title", e.Title}, {"log_tags", strings.Join(e.Tags, " ")}, {"parent", e.Parent}}
	if len(e.Files) == 0 {
		values := url.Values{}
		for _, f := range fields {
			if f[1] != "" {
				values.Set(f[0], f[1])
			}
		}
		return "application/x-www-form-urlencoded", []byte(values.Encode()), nil
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if f[1] != "" {
			err = firstError(err, w.WriteField(f[0], f[1]))
		}
	}
	for _, f := range e.Files {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", multipart.FileContentDisposition("files", f.Name))
		h.Set("Content-Type", f.Kind)
		part, errPart := w.CreatePart(h)
		if errPart == nil {
			_, errPart = io.Copy(part, bytes.NewReader(f.Content))
		}
		err = firstError(err, errPart)
	}
	err = firstError(err, w.Close())
	return w.FormDataContentType(), b.Bytes(), err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("elog: could not encode an entry: %w", err)
		}
	}
	return nil
}

// Found is an entry that the logbook has.
type Found struct {
	ID      string `json:"_id"`
	Content string `json:"content"`
}

// Entries returns the entries of a run.
func (c *Client) Entries(ctx context.Context, experiment string, run int) ([]Found, error) {
	a, err := c.authenticate(ctx, experiment)
	if err != nil {
		return nil, err
	}
	address, err := c.address(a, url.Values{"run_num": {strconv.Itoa(run)}}, experiment, "ws", "search_elog")
	if err != nil {
		return nil, err
	}
	value, err := c.again(ctx, request{method: http.MethodGet, address: address, by: a})
	if err != nil {
		return nil, err
	}
	var found []Found
	if err := json.Unmarshal(value, &found); err != nil {
		return nil, fault.New(fault.Temporary, "elog: the list of entries cannot be read: %w", err)
	}
	return found, nil
}

// Counter is a row of the progress table. Both texts are HTML.
type Counter struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// Counters replaces the progress table of a job of the automatic run processor. It is tried once: the
// next state replaces it anyway.
func (c *Client) Counters(ctx context.Context, address string, rows []Counter) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fault.New(fault.Usage, "elog: the address of the counters cannot be read").WithHint("check ARP_UPDATE_COUNTERS and JID_UPDATE_COUNTERS")
	}
	body, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("elog: could not encode the counters: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, wholeTimeout)
	defer cancel()
	// The path of the address names the job and may hold what lets one write to it: errors show the host alone.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Usage, "elog: the address of the counters cannot be read")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.client(credentials{}).Do(req)
	if err != nil {
		return fault.New(fault.Temporary, "elog: counters at %s: no answer: %w", u.Host, cause(err))
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fault.New(fault.Temporary, "elog: counters at %s: status %d", u.Host, res.StatusCode)
	}
	return nil
}
