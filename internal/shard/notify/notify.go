package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"rawstatus/internal/config"
	"rawstatus/internal/fault"
)

// Schema is the version of Event.
const Schema = 1

// The states of a job that has ended.
const (
	Done    = "done"
	Failed  = "failed"
	Refused = "refused" // the gate has stopped the deployment
	Waiting = "waiting" // for a person, who has to deploy
)

// Event is how a job ended.
type Event struct {
	Schema     int    `json:"schema"`
	State      string `json:"state"`
	Experiment string `json:"experiment,omitempty"`
	Run        int    `json:"run"`
	Detector   string `json:"detector,omitempty"`
	Campaign   string `json:"campaign,omitempty"` // name, instead of a run
	Done       int    `json:"items_done"`         // of a campaign
	Items      int    `json:"items"`
	Plan       string `json:"plan,omitempty"`
	Request    string `json:"request,omitempty"`
	Work       string `json:"work"`
	Repository string `json:"repository,omitempty"`
	Pixels     int    `json:"pixels"`
	Bad        int    `json:"bad_pixels"`
	Deployed   bool   `json:"deployed"`
	Error      string `json:"error,omitempty"`
	Hint       string `json:"hint,omitempty"` // with the command that goes on
}

// Bounds of the hook.
const (
	patience   = time.Minute
	mostOutput = 4 << 10
)

// Wanted reports whether the site wants to hear of a state.
func Wanted(n config.Notify, state string) bool {
	return (len(n.Command) > 0 || len(n.Mail) > 0) && (len(n.On) == 0 || slices.Contains(n.On, state))
}

// Send passes an event to the hook of the site. An error says what the hook said; it does not affect the job.
func Send(ctx context.Context, n config.Notify, ev Event) error {
	if !Wanted(n, ev.State) {
		return nil
	}
	ev.Schema = Schema
	text, err := json.MarshalIndent(ev, "", " ")
	if err != nil {
		return fmt.Errorf("notify: could not encode the event: %w", err)
	}
	text = append(text, '\n')
	var errs []error
	if len(n.Command) > 0 {
		errs = append(errs, call(ctx, text, append(slices.Clone(n.Command), ev.State)))
	}
	if len(n.Mail) > 0 {
		letter := fmt.Appendf(nil, "To: %s\nSubject: %s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n%s", strings.Join(n.Mail, ", "), subject(ev), text)
		errs = append(errs, call(ctx, letter, []string{sendmail(), "-t", "-i"}))
	}
	return errors.Join(errs...)
}

// subject is one line whatever the event says.
func subject(ev Event) string {
	what := fmt.Sprintf("%s run %d %s", ev.Experiment, ev.Run, ev.Detector)
	if ev.Campaign != "" {
		what = fmt.Sprintf("campaign %s, %d of %d", ev.Campaign, ev.Done, ev.Items)
	}
	line := fmt.Sprintf("rawstatus %s: %s", ev.State, what)
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, line)
}

// sendmail returns the path at which systems keep it, which is rarely in PATH.
func sendmail() string {
	if path, err := exec.LookPath("sendmail"); err == nil {
		return path
	}
	return "/usr/sbin/sendmail"
}

// call runs a program with its children, no longer than it may take.
func call(ctx context.Context, input []byte, words []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out := &head{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it was ended after %s", patience)
	}
	if err != nil {
		return fault.New(fault.Unexpected, "the notification by %q did not succeed: %w: %s", words[0], err, strings.TrimSpace(out.text.String()))
	}
	return nil
}

// head keeps the begin of what is written to it.
type head struct{ text bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if left := mostOutput - h.text.Len(); left > 0 {
		h.text.Write(p[:min(left, len(p))])
	}
	return len(p), nil
}
