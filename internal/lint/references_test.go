package lint

import (
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

// TestReferencesOfDocuments wants the files and functions that documents name to exist.
func TestReferencesOfDocuments(t *testing.T) {
	root := testenv.Root(t)
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(documents) < 5 {
		t.Fatal(documents, err)
	}
	for _, document := range append(documents, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		breaches, err := References(root, document)
		if err != nil {
			t.Fatal(err)
		}
		for _, breach := range breaches {
			t.Error(breach)
		}
	}
}

func TestReferencesToCodeAreChecked(t *testing.T) {
	dir := write(t, map[string]string{
		"internal/a/a.go": "package a\n\ntype T struct{}\n\nfunc (t *T) M() {}\n\nfunc F() {}\n",
		"a.md":            "`internal/a`, `internal/a/a.go:F`, `internal/a/a.go:T.M`, `internal/a/a.go:T`, `other/x.go`\n`internal/b`, `internal/a/a.go:G`, `internal/a/a.go:T.N`\n",
	})
	breaches, err := References(dir, filepath.Join(dir, "a.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a.md:2: internal/b: there is no such file", "a.md:2: internal/a/a.go:G: the file does not declare G", "a.md:2: internal/a/a.go:T.N: the file does not declare T.N"} {
		if len(breaches) != 3 || !strings.HasSuffix(breaches[i], want) {
			t.Errorf("got %q, want %q", breaches, want)
		}
	}
}
