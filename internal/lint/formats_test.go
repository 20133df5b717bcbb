package lint

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

var update = flag.Bool("update", false, "write the specifications of formats into docs/formats.md")

// TestFormats wants docs/formats.md to have the specifications that the packages have.
func TestFormats(t *testing.T) {
	root := testenv.Root(t)
	path := filepath.Join(root, "docs", "formats.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, got, found := strings.Cut(string(text), FormatsBegin)
	if !found {
		t.Fatalf("docs/formats.md lacks the line %q", FormatsBegin)
	}
	want, err := FormatTables(root)
	if err != nil {
		t.Fatal(err)
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatal("docs/formats.md differs from the comments of the packages: make gen writes them")
	}
	if err := os.WriteFile(path, []byte(head+FormatsBegin+want), 0o644); err != nil {
		t.Fatal(err)
	}
}
