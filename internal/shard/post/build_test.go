package post

import (
	"strings"
	"testing"
)

// TestNamesFromOutsideStayText: what comes from outside is text in the entry, and no category of the run table.
func TestNamesFromOutsideStayText(t *testing.T) {
	const hostile = `<script>alert("x")</script>/y`
	o, err := Build(Job{Experiment: "mfxlx0001", Run: 7, Detector: hostile, Failure: "task 3: " + hostile})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(o.HTML, "<script>") || !strings.Contains(o.HTML, "&lt;script&gt;") {
		t.Error(o.HTML)
	}
	for name := range o.Params {
		if strings.Count(name, "/") != 1 {
			t.Errorf("parameter %q", name)
		}
	}
	if o.State != Failed || o.Token == "" {
		t.Errorf("%+v", o)
	}
}
