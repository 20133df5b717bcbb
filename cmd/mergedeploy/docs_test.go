package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rawstatus/internal/command"
	"rawstatus/internal/lint"
	"rawstatus/internal/testenv"
)

// TestDocuments wants every call of the program in the documents to be one that the program knows.
func TestDocuments(t *testing.T) {
	help := func(command string) (string, bool) {
		var out, err bytes.Buffer
		args := []string{"mergedeploy", command, "--help-all"}
		if command == "" {
			args[1] = "deploy" // flags without a command's name are those of deploy
		}
		code := run(context.Background(), &out, &err, args)
		return out.String(), code == 0 && strings.Contains(out.String(), "mergedeploy "+args[1])
	}
	list, err := lint.Invocations(testenv.Root(t), "mergedeploy")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 5 {
		t.Fatalf("only %d calls found", len(list))
	}
	for _, inv := range list {
		if wrong := lint.Undefined(inv, help); wrong != "" {
			t.Error(wrong)
		}
	}
}

// TestJSONDocument wants a row of docs/json.md for each command.
func TestJSONDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, ours, _ := strings.Cut(string(text), "\n## mergedeploy")
	ours, _, _ = strings.Cut(ours, "\n## ")
	for _, c := range program().Commands(&command.Env{}) {
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + c.Name + "`[^|]* \\|").MatchString(ours) {
			t.Errorf("docs/json.md does not say what %s prints", c.Name)
		}
	}
}
