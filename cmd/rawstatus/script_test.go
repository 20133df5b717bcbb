package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var updateScripts = flag.Bool("update-scripts", false, "write what the program prints into the scripts")

// TestScripts runs the transcripts: command lines with what they print.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *updateScripts,
		Setup: func(env *testscript.Env) error {
			env.Setenv("RAWSTATUS_SITE", filepath.Join(env.WorkDir, "site.toml"))
			return os.WriteFile(filepath.Join(env.WorkDir, "site.toml"), []byte("timezone = \"UTC\"\ngroup = \"\"\n"), 0o664)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"ends": ends},
	})
}

// ends runs a command that must end with an exit code: ends 11 rawstatus run ...
func ends(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, wanted %d", code, want)
	}
}
