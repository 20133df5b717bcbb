package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rawstatus/internal/fault"
	"rawstatus/internal/lint"
	"rawstatus/internal/testenv"
)

// TestMain is also the program itself, where a script calls it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "rawstatus" {
		testenv.CleanShell()
	}
	testscript.Main(m, map[string]func(){"rawstatus": main})
}

// call runs the program in this process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(context.Background(), &out, &err, append([]string{"rawstatus"}, args...))
	return code, out.String(), err.String()
}

// help returns the help text of a command.
func help(t *testing.T, command string) (string, bool) {
	t.Helper()
	args := []string{"--help-all"}
	if command != "" {
		args = []string{command, "--help-all"}
	}
	code, stdout, _ := call(t, args...)
	return stdout, code == 0 && (command == "" || strings.Contains(stdout, "rawstatus "+command))
}

// TestDocuments wants every call of the program in the documents to be one that the program knows.
func TestDocuments(t *testing.T) {
	list, err := lint.Invocations(testenv.Root(t), "rawstatus")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 10 {
		t.Fatalf("only %d calls found", len(list))
	}
	for _, inv := range list {
		if wrong := lint.Undefined(inv, func(command string) (string, bool) { return help(t, command) }); wrong != "" {
			t.Error(wrong)
		}
	}
}

// TestReadmeExitCodes wants the table of the README to be that of the code.
func TestReadmeExitCodes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fault.Codes() {
		if row := fmt.Sprintf("\n| %d | %s |\n", m.Code, m.Text); !strings.Contains(string(text), row) {
			t.Errorf("README lacks %q", row)
		}
	}
}

func TestConfigCommand(t *testing.T) {
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	t.Setenv("RAWSTATUS_SITE", "")
	code, stdout, stderr := call(t, "config", "-o", "/repo")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"timezone = \"UTC\"", "# environment RAWSTATUS_TIMEZONE", "repository = \"/repo\"", "# flag --repository", "# default"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
	code, stdout, _ = call(t, "config", "--json")
	if code != 0 || !strings.Contains(stdout, `"origin": "environment RAWSTATUS_TIMEZONE"`) {
		t.Errorf("exit code %d, --json: %s", code, stdout)
	}
}

// TestConfigNamesWhatDoesNotExist, and other commands do not work with it; demo and simulate heed no configuration.
func TestConfigNamesWhatDoesNotExist(t *testing.T) {
	site := filepath.Join(t.TempDir(), "site.toml")
	if err := os.WriteFile(site, []byte("repository = \"/repo\"\n[limits.nosuchdet]\nint_hi = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RAWSTATUS_SITE", site)
	t.Setenv("RAWSTATUS_REPOSITRY", "/elsewhere")
	code, stdout, stderr := call(t, "config")
	for _, want := range []string{"repository = \"/repo\"", site + ":1", "# site file: " + site, "# does not exist: environment: there is no setting for RAWSTATUS_REPOSITRY",
		`line 2: unknown detector type "nosuchdet"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
	if code != int(fault.Usage) || !strings.Contains(stderr, "did you mean RAWSTATUS_REPOSITORY?") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr := call(t, "diff", "a", "b"); code != int(fault.Usage) || !strings.Contains(stderr, "RAWSTATUS_REPOSITRY") {
		t.Errorf("diff: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := call(t, "bits"); code != 0 {
		t.Errorf("bits: exit code %d: %s", code, stderr)
	}
}

// TestConfigIsASiteFile feeds the printed configuration back.
func TestConfigIsASiteFile(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	_, stdout, _ := call(t, "config")
	file := filepath.Join(t.TempDir(), "site.toml")
	if err := os.WriteFile(file, []byte(stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	code, again, stderr := call(t, "config", "--site", file)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	strip := func(s string) (out string) {
		for line := range strings.Lines(s) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			value, _, _ := strings.Cut(line, "  #")
			out += strings.TrimSpace(value) + "\n"
		}
		return out
	}
	if strip(stdout) != strip(again) {
		t.Errorf("before:\n%s\nafter:\n%s", stdout, again)
	}
}

// TestFlagsAreChecked: no flag of any command takes a value that nobody looks at before the work.
func TestFlagsAreChecked(t *testing.T) {
	for _, fault := range program().Unchecked() {
		t.Error(fault)
	}
}

// TestJSONDocument wants a row of docs/json.md for each command.
func TestJSONDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	ours, _, _ := strings.Cut(string(text), "\n## mergedeploy")
	for _, c := range program().Commands(&environment{}) {
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + c.Name + "`[^|]* \\|").MatchString(ours) {
			t.Errorf("docs/json.md does not say what %s prints", c.Name)
		}
	}
}
