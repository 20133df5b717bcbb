package lint

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// assignment is a variable that is set for one command.
var assignment = regexp.MustCompile(`^[A-Z_]+=`)

// CommandLine is a command line that a document shows.
type CommandLine struct {
	Where string            // file:line
	Line  string            // as it stands, without a prompt and a comment behind it
	Files map[string]string // what the document has shown before as the content of files
}

// CommandLines finds the calls of programs in a Markdown file: lines of code blocks and spans of code that begin with
// a program's name. A block of TOML that begins with a comment naming a file is the content of that file. Spans that
// only name a command are left out.
func CommandLines(document string, programs ...string) (list []CommandLine, err error) {
	span := regexp.MustCompile("`([^`]+)`")
	text, err := os.ReadFile(document)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	add := func(line int, command string, spanned bool) {
		words := Words(command)
		for len(words) > 0 && assignment.MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) == 0 || !slices.Contains(programs, words[0]) || spanned && len(words) < 3 && !strings.Contains(command, " -") {
			return
		}
		command = strings.TrimPrefix(strings.TrimSpace(command), "$ ")
		if i := strings.Index(command, " # "); i >= 0 {
			command = strings.TrimSpace(command[:i])
		}
		list = append(list, CommandLine{fmt.Sprintf("%s:%d", document, line), command, maps.Clone(files)})
	}
	code, kind, file, open, begin := false, "", "", "", 0
	for i, line := range strings.Split(string(text), "\n") {
		if fence, ok := strings.CutPrefix(line, "```"); ok {
			code, kind, file = !code, fence, ""
			continue
		}
		switch {
		case !code:
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				add(i+1, m[1], true)
			}
		case kind == "toml":
			if name, ok := strings.CutPrefix(line, "# "); ok && file == "" && strings.HasSuffix(name, ".toml") {
				file = name
			}
			if file != "" {
				files[file] += line + "\n"
			}
		default:
			if open == "" {
				begin = i + 1
			}
			if head, more := strings.CutSuffix(line, `\`); more {
				open += head + " "
				continue
			}
			add(begin, open+line, false)
			open = ""
		}
	}
	return list, nil
}

// Invocation is a call of one of our programs that a document shows.
type Invocation struct {
	Where string   // file:line
	Words []string // of the command line, without the program's name
}

// Invocations finds the calls of a program in the Markdown files below root: lines of code blocks and
// code spans that begin with the program's name, or with a path that ends in it.
func Invocations(root, program string) (list []Invocation, err error) {
	span := regexp.MustCompile("`((?:bin/)?" + program + "(?: [^`]*)?)`")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return skipHidden(err)
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		add := func(line int, command string) {
			if words := Words(command); len(words) > 0 && filepath.Base(words[0]) == program {
				list = append(list, Invocation{fmt.Sprintf("%s:%d", path, line), words[1:]})
			}
		}
		code, open, begin := false, "", 0
		for i, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "```") {
				code = !code
				continue
			}
			if !code {
				for _, m := range span.FindAllStringSubmatch(line, -1) {
					add(i+1, m[1])
				}
				continue
			}
			if open == "" {
				begin = i + 1
			}
			if head, more := strings.CutSuffix(line, `\`); more {
				open += head + " "
				continue
			}
			add(begin, open+line)
			open = ""
		}
		return nil
	})
	return list, err
}

func skipHidden(err error) error {
	if err != nil {
		return err
	}
	return filepath.SkipDir
}

// Words splits a command line as a document shows it: a prompt and what follows a comment sign, a pipe
// or a redirection are left out.
func Words(command string) []string {
	words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(command), "$ "))
	for i, w := range words {
		if strings.HasPrefix(w, "#") || w == "|" || w == "&&" || w == ";" || strings.HasPrefix(w, ">") || strings.HasPrefix(w, "2>") {
			return words[:i]
		}
	}
	return words
}

// Undefined returns the sentence that says what is wrong with an invocation, or "": help returns the help
// text of a command, "" for that of the program itself, and false if there is no such command.
func Undefined(inv Invocation, help func(command string) (string, bool)) string {
	command, flags := "", []string(nil)
	for _, w := range inv.Words {
		switch {
		case strings.HasPrefix(w, "-"):
			name, _, _ := strings.Cut(w, "=")
			flags = append(flags, strings.Trim(name, "[],"))
		case command == "" && len(flags) == 0:
			command = w
		}
	}
	text, ok := help(command)
	if !ok {
		return fmt.Sprintf("%s: there is no command %q", inv.Where, command)
	}
	for _, f := range flags {
		if !regexp.MustCompile(`(?m)[\s,]` + regexp.QuoteMeta(f) + `([\s,=]|$)`).MatchString(text) {
			return fmt.Sprintf("%s: command %q has no flag %s", inv.Where, command, f)
		}
	}
	return ""
}
