package elog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"rawstatus/internal/fault"
)

// Ways to authenticate.
const (
	None      = "none"
	Basic     = "basic"
	Negotiate = "negotiate"
	Auto      = "auto" // Basic while the experiment is the active one of its instrument, else Negotiate
)

// Auth says who posts.
type Auth struct {
	Method       string // None, Basic, Negotiate or Auto
	User         string // of Basic; default: the instrument's operator, e.g. mfxopr
	PasswordFile string // of Basic: the first line is the password
}

// credentials is how one request is authenticated.
type credentials struct {
	kerberos       bool
	user, password string
	file           string // that the password is from
}

func (a credentials) prefix() string {
	switch {
	case a.kerberos:
		return "ws-kerb"
	case a.user != "":
		return "ws-auth"
	}
	return "ws"
}

// hint returns what a person can do when the service does not accept the request.
func (a credentials) hint() string {
	switch {
	case a.kerberos:
		return "get a ticket with kinit, and check that you may post to this experiment"
	case a.user != "":
		return "user " + a.user + " with the password in " + a.file + " may post only while the experiment is active: use elog.auth = \"negotiate\""
	}
	return "set elog.auth to basic, negotiate or auto"
}

// authenticate returns how requests for an experiment are authenticated.
func (c *Client) authenticate(ctx context.Context, experiment string) (credentials, error) {
	method := c.Auth.Method
	if method == Auto {
		active, err := c.active(ctx, instrument(experiment))
		if err != nil {
			return credentials{}, err
		}
		if method = Negotiate; active == experiment {
			method = Basic
		}
	}
	switch method {
	case None:
		return credentials{}, nil
	case Negotiate:
		return credentials{kerberos: true}, nil
	case Basic:
		return c.operator(experiment)
	}
	return credentials{}, fault.New(fault.Usage, "elog.auth %q is not a way to authenticate", method).WithHint("write none, basic, negotiate or auto")
}

// operator returns the Basic credentials.
func (c *Client) operator(experiment string) (credentials, error) {
	a := credentials{user: c.Auth.User, file: c.Auth.PasswordFile}
	if a.user == "" {
		a.user = strings.ToLower(instrument(experiment)) + "opr"
	}
	if a.file == "" {
		return a, fault.New(fault.Usage, "elog.auth is basic, but there is no elog.password_file").WithHint("set it in the site file, or elog.auth = \"negotiate\"")
	}
	f, err := os.Open(a.file)
	if err != nil {
		why := fault.New(fault.Usage, "elog: the password of %s cannot be read: %w", a.user, err).WithHint("check elog.password_file, or use elog.auth = \"negotiate\"")
		if errors.Is(err, fs.ErrPermission) {
			why = why.WithHint("you are not in the group that may post as %s: use elog.auth = \"negotiate\"", a.user)
		}
		return a, why
	}
	defer f.Close()
	line := bufio.NewScanner(f)
	if !line.Scan() || line.Text() == "" {
		return a, fault.New(fault.Usage, "elog: %s does not begin with a password", a.file).WithHint("its first line must be the password of %s", a.user)
	}
	a.password = line.Text()
	return a, nil
}

// active returns the experiment that is active at an instrument.
func (c *Client) active(ctx context.Context, instrument string) (string, error) {
	address, err := c.address(credentials{}, url.Values{"instrument_name": {strings.ToUpper(instrument)}, "station": {"0"}}, "ws", "activeexperiment_for_instrument_station")
	if err != nil {
		return "", err
	}
	value, err := c.again(ctx, request{method: http.MethodGet, address: address})
	if err != nil {
		return "", err
	}
	var found struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(value, &found); err != nil || found.Name == "" {
		return "", fault.New(fault.Temporary, "elog: the logbook does not say which experiment is active at %s", instrument)
	}
	return found.Name, nil
}

// instrument returns the instrument of an experiment: its first three letters.
func instrument(experiment string) string { return experiment[:min(3, len(experiment))] }
