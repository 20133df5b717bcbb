package main

import (
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/negotiate"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
)

// Backends by name.
const (
	backendDir = "calibdir"
	backendWS  = "calibws"
)

// wsFlags are those of the web service.
func wsFlags() []cli.Flag {
	return command.In(command.Deployment, []cli.Flag{
		command.Choice(&cli.StringFlag{Name: "backend", Usage: "`WHERE` analysis reads", DefaultText: "calibws for LCLS-II; calibdir for LCLS-I, and with -c"}, backendDir, backendWS),
		&cli.StringFlag{Name: "dbsuffix", Usage: "calibws: private database with this `NAME` behind its own"},
		&cli.StringFlag{Name: "longname", Usage: "calibws: long or short `NAME` of the detector", DefaultText: "made of type and panel ids"},
		command.Choice(&cli.StringFlag{Name: "auth", Usage: "calibws: `HOW` to be allowed to write",
			DefaultText: "token if CALIB_JWT is set, none for this machine, else kerberos"}, "kerberos", "token", "none"),
		command.Setting("calibws.read_url", "read-url", "calibws: `URL` to read from"),
		command.Setting("calibws.write_url", "write-url", "calibws: `URL` to write to"),
		&cli.BoolFlag{Name: "two-hosts", Usage: "calibws: read from one service and write to another, on purpose"},
	})
}

// client returns the client that site and flags describe.
func client(c *cli.Context, e *environment) (*calibws.Client, error) {
	ws := &calibws.Client{ReadURL: e.Site.CalibWS.ReadURL, WriteURL: e.Site.CalibWS.WriteURL, Retries: 3, Pause: time.Second}
	u, err := url.Parse(ws.WriteURL)
	if err != nil || u.Host == "" {
		return nil, fault.New(fault.Usage, "%q is not the address of a web service", ws.WriteURL)
	}
	ip := net.ParseIP(u.Hostname())
	here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	token, auth := os.Getenv("CALIB_JWT"), c.String("auth")
	switch {
	case auth == "" && token != "":
		auth = "token"
	case auth == "" && here:
		auth = "none"
	case auth == "":
		auth = "kerberos"
	}
	switch auth {
	case "none":
	case "token":
		if token == "" {
			return nil, fault.New(fault.Usage, "there is no token").WithHint("put it into the environment variable CALIB_JWT")
		}
		if u.Scheme != "https" && !here {
			return nil, fault.New(fault.Usage, "a token is not sent to %s, which is not encrypted", u.Host).WithHint("use an https address")
		}
		ws.Token = token
	case "kerberos":
		ws.Writer = negotiate.Transport{}
	default:
		return nil, fault.New(fault.Usage, "--auth %q: wanted kerberos, token or none", auth)
	}
	return ws, nil
}

// wsDestination returns the destination of a detector. With writing it is one that a deployment could change.
func wsDestination(c *cli.Context, e *environment, r *repo.Repo, exp string, id publish.Identity, ctype string, writing bool) (calib.Destination, error) {
	ws, err := client(c, e)
	if err != nil {
		return calib.Destination{}, err
	}
	if writing && !calibws.SameHost(ws.ReadURL, ws.WriteURL) && !c.Bool("two-hosts") {
		return calib.Destination{}, fault.New(fault.Usage, "constants would be read from %s and written to %s: what is written there is not what was looked at here", ws.ReadURL, ws.WriteURL).
			WithHint("give both --read-url and --write-url of one service (LCLS_CALIB_HTTP moves reading only), or say --two-hosts")
	}
	suffix := c.String("dbsuffix")
	for what, name := range map[string]string{"experiment": exp, "detector": id.DetName, "detector type": id.DetType} {
		if err := access.CheckName(what, name); err != nil {
			return calib.Destination{}, err
		}
	}
	if err := calibws.CheckLongName(id.LongName); err != nil {
		return calib.Destination{}, err
	}
	if err := calibws.CheckSuffix(id.LongName, id.DetType, suffix); err != nil {
		return calib.Destination{}, err
	}
	ledgers := publish.LedgerDir(r, id.DetType, exp, id.DetName, suffix)
	s := &calibws.Store{Client: ws, Experiment: exp, DetName: id.DetName, DetType: id.DetType, LongName: id.LongName, CType: ctype, Suffix: suffix,
		Ledger: &calib.Ledger{Dir: publish.LedgerOfType(ledgers, ctype), Disk: disk.Files{Policy: r.Policy}}, LockWait: time.Minute, Settle: 2 * time.Second}
	dest := s.Destination()
	dest.Sets = &calib.Ledger{Dir: filepath.Join(ledgers, "sets"), Disk: s.Ledger.Disk}
	return dest, nil
}

// wsDestinationFor returns the destination of a subject.
func wsDestinationFor(c *cli.Context, e *environment, r *repo.Repo, s *publish.Subject, ctype string) (calib.Destination, error) {
	id := publish.Identity{LongName: c.String("longname"), DetType: strings.ToLower(s.Type), DetName: s.Detector}
	if id.LongName == "" {
		words := []string{id.DetType}
		for _, p := range s.Panels {
			if p.ID == "" {
				return calib.Destination{}, fault.New(fault.Usage, "panel %s has no id of its own, so the detector's long name is not known", p.Dir).WithHint("give --longname")
			}
			words = append(words, p.ID)
		}
		id.LongName = strings.Join(words, "_")
	}
	return wsDestination(c, e, r, s.Run.Experiment, id, ctype, true)
}

// remember lets later commands find the destination by experiment and detector.
func remember(p *calibws.Store) error {
	if _, err := p.Ledger.Load(); err != nil { // what is no ledger is not written to
		return err
	}
	if err := p.Ledger.Disk.Make(p.Ledger.Dir); err != nil {
		return err
	}
	text, err := json.MarshalIndent(publish.Identity{LongName: p.LongName, DetType: p.DetType, DetName: p.DetName}, "", "  ")
	if err != nil {
		return err
	}
	return p.Ledger.Disk.Replace(filepath.Join(publish.LedgerOfDetector(p.Ledger.Dir, p.CType), "detector.json"), false, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}, nil)
}

// wsDestinationNamed returns the destination that -e and -d name: a detector that was deployed from here, or a long or
// short name.
func wsDestinationNamed(c *cli.Context, e *environment, ctype string, writing bool) (calib.Destination, error) {
	r, err := repository(e)
	if err != nil {
		return calib.Destination{}, err
	}
	exp, det := c.String("exp"), c.String("det")
	if exp == "" || det == "" {
		return calib.Destination{}, fault.New(fault.Usage, "experiment and detector are needed").WithHint("give -e and -d")
	}
	for what, name := range map[string]string{"experiment": exp, "detector": det} {
		if err := access.CheckName(what, name); err != nil {
			return calib.Destination{}, err
		}
	}
	found, err := filepath.Glob(filepath.Join(publish.LedgerDir(r, "*", exp, det, c.String("dbsuffix")), "detector.json"))
	if err != nil {
		return calib.Destination{}, err
	}
	id := publish.Identity{LongName: c.String("longname"), DetName: det}
	if len(found) > 0 {
		text, err := os.ReadFile(found[0])
		if err == nil {
			err = json.Unmarshal(text, &id)
		}
		if err != nil {
			return calib.Destination{}, fault.New(fault.Input, "%q cannot be read: %w", found[0], err)
		}
	}
	if id.LongName == "" {
		id.LongName = det
	}
	if id.DetType == "" {
		id.DetType, _, _ = strings.Cut(id.LongName, "_")
	}
	return wsDestination(c, e, r, exp, id, ctype, writing)
}
