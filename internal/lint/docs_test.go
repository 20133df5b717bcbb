package lint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCallsInDocumentsAreFound(t *testing.T) {
	dir := t.TempDir()
	text := "Use `prog show --all` or `other x`, see `prog`.\n```\n$ prog run -e x \\\n    -r 7  # comment --no\nbin/prog ls | grep -v x\nprogress bar\n```\nprog not code\n"
	if err := os.WriteFile(filepath.Join(dir, "a.md"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".hidden"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".hidden", "b.md"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := Invocations(dir, "prog")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, inv := range list {
		got = append(got, filepath.Base(inv.Where)+" "+strings.Join(inv.Words, " "))
	}
	want := []string{"a.md:1 show --all", "a.md:1 ", "a.md:3 run -e x -r 7", "a.md:5 ls"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnknownFlagsInDocumentsAreFound(t *testing.T) {
	help := func(command string) (string, bool) {
		return "   --exp value, -e value  experiment\n   --all   everything\n   -D\n", command == "run" || command == ""
	}
	for line, ok := range map[string]bool{
		"run -e x --all": true, "run --exp=x": true, "--all": true, "run -D": true, "run [--all]": true,
		"walk": false, "run --al": false, "run -x": false, "run --allow": false,
	} {
		if got := Undefined(Invocation{"a.md:1", strings.Fields(line)}, help); (got == "") != ok {
			t.Errorf("%s: %q, want fine %v", line, got, ok)
		}
	}
}

func TestCommandLinesAreSplitAsAShellDoes(t *testing.T) {
	text := "Use `prog show --all` or `other x`, see `prog run`, not `prog`.\n```\n$ prog run -e 'a b' \\\n    -r 7  # comment --no\nV=1 prog ls | grep -v x\nprogress bar\n```\n" +
		"```toml\n# x.toml\na = 1\n```\n```\nprog x.toml\n```\n"
	path := filepath.Join(t.TempDir(), "a.md")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := CommandLines(path, "prog")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list {
		got = append(got, strings.TrimPrefix(c.Where, path)+" "+strings.Join(strings.Fields(c.Line), " "))
	}
	want := []string{":1 prog show --all", ":3 prog run -e 'a b' -r 7", ":5 V=1 prog ls | grep -v x", ":13 prog x.toml"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if last := list[len(list)-1]; last.Files["x.toml"] != "# x.toml\na = 1\n" {
		t.Errorf("files %q", last.Files)
	}
}
