package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/testenv"
)

// TestSameBytesAsTheOriginal takes the raw run from which the original programs made the repository and
// the deployed file of the shared data through our programs, and wants the same bytes: every status file,
// and the deployed array but for the header's time, host, login and path.
func TestSameBytesAsTheOriginal(t *testing.T) {
	shared := testenv.Shared(t)
	raw := filepath.Join(shared, "data/xtc1/epix100a.xtc")
	dir := t.TempDir()
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	t.Setenv("RAWSTATUS_GROUP", "")
	peds := filepath.Join(dir, "pedestals.npy")
	firstTenMean(t, raw, peds)
	repo := filepath.Join(dir, "repo")
	for _, features := range []string{"1,2,3", "1,6", "11"} {
		args := []string{"run", "--file", raw, "--exp", "xppn4116", "-F", features, "--compat", "lcls1", "-o", repo, "--work", filepath.Join(dir, "work-"+features)}
		if features == "11" {
			args = append(args, "--pedestals", peds)
		}
		code, _, stderr := call(t, args...)
		if code != 0 {
			t.Fatalf("features %s: exit code %d: %s", features, code, stderr)
		}
	}
	const panel = "epix100a/3925999616-0996579585-0553648138-1232098304-1221641739-2650251521-3976200215"
	for _, ctype := range []string{"status_dark", "status_light", "status_max"} {
		name := filepath.Join(panel, ctype, "epix100a_0001_20160523104000_xppn4116_r0137_"+ctype+".dat")
		want, err := os.ReadFile(filepath.Join(shared, "data/calib/repo_example", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the original's: %v", ctype, err)
		}
	}
	calib := filepath.Join(dir, "calib")
	cmd := exec.Command(filepath.Join(programs(t), "mergedeploy"), "--file", raw, "-e", "xppn4116", "-r", "137", "-d", "XppGon.0:Epix100a.1",
		"-o", repo, "-c", calib, "-R", "137-end", "-D")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mergedeploy: %v\n%s", err, out)
	}
	const deployed = "Epix100a::CalibV1/XppGon.0:Epix100a.1/status_extra/137-end.data"
	want, err := os.ReadFile(filepath.Join(shared, "data/calib/calib_example", deployed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(calib, deployed))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(changing.ReplaceAll(got, nil), changing.ReplaceAll(want, nil)) {
		t.Error("the deployed file is not the original's")
	}
}

// firstTenMean writes the pedestals that the example was made with: the float32 mean of the first ten
// frames.
func firstTenMean(t *testing.T, raw, path string) {
	t.Helper()
	x, err := open.Index(context.Background(), open.Dataset{Files: []string{raw}}, open.Options{Settle: 1})
	if err != nil {
		t.Fatal(err)
	}
	src, err := sweep.Open(x.Files, "", sweep.Options{Headings: x.Headings})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p := x.Panels[0]
	px, err := src.Pixels(context.Background(), p, x.Extents[:10], sweep.Span{Hi: p.Pixels()})
	if err != nil {
		t.Fatal(err)
	}
	mean := make([]float32, p.Pixels())
	for i := range mean {
		sum := 0
		for _, f := range px {
			sum += int(f[i] & 0x3fff)
		}
		mean[i] = float32(float64(sum) / 10)
	}
	if err := npy.Write(path, []int{p.Rows, p.Cols}, mean); err != nil {
		t.Fatal(err)
	}
}
