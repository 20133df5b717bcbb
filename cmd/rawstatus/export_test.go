package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/export"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/testenv"
)

// TestExportWritesEveryFormatFromFilesAndRuns exports the status files of the original programs in every format, by file and by run.
func TestExportWritesEveryFormatFromFilesAndRuns(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	example := filepath.Join(testenv.Shared(t), "data", "calib", "repo_example")
	files, err := filepath.Glob(filepath.Join(example, "epix100a", "*", "status_light", "*.dat"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	geometry := filepath.Join(testenv.Shared(t), "data/calib/data_test/calib/Epix100a::CalibV1/XppGon.0:Epix100a.1/geometry/0-end.data")
	dir := t.TempDir()
	masked := map[string]int{}
	for _, format := range export.Formats {
		out := filepath.Join(dir, string(format))
		code, stdout, stderr := call(t, "export", "--json", "--format", string(format), "--out", out, files[0])
		var res exported
		if err := json.Unmarshal([]byte(stdout), &res); code != 0 || err != nil {
			t.Fatalf("%s: exit code %d, %v: %s", format, code, err, stderr)
		}
		masked[string(format)] = res.Masked
		if st, err := os.Stat(out); err != nil || st.Size() == 0 || res.Pixels != 704*768 || res.Masked == 0 || res.Masks == "" {
			t.Errorf("%s: %v, %+v", format, err, res)
		}
		if !slices.ContainsFunc(res.Notes, func(s string) bool { return strings.HasPrefix(s, "bits: all") }) ||
			!slices.ContainsFunc(res.Notes, func(s string) bool { return strings.HasPrefix(s, "gain modes: one") }) {
			t.Errorf("%s: bits and gain modes are not said: %q", format, res.Notes)
		}
	}
	if m := masked["npy"]; slices.ContainsFunc(export.Formats, func(f export.Format) bool { return masked[string(f)] != m }) {
		t.Errorf("masked pixels differ between formats: %v", masked)
	}
	out := filepath.Join(dir, "picture.npy")
	code, stdout, stderr := call(t, "export", "--format", "npy", "--out", out, "-o", example, "-e", "xppn4116", "-r", "137", "-C", "status_light", "--bits", "16,RESID_HIGH",
		"--geometry", geometry)
	a, err := npy.Read(out)
	if code != 0 || err != nil || !slices.Equal(a.Shape, []int{709, 773}) || !strings.Contains(stdout, "polarity: 1 is masked") || !strings.Contains(stdout, "bits: 16,RESID_HIGH") {
		t.Errorf("exit code %d, %v, %s%s", code, err, stdout, stderr)
	}
	code, stdout, _ = call(t, "export", "--format", "list", "--out", "-", files[0])
	if code != 0 || !strings.HasPrefix(stdout, "# rawstatus: ") || strings.Count(stdout, "\n") < masked["list"] {
		t.Errorf("exit code %d, %.100s", code, stdout)
	}
}

// TestExportRefusesWrongCallsBeforeAFileAppears wants each wrong call to be refused before a file appears.
func TestExportRefusesWrongCallsBeforeAFileAppears(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	dir := t.TempDir()
	status := filepath.Join(dir, "s.txt")
	bad := filepath.Join(dir, "bad.txt")
	for path, text := range map[string]string{status: "0 1\n2 0\n", bad: "0 1\n2 x\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	for name, c := range map[string]struct {
		args []string
		code fault.Code
		want string
	}{
		"nothing named":    {[]string{"--format", "npy"}, fault.Usage, "nothing to export is named"},
		"format":           {[]string{"--format", "png", status}, fault.Usage, "wanted one of npy"},
		"file and run":     {[]string{"--format", "npy", "-r", "3", status}, fault.Usage, "not both"},
		"bit":              {[]string{"--format", "npy", "--bits", "LOUD", status}, fault.Usage, `bit "LOUD"`},
		"gain":             {[]string{"--format", "npy", "-g", "g1", status}, fault.Input, `no gain mode "g1"`},
		"no file":          {[]string{"--format", "npy", filepath.Join(dir, "no")}, fault.Input, "no such file"},
		"not a status":     {[]string{"--format", "npy", bad}, fault.Input, "line 2"},
		"two files":        {[]string{"--format", "npy", status, status}, fault.Input, "no sidecar"},
		"geometry of list": {[]string{"--format", "list", "--geometry", status, status}, fault.Usage, "as they are read out"},
		"no geometry":      {[]string{"--format", "npy", "--geometry", status, status}, fault.Input, "wanted 13"},
		"other detector":   {[]string{"--format", "crystfel", "--geom", status, status}, fault.Input, "has no panels"},
		"words of an edf":  {[]string{"--format", "edf", "--words", status}, fault.Usage, "its own values"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := call(t, append([]string{"export", "--out", out}, c.args...)...)
			if code != int(c.code) || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %s, wanted %d %q", code, stderr, c.code, c.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was written")
			}
		})
	}
}
