package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv"
)

var update = flag.Bool("update", false, "write docs/bits.md")

// TestBitsAreListedInEveryForm wants every bit in every form.
func TestBitsAreListedInEveryForm(t *testing.T) {
	_, text, _ := call(t, "bits")
	_, page, _ := call(t, "bits", "--markdown")
	_, list, _ := call(t, "bits", "--json")
	for _, b := range status.Table {
		if want := fmt.Sprintf("%7d  %s", b.Value, b.Name); strings.Count(text, want) != 1 {
			t.Errorf("text lacks %q", want)
		}
		if want := fmt.Sprintf("| %d | %s |", b.Value, b.Name); strings.Count(page, want) != 1 {
			t.Errorf("page lacks %q", want)
		}
	}
	var table []status.Bit
	if err := json.Unmarshal([]byte(list), &table); err != nil || len(table) != len(status.Table) {
		t.Errorf("--json: %d bits, %v", len(table), err)
	}
}

const bitsHead = `<!-- Made by TestBitsPage of cmd/rawstatus: change the table in internal/stats/status or the comments of the packages, then 'make gen'. -->

# Bits of a status word

A status word is the sum of its bits; 0 is a good pixel. The same numbers have two meanings, by the rules that made the file; the sidecar
of a status file (` + "`<name>.json`" + `) has the dictionary that holds for it. Only bits of charge injection are above 32768: of other types analysis reads 16 bits.
` + "`rawstatus bits`" + ` prints this table, ` + "`rawstatus bits --json`" + ` for programs. Masks that people
have made (` + "`rawstatus save`" + `) have the bit USER alone, with ` + "`--keep-words`" + ` the words of their authors.

Limits are parameters: ` + "`rawstatus scan`" + ` counts bad pixels against a threshold, ` + "`rawstatus reeval`" + ` with --set shows what other rules change,
` + "`rawstatus reduce`" + ` with --set writes it; all of that from what was counted, without raw data.
`

// TestBitsPage wants docs/bits.md to be the tables of the command and what the comments of the packages
// say about the original software.
func TestBitsPage(t *testing.T) {
	_, tables, _ := call(t, "bits", "--markdown")
	page := bitsHead + tables
	for _, p := range []struct{ pkg, title string }{
		{"status", "Dark rules: deviations from the original software"},
		{"feature", "Features: deviations from the original software"},
	} {
		page += "\n## " + p.title + "\n\n" + deviations(t, p.pkg)
	}
	path := filepath.Join(testenv.Root(t), "docs", "bits.md")
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if file, err := os.ReadFile(path); err != nil || string(file) != page {
		t.Errorf("docs/bits.md is not what the code says (%v): make gen", err)
	}
	if n := strings.Count(page, "\n  - "); n < 10 {
		t.Errorf("%d deviations", n)
	}
}

// deviations returns a package comment from its heading about deviations on, for users: bits and parameters
// by the names that programs print.
func deviations(t *testing.T, pkg string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(testenv.Root(t), "internal", "stats", pkg, "doc.go"), nil, parser.ParseComments)
	if err != nil || f.Doc == nil {
		t.Fatalf("no package comment in %s: %v", pkg, err)
	}
	doc := new(comment.Parser).Parse(f.Doc.Text())
	for i, block := range doc.Content {
		if _, heading := block.(*comment.Heading); heading {
			doc.Content = doc.Content[i+1:]
			return userNames().Replace(string(new(comment.Printer).Markdown(doc)))
		}
	}
	t.Fatalf("no heading in the package comment of %s", pkg)
	return ""
}

// userNames turns Go names into those of bits and flags.
func userNames() *strings.Replacer {
	pairs := []string{"Compat brings", "`--compat` brings", "MinFrames", "`--min-frames`", " See Sequence.", "", " (quantile.GateParams.RawMax)", "", ", see Flatness", ""}
	for _, b := range status.Table {
		name := ""
		for word := range strings.SplitSeq(b.Name, "_") {
			name += word[:1] + strings.ToLower(word[1:])
		}
		if name != "Asic" {
			pairs = append(pairs, name, b.Name)
		}
	}
	return strings.NewReplacer(pairs...)
}
