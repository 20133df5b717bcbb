package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/testenv"
)

// TestReferenceRun evaluates the LCLS-I run of which the original programs left their status files, once
// through the run's tree with smalldata and once from its single file: the files have the same bytes.
func TestReferenceRun(t *testing.T) {
	shared := testenv.Shared(t)
	raw := filepath.Join(shared, "data/xtc1/epix100a.xtc")
	const tree, name = "xpp/xppn4116/xtc", "xppn4116-r0137-s00-c00"
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	t.Setenv("RAWSTATUS_SITE", "")
	root := t.TempDir()
	t.Setenv("SIT_PSDM_DATA", root)
	dir := filepath.Join(root, tree)
	if err := os.MkdirAll(filepath.Join(dir, "smalldata"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(raw, filepath.Join(dir, name+".xtc")); err != nil {
		t.Fatal(err)
	}
	small := filepath.Join("smalldata", name+".smd.xtc")
	if err := os.Symlink(filepath.Join(shared, "data/xtc1", tree, small), filepath.Join(dir, small)); err != nil {
		t.Fatal(err)
	}
	const panel = "epix100a/3925999616-0996579585-0553648138-1232098304-1221641739-2650251521-3976200215"
	for _, input := range [][]string{
		{"-k", "exp=xppn4116:run=137:smd"},
		{"--file", raw, "-e", "xppn4116"},
	} {
		for features, ctype := range map[string]string{"1,2,3": "status_dark", "1,6": "status_light"} {
			repo := t.TempDir()
			args := append([]string{"run", "-d", "XppGon.0:Epix100a.1", "-F", features, "-o", repo, "--work", filepath.Join(t.TempDir(), "work"), "--quiet"}, input...)
			if code, _, stderr := call(t, args...); code != int(fault.OK) {
				t.Fatalf("%v: exit code %d: %s", args, code, stderr)
			}
			file := filepath.Join(panel, ctype, "epix100a_0001_20160523104000_xppn4116_r0137_"+ctype+".dat")
			got, err := os.ReadFile(filepath.Join(repo, file))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(shared, "data/calib/repo_example", file))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v: %s differs from that of the original", input, file)
			}
		}
	}
}
