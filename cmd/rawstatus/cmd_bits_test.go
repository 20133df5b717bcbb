package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv"
)

// TestBits wants every bit in every form, and docs/bits.md to be what the command prints.
func TestBits(t *testing.T) {
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
	file, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "bits.md"))
	if err != nil || string(file) != page {
		t.Errorf("docs/bits.md is not what the command prints (%v): make gen", err)
	}
}
