package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

// TestCommentsOfModule and the ones like it check the whole module.
func TestCommentsOfModule(t *testing.T) { wantNone(t, Comments) }

func TestFunctionCommentsOfModule(t *testing.T) { wantNone(t, Functions) }

func TestPackageCommentsOfModule(t *testing.T) { wantNone(t, PackageComments) }

func TestNamesOfModule(t *testing.T) {
	wantNone(t, func(root string) ([]string, error) { return Names(root, Retired) })
}

func wantNone(t *testing.T, check func(root string) ([]string, error)) {
	t.Helper()
	breaches, err := check(testenv.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range breaches {
		t.Error(breach)
	}
}

// write puts files below a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCommentVerbsAreChecked(t *testing.T) {
	dir := write(t, map[string]string{"a.go": `package a

// T is what F makes.
type T int

// F gives a number.
func F() int { return 1 } // whoever calls it

// What it returns is that which counts. G tells more.
func G() string { return "gives" }

// H returns what F gave. Whatever it takes, no giveshaft is harmed.
`})
	breaches, err := Comments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range breaches {
		where, _, _ := strings.Cut(strings.TrimPrefix(b, dir+string(filepath.Separator)), ":")
		_, word, _ := strings.Cut(b, `comment with "`)
		word, _, _ = strings.Cut(word, `"`)
		got = append(got, where+" "+word)
	}
	if want := "a.go T is what, a.go gives, a.go whoever, a.go tells, a.go that which, a.go What"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFunctionCommentsSayWhatIsReturned(t *testing.T) {
	dir := write(t, map[string]string{"a.go": `package a

// F is the length.
func F() int { return 1 }

// G is the inverse of F.
func G() int { return 1 }

// H are where things lie, and here without a result.
func H() {}

// I returns the length, which is the size.
func I() int { return 1 }
`})
	breaches, err := Functions(dir)
	if err != nil || len(breaches) != 1 || !strings.Contains(breaches[0], "F is the length") {
		t.Errorf("%q, %v", breaches, err)
	}
}

func TestPackageComments(t *testing.T) {
	dir := write(t, map[string]string{
		"good/doc.go":    "// Package good is good.\npackage good\n",
		"good/x.go":      "package good\n",
		"none/x.go":      "package none\n",
		"bare/doc.go":    "package bare\n",
		"twice/doc.go":   "// Package twice is here.\npackage twice\n",
		"twice/x.go":     "// Package twice is there.\npackage twice\n",
		"test/x_test.go": "// Package test only has tests.\npackage test\n",
	})
	breaches, err := PackageComments(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(strings.Join(breaches, "\n"), dir+string(filepath.Separator), "")
	for _, want := range []string{"none/ has no doc.go", "bare/ has no doc.go", "twice/x.go: the comment"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if len(breaches) != 3 {
		t.Errorf("got\n%s", got)
	}
}

func TestWordsInExportedNamesAreChecked(t *testing.T) {
	dir := write(t, map[string]string{"a.go": `package a

type Doubtful struct{ HasDoubt, doubt int }

func DoubtOf() {}

func doubtOf() { var Doubt int; _ = Doubt }

const NoDoubt = 1
`})
	breaches, err := Names(dir, map[string]string{"doubt": "certainty"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range breaches {
		_, name, _ := strings.Cut(b, "exported name ")
		name, _, _ = strings.Cut(name, ":")
		got = append(got, name)
	}
	if want := "HasDoubt DoubtOf NoDoubt"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
