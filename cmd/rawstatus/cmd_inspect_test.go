package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/testenv"
)

// TestInspectShowsARealRun shows a real run, as text and as JSON.
func TestInspectShowsARealRun(t *testing.T) {
	file := filepath.Join(testenv.Shared(t), "data", "xtc2", "epix.xtc2")
	code, stdout, stderr := call(t, "inspect", "--file", file, "--settle", "1ms")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{
		"1 Configure, 1 BeginRun, 1 BeginStep, 1 Enable, 2 L1Accept",
		"epixquad (epix10ka) raw: segments 0-3", "epixquadhw (epixquad) config: segments 0",
		"run 109 of ueddaq02", "begins 2021-02-23T12:34:21.839351174-08:00", "2 events",
		"epixquad segment 3  epix10ka  352 x 384    2 present  3926196238-0176373505-4043309078-0000000000-0000000000-0000000000-0000000000",
		"0     2       FL", "note: no EndRun in stream [0]",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "asicPixelConfig") {
		t.Error("lists Names without being asked")
	}
	if code, stdout, _ = call(t, "inspect", "--file", file, "--settle", "1ms", "--names"); code != 0 || !strings.Contains(stdout, "asicPixelConfig UINT8 rank 3 = [4 176 192]") ||
		!strings.Contains(stdout, "user.gain_mode:gainEnum ENUMVAL rank 0 = 2 Low") {
		t.Errorf("exit code %d, --names:\n%s", code, stdout)
	}
	code, stdout, stderr = call(t, "inspect", "--file", file, "--settle", "1ms", "--json")
	var in inspection
	if err := json.Unmarshal([]byte(stdout), &in); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	if len(in.Panels) != 4 || in.Panels[2].Frames["present"] != 2 || in.Run.Number != 109 || in.Steps[0].Gains[1].Config != "FL" {
		t.Errorf("%+v", in)
	}
}

// TestInspectDumpsAFrameExactly dumps a frame and compares it with its hash in the facts.
func TestInspectDumpsAFrameExactly(t *testing.T) {
	shared := testenv.Shared(t)
	var facts struct {
		Frames map[string]struct {
			Events []struct {
				Panels []struct {
					SHA256 string `json:"sha256"`
				} `json:"panels"`
			} `json:"events"`
		} `json:"frames"`
	}
	b, err := os.ReadFile(filepath.Join(shared, "spec", "XTC2_FACTS.json"))
	if err == nil {
		err = json.Unmarshal(b, &facts)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := facts.Frames["xtc2/epix.xtc2"].Events[1].Panels[2].SHA256
	file, out := filepath.Join(shared, "data", "xtc2", "epix.xtc2"), filepath.Join(t.TempDir(), "frame.npy")
	code, _, stderr := call(t, "inspect", "--file", file, "--settle", "1ms", "--npy", out, "--event", "1", "--segment", "2")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	a, err := npy.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw[len(raw)-2*352*384:])
	if got := hex.EncodeToString(sum[:]); got != want || len(a.Shape) != 2 || a.Shape[0] != 352 || a.Shape[1] != 384 {
		t.Errorf("shape %v, sha256 %s, want %s", a.Shape, got, want)
	}
	for _, wrong := range [][]string{{"--event", "2"}, {"--segment", "4"}, {"--sub", "1"}} {
		args := append([]string{"inspect", "--file", file, "--settle", "1ms", "--npy", out}, wrong...)
		if code, _, stderr := call(t, args...); code != 2 || stderr == "" {
			t.Errorf("%v: exit code %d: %s", wrong, code, stderr)
		}
	}
}

// TestInspectShowsFilesThatCannotBeIndexed wants what the files hold even where they cannot be indexed.
func TestInspectShowsFilesThatCannotBeIndexed(t *testing.T) {
	data := filepath.Join(testenv.Shared(t), "data", "xtc2")
	for _, c := range []struct {
		args         []string
		code         int
		stdout, text string
	}{
		{[]string{"--file", filepath.Join(data, "epix.xtc2"), "-d", "nix"}, 10, "2 L1Accept", "epixquad (epix10ka, 4 panels)"},
		{[]string{"-k", "exp=xpptut15:run=14:dir=" + filepath.Join(data, "multirun_w_new_config")}, 2, "3 BeginRun", "--run-in-file"},
		{[]string{"-k", "exp=xpptut15:run=15:dir=" + filepath.Join(data, "chunking")}, 10, "", "runs of xpptut15 there: 14"},
		{[]string{"--file", filepath.Join(data, "synth", "trunc_config.xtc2")}, 10, "cannot be read further", "byte 0x0"},
		{[]string{"--file", filepath.Join(data, "none.xtc2")}, 10, "", "none.xtc2"},
		{nil, 2, "", "no raw data named"},
	} {
		code, stdout, stderr := call(t, append([]string{"inspect", "--settle", "1ms"}, c.args...)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.text) {
			t.Errorf("%v: exit code %d\n%s\n%s", c.args, code, stdout, stderr)
		}
	}
}

// TestInspectShowsOurFilesAndRefusesDamagedOnes shows one of our own files, and refuses a damaged one.
func TestInspectShowsOurFilesAndRefusesDamagedOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pack")
	err := pack.WriteFile(path, atomicfile.Options{}, "test-kind", func(w *pack.Writer) (any, error) {
		return map[string]int{"answer": 42}, w.Add(pack.Named{Name: "numbers", Data: []uint32{1, 2, 3}})
	})
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, "inspect", "--file", path)
	if code != 0 || !strings.Contains(stdout, "kind test-kind") || !strings.Contains(stdout, `"answer": 42`) || !strings.Contains(stdout, "numbers  u4    3") {
		t.Errorf("exit code %d: %s\n%s", code, stderr, stdout)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{20, len(b) - 60} {
		b[at] ^= 1
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := call(t, "inspect", "--file", path); code != 10 || !strings.Contains(stderr, path) {
			t.Errorf("damaged at %d: exit code %d: %s", at, code, stderr)
		}
		b[at] ^= 1
	}
}
