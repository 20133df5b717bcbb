package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

// TestJSONFields wants a row of docs/json.md for each field that a program prints with --json, and no other.
func TestJSONFields(t *testing.T) {
	code := map[string]JSONObject{}
	root := testenv.Root(t)
	exports := exportData(t)
	for _, dir := range []string{"cmd/rawstatus", "cmd/mergedeploy", "internal/command"} {
		list, err := Outputs(dir, goFiles(t, filepath.Join(root, dir)), exports)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) < 2 {
			t.Fatalf("%s: only %d outputs found", dir, len(list))
		}
		for _, o := range list {
			if err := o.Objects(code); err != nil {
				t.Error(err)
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range Undocumented(code, DocumentedObjects(string(text))) {
		t.Errorf("docs/json.md: %s", breach)
	}
}

// exportData has the compiler write the types of all packages, and returns the files that hold them.
func exportData(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./cmd/...")
	cmd.Dir = testenv.Root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
	}
}

func goFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

// TestUndocumentedFieldsAreFound finds the fields of what a small program prints, and each way in which a document differs from them.
func TestUndocumentedFieldsAreFound(t *testing.T) {
	dir := t.TempDir()
	source := "package p\n\ntype env struct{}\n\nfunc (env) PrintJSON(any) {}\n\ntype base struct{ A int `json:\"a\"` }\n\n" +
		"type out struct {\n\tbase\n\tB []string `json:\"b,omitempty\"`\n\tC map[string]*inner `json:\"c\"`\n\tD any\n\tE int `json:\"-\"`\n\tf int\n}\n\n" +
		"type inner struct{ X bool `json:\"x\"` }\n\nfunc _(e env, o []*out) {\n\te.PrintJSON(o)\n\te.PrintJSON(map[string]int{})\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := Outputs("p", []string{filepath.Join(dir, "p.go")}, nil)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	code := map[string]JSONObject{}
	if err := list[0].Objects(code); err != nil {
		t.Fatal(err)
	}
	if err := list[1].Objects(code); err == nil || !strings.Contains(err.Error(), "map[string]int cannot be documented") {
		t.Errorf("a map: %v", err)
	}
	good := "### `p.out`\n| `a` | number | x |\n| `b` | list of string | x |\n| `c` | map of object p.inner | x |\n| `D` | value | x |\n### `p.inner`\n| `x` | boolean | x |\n"
	for change, want := range map[string]string{
		"":                       "",
		"| `a` | number | x |\n": "object p.out: field a (number) has no row",
		"| x |\n| `b`":           "object p.out: field a (number) has no row", // a row without a meaning is none
		"list of ":               `object p.out: field b is "list of string", not "string"`,
		"### `p.inner`\n":        "object p.inner has no table; object p.out: there is no field x",
	} {
		text := good
		switch {
		case change == "| x |\n| `b`":
			text = strings.Replace(good, change, "|  |\n| `b`", 1)
		case change != "":
			text = strings.Replace(good, change, "", 1)
		}
		if got := strings.Join(Undocumented(code, DocumentedObjects(text)), "; "); got != want {
			t.Errorf("without %q: got %q, want %q", change, got, want)
		}
	}
	if got := Undocumented(map[string]JSONObject{}, code); len(got) != 2 {
		t.Errorf("objects that nothing prints: %q", got)
	}
}
