package command

import (
	"bytes"
	"strings"
	"testing"
)

func TestProgressLineShowsShareAndTimeLeft(t *testing.T) {
	var out bytes.Buffer
	e := &Env{Stderr: &out, sinks: &sinks{}}
	e.Log = newLogger(e.sinks)
	defer e.AddLogFile(&out)()
	p := e.Progress(4e9, Bytes)
	p.Add(1e9)
	p.show()
	p.End()
	if s := out.String(); !strings.Contains(s, "25 % of 4.0 GB") || !strings.Contains(s, "left") {
		t.Errorf("progress line %q", s)
	}
	out.Reset()
	p = e.Progress(8, "panels")
	p.Add(2)
	p.show()
	p.End()
	if s := out.String(); !strings.Contains(s, "25 % of 8 panels") || !strings.Contains(s, "/s, ") {
		t.Errorf("progress line %q", s)
	}
	out.Reset()
	e.Quiet = true
	e.Progress(1, "panels").End()
	if out.Len() > 0 {
		t.Errorf("quiet progress wrote %q", out.String())
	}
}

// TestLinesAboveBar wants log lines to start at the left edge while a bar is shown.
func TestLinesAboveBar(t *testing.T) {
	var out bytes.Buffer
	e := &Env{Stderr: &out}
	log := aboveBar{e}
	for range 2 {
		e.bar.show(e.Stderr, "[##..] 50 %")
		for _, line := range []string{"one\n", "two\n"} {
			if _, err := log.Write([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.bar.show(e.Stderr, "")
	part := clearLine + "[##..] 50 %" + clearLine + "one\ntwo\n"
	if got := out.String(); got != part+part+clearLine {
		t.Errorf("%q", got)
	}
}
