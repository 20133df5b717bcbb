package notify

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/config"
)

// script makes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/bash\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHookHearsTheStatesThatItWants(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hook := script(t, `cat > "$1.$2"`)
	n := config.Notify{Command: []string{hook, out}, On: []string{Failed, Refused}}
	ev := Event{State: Refused, Experiment: "tstx00417", Run: 3, Error: "most-bad\n\"x\""}
	if err := Send(t.Context(), n, ev); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out + ".refused")
	var got Event
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if ev.Schema = Schema; err != nil || got != ev {
		t.Errorf("%v %+v", err, got)
	}
	ev.State = Done
	if err := Send(t.Context(), n, ev); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(out + ".done"); err == nil {
		t.Error("told of what nobody wants to hear")
	}
}

func TestMailIsHandedToSendmail(t *testing.T) {
	out := filepath.Join(t.TempDir(), "letter")
	bin := filepath.Dir(script(t, ""))
	if err := os.WriteFile(filepath.Join(bin, "sendmail"), []byte("#!/bin/sh\n[ \"$*\" = '-t -i' ] && cat > '"+out+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	if err := Send(t.Context(), config.Notify{Mail: []string{"a@b.c", "d@e.f"}}, Event{State: Failed, Experiment: "tst\nBcc: x", Run: 3}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	head, body, _ := strings.Cut(string(text), "\n\n")
	if err != nil || !strings.Contains(head, "To: a@b.c, d@e.f\nSubject: rawstatus failed: tst Bcc: x run 3") || strings.Contains(head, "\nBcc") || !json.Valid([]byte(body)) {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestHookIsBounded wants an error of a hook that fails, talks or never ends, and none of it to last.
func TestHookIsBounded(t *testing.T) {
	err := Send(t.Context(), config.Notify{Command: []string{script(t, "yes | head -c 100000; exit 3")}}, Event{State: Done})
	if err == nil || len(err.Error()) > 2*mostOutput || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%.200v", err)
	}
	if err := Send(t.Context(), config.Notify{Command: []string{"/nowhere/hook"}}, Event{State: Done}); err == nil {
		t.Error("no program, no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Send(ctx, config.Notify{Command: []string{script(t, "sleep 1000 & sleep 1000")}}, Event{State: Done}); err == nil {
		t.Error("a hook without end is no error")
	}
}
