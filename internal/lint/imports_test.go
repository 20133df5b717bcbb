package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

// TestImportsOfTheModuleRunDown checks the module as it is built for each kind of machine and tag.
func TestImportsOfTheModuleRunDown(t *testing.T) {
	for _, variant := range []struct{ name, arch, tags string }{{"amd64", "amd64", ""}, {"arm64", "arm64", ""}, {"noasm", "amd64", "noasm"}} {
		t.Run(variant.name, func(t *testing.T) {
			packages := list(t, variant.arch, variant.tags)
			if len(packages) < 10 {
				t.Fatalf("go list gave %d packages only", len(packages))
			}
			for _, breach := range Check(packages) {
				t.Error(breach)
			}
		})
	}
}

// list returns all packages of the module.
func list(t *testing.T, arch, tags string) (packages []Package) {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,GoFiles,Imports", "-tags="+tags, "./...")
	cmd.Dir = testenv.Root(t)
	cmd.Env = append(cmd.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p Package
		if err := dec.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// TestEachRuleOfImportsAllowsAndForbids sees each rule allow and forbid.
func TestEachRuleOfImportsAllowsAndForbids(t *testing.T) {
	tests := []struct {
		from, to string
		ok       bool
	}{
		{"cmd/rawstatus", "rawstatus/internal/shard/plan", true},
		{"cmd/rawstatus", "github.com/sirupsen/logrus", true},
		{"cmd/rawstatus", "rawstatus/cmd/mergedeploy", false},
		{"cmd/rawstatus", "log", false},
		{"cmd/rawstatus", "rawstatus/internal/testenv", false},
		{"internal/shard/reduce", "rawstatus/internal/shard/plan", true},
		{"internal/shard/task", "rawstatus/internal/io/frame", true},
		{"internal/shard/task", "github.com/sirupsen/logrus", true},
		{"internal/shard/task", "rawstatus/internal/publish", false},
		{"internal/shard/task", "rawstatus/internal/command", false},
		{"internal/shard/task", "rawstatus/internal/io/iotest", false},
		{"internal/publish", "github.com/sirupsen/logrus", false},
		{"internal/publish", "rawstatus/internal/stats/combine", true},
		{"internal/io/xtc2", "rawstatus/internal/io/cursor", true},
		{"internal/io/xtc2", "rawstatus/internal/fault", true},
		{"internal/io/xtc2", "rawstatus/internal/stats/plane", false},
		{"internal/io/xtc2", "rawstatus/internal/shard/plan", false},
		{"internal/io/xtc2", "log/slog", false},
		{"internal/io/xtc2", "os", true},
		{"internal/stats/status", "rawstatus/internal/stats/plane", true},
		{"internal/stats/status", "rawstatus/internal/io/frame", false},
		{"internal/stats/status", "time", false},
		{"internal/stats/status", "os/exec", false},
		{"internal/stats/status", "net/http", false},
		{"internal/stats/status", "math", true},
		{"internal/fault", "rawstatus/internal/detector", false},
		{"internal/config", "rawstatus/internal/fault", true},
		{"internal/config", "github.com/urfave/cli/v2", false},
		{"internal/command", "rawstatus/internal/io/repo", false},
		{"internal/shard/task", "golang.org/x/sync/errgroup", false},
		{"internal/fault", "golang.org/x/sync/errgroup", true},
		{"internal/misc", "fmt", false},
	}
	for _, tt := range tests {
		breaches := Check([]Package{{ImportPath: Module + "/" + tt.from, Imports: []string{tt.to}}})
		if (len(breaches) == 0) != tt.ok {
			t.Errorf("%s importing %s: got %q, want allowed %v", tt.from, tt.to, breaches, tt.ok)
		}
	}
	if Check([]Package{{ImportPath: Module + "/internal/io", GoFiles: []string{"io.go"}}}) == nil {
		t.Error("a Go file directly in internal/io is let through")
	}
}
