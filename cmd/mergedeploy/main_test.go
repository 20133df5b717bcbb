package main

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/testenv"
)

// TestMain is also the program itself, with the variables that a test gave it: in a script, and as asProgram.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" && filepath.Base(os.Args[0]) != "mergedeploy" {
		testenv.CleanShell()
	}
	testscript.Main(m, map[string]func(){"mergedeploy": main})
}

var policy0 = &access.Policy{DirMode: 0o2775, FileMode: 0o664}

func TestScripts(t *testing.T) {
	shared := testenv.Shared(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SHARED", shared)
			env.Setenv("RAWSTATUS_SITE", filepath.Join(env.WorkDir, "site.toml"))
			return os.WriteFile(filepath.Join(env.WorkDir, "site.toml"), []byte("timezone = \"UTC\"\ngroup = \"\"\n"), 0o664)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": putStatus, "copytree": copytree, "databody": databody, "serving": serving,
		},
	})
}

// putStatus writes a status file into the directory repo: some words, all others 0.
func putStatus(ts *testscript.TestScript, _ bool, args []string) {
	f := flag.NewFlagSet("status", flag.ContinueOnError)
	typ, det, exp := f.String("type", "jungfrau", ""), f.String("det", "jungfrau", ""), f.String("exp", "mfxx1", "")
	run, day := f.Int("run", 1, ""), f.Int("day", 1, "")
	panel, seg := f.String("panel", "id-0", ""), f.Int("seg", 0, "")
	ctype, gain := f.String("ctype", "status_dark", ""), f.String("gain", "", "")
	rows, cols := f.Int("rows", 512, ""), f.Int("cols", 1024, "")
	bad, word := f.Int("bad", 1, ""), f.Uint64("word", 1, "")
	family, incomplete := f.String("family", repo.FamilyDark, ""), f.String("incomplete", "", "")
	ts.Check(f.Parse(args))
	a := make([]uint64, *rows**cols)
	for i := range *bad {
		a[i] = *word
	}
	sf := repo.StatusFile{DetType: *typ, DetName: *det, Panel: *panel, Segment: *seg, CType: *ctype, GainMode: *gain, Rows: *rows, Cols: *cols,
		Run: frame.Run{Experiment: *exp, Number: *run, Begin: time.Date(2026, 1, *day, 12, 0, 0, 0, time.UTC)}}
	sc := repo.Sidecar{Profile: "dark", Family: *family, PlanID: fmt.Sprintf("plan-of-run-%d", *run), Limits: []repo.Limit{{Name: "rms", Lo: 1, Hi: 9}},
		Inputs: []repo.Input{{Path: "/raw/file.xtc2", Size: 10}}}
	if *incomplete != "" {
		sc.Incomplete = []string{*incomplete}
	}
	r := repo.New(ts.MkAbs("repo"), policy0, time.UTC)
	_, _, err := r.WriteStatus(context.Background(), sf, calibtxt.SparseOf(a), sc, true)
	ts.Check(err)
}

// copytree copies a directory and makes it writable.
func copytree(ts *testscript.TestScript, _ bool, args []string) {
	dst := ts.MkAbs(args[1])
	ts.Check(os.CopyFS(dst, os.DirFS(args[0])))
	ts.Check(filepath.WalkDir(dst, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type() != os.ModeSymlink {
			err = os.Chmod(path, 0o775)
		}
		return err
	}))
}

// databody compares two text arrays without the lines of their headers that may differ.
func databody(ts *testscript.TestScript, neg bool, args []string) {
	var texts [2]string
	for i := range texts {
		var keep []string
		for line := range strings.Lines(ts.ReadFile(args[i])) {
			f := strings.Fields(line)
			if len(f) < 2 || f[0] != "#" || !strings.Contains(" HOST WORK_DIR FILE_NAME DATE_TIME UID ", " "+f[1]+" ") {
				keep = append(keep, line)
			}
		}
		texts[i] = strings.Join(keep, "")
	}
	if (texts[0] == texts[1]) == neg {
		ts.Fatalf("%s and %s: same %v", args[0], args[1], texts[0] == texts[1])
	}
}

// serving starts the web service over a directory and puts its address into the variable URL.
func serving(ts *testscript.TestScript, _ bool, args []string) {
	s := &calibserve.Server{Root: ts.MkAbs(args[0]), Disk: disk.Files{Policy: policy0}, Writable: true}
	server := httptest.NewServer(s.Handler())
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL+"/calib_ws/")
}

// TestFlagsAreChecked: no flag of any command takes a value that nobody looks at before the work.
func TestFlagsAreChecked(t *testing.T) {
	for _, fault := range program().Unchecked() {
		t.Error(fault)
	}
}
