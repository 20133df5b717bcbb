package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/simulate"
)

// TestDemoFindsOnePixelTooFewOrTooMany deploys by hand what was planted, then with one pixel too few and one too many.
func TestDemoFindsOnePixelTooFewOrTooMany(t *testing.T) {
	truth := &simulate.Truth{
		Config: simulate.Config{GainModes: []string{"g0", "g1"}},
		Panels: []simulate.PanelTruth{
			{Segment: 0, Rows: 2, Cols: 3, Planted: []simulate.Planted{{GainMode: "g0", Kind: "dead", Data: 2, Pixels: []int{1, 4}}}},
			{Segment: 1, Rows: 2, Cols: 3, Planted: []simulate.Planted{{GainMode: "g1", Kind: "hot", Data: 16, Pixels: []int{5}}, {GainMode: "g0", Kind: "weak", Data: 2, Hard: true, Pixels: []int{2}}}},
		},
	}
	for _, tt := range []struct {
		name  string
		words map[int]uint64
		code  fault.Code
		want  []string
	}{
		{"all found", map[int]uint64{1: 2, 4: 2 | 1, 23: 16}, fault.OK, []string{"dead 2 2 2 2", "hot 16 1 1 1", "weak 2 1 0 1", "not planted 0 0 0", "Of 1 hard pixels", "find 0; robust limits per chip find 1"}},
		{"one missed", map[int]uint64{1: 2, 4: 1, 23: 16}, fault.Unexpected, []string{"dead 2 2 1 2"}},
		{"other segment", map[int]uint64{1: 2, 4: 2, 17: 16}, fault.Unexpected, []string{"hot 16 1 0 1", "not planted 0 1 0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			array := make([]uint64, 2*2*2*3)
			for i, w := range tt.words {
				array[i] = w
			}
			robust := make([]uint64, len(array))
			robust[1], robust[4], robust[23], robust[8] = 2, 2, 16, 2
			var out bytes.Buffer
			if err := compareDemo(&out, truth, array, robust); fault.CodeOf(err) != tt.code {
				t.Errorf("got %v", err)
			}
			text := strings.Join(strings.Fields(out.String()), " ")
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, &out)
				}
			}
		})
	}
}

// TestDemoRemovesNoOtherDirectory removes the directory of an earlier demo and no other.
func TestDemoRemovesNoOtherDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if err := clearDemo(dir); err != nil {
		t.Errorf("absent: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "database", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := clearDemo(dir); fault.CodeOf(err) != fault.Usage {
		t.Errorf("with a foreign file: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if err := clearDemo(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

// TestDemoLeavesOutWhatLeadsToRealPlaces leaves out what leads to real places, and keeps the rest.
func TestDemoLeavesOutWhatLeadsToRealPlaces(t *testing.T) {
	got := demoEnvironment([]string{"SIT_ROOT=/a", "PATH=/bin", "RAWSTATUS_REPOSITORY=/r", "LCLS_CALIB_HTTP=x", "CALIB_JWT=t", "TRANSIT_ROOT=b", "SIT_PSDM_DATA=d"})
	if strings.Join(got, " ") != "PATH=/bin TRANSIT_ROOT=b" {
		t.Errorf("got %q", got)
	}
}
