package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	scripts "rawstatus/jobs/slurm"
)

// batchScript is the outcome of a job script, without a shell: the program that it becomes, with its words and environment.
type batchScript struct {
	program string // path
	words   []string
	env     map[string]string
}

// readScript follows one of our job scripts with the arguments and the environment of a job. It knows the few forms
// that our scripts use; TestReadScript wants what bash makes of them.
func readScript(text string, args []string, env map[string]string) (*batchScript, error) {
	s := &batchScript{env: maps.Clone(env)}
	first := ""
	if len(args) > 0 {
		first = args[0]
	}
	plain := false // within: if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, `if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]`):
			plain = true
		case line == "fi":
			plain = false
		case strings.HasPrefix(line, "bin="):
			s.program = unquote(strings.TrimPrefix(line, "bin="))
		case strings.HasPrefix(line, "unset "):
			for _, name := range strings.Fields(line)[1:] {
				delete(s.env, name)
			}
		case strings.HasPrefix(line, "export "):
			name, value, _ := strings.Cut(strings.TrimPrefix(line, "export "), "=")
			if m := regexp.MustCompile(`^\$\{` + name + `:-(.*)\}$`).FindStringSubmatch(value); m != nil {
				if s.env[name] == "" {
					s.env[name] = m[1]
				}
			} else {
				s.env[name] = unquote(value)
			}
		case strings.HasPrefix(line, `exec "$bin"`):
			if plain && s.env["SLURM_ARRAY_TASK_ID"] != "" {
				continue
			}
			err := s.expand(strings.TrimPrefix(line, `exec "$bin"`), first, args)
			return s, err
		}
	}
	return nil, fmt.Errorf("the script becomes no program:\n%s", text)
}

// word is a word of a script's last line.
var word = regexp.MustCompile(`\$\(\(.*?\)\)|"[^"]*"|\S+`)

func (s *batchScript) expand(line, first string, args []string) error {
	from := func(n int) []string { return args[min(n-1, len(args)):] }
	for _, w := range word.FindAllString(line, -1) {
		w = strings.Trim(w, `"`)
		m := regexp.MustCompile(`^\$\{@:(\d)\}$|^\$(\d)$|^\$\(\(\$\{(\d):-0\} \+ SLURM_ARRAY_TASK_ID\)\)$|^\$\{(\w+):-(\w*)\}$`).FindStringSubmatch(w)
		switch {
		case w == "$work" || w == "$dir":
			s.words = append(s.words, first)
		case w == "$@":
			s.words = append(s.words, args...)
		case !strings.Contains(w, "$"):
			s.words = append(s.words, w)
		case m == nil:
			return fmt.Errorf("unknown form %q", w)
		case m[1] != "":
			n, _ := strconv.Atoi(m[1])
			s.words = append(s.words, from(n)...)
		case m[2] != "":
			n, _ := strconv.Atoi(m[2])
			s.words = append(s.words, args[n-1])
		case m[3] != "":
			n, _ := strconv.Atoi(m[3])
			offset := 0
			if rest := from(n); len(rest) > 0 {
				offset, _ = strconv.Atoi(rest[0])
			}
			index, _ := strconv.Atoi(s.env["SLURM_ARRAY_TASK_ID"])
			s.words = append(s.words, strconv.Itoa(offset+index))
		case s.env[m[4]] != "":
			s.words = append(s.words, s.env[m[4]])
		default:
			s.words = append(s.words, m[5])
		}
	}
	return nil
}

func unquote(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, `'\''`, "\x00"), "'", ""), "\x00", "'")
}

// TestReadScript wants readScript to agree with bash on every script, as an array element and as a plain job.
func TestReadScript(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "it's bin")
	show := "#!/bin/bash\nprintf '%s\\n' \"$@\" \"RAWSTATUS_REQUEUE=${RAWSTATUS_REQUEUE:-}\" \"RAWSTATUS_SITE=${RAWSTATUS_SITE:-}\"\n"
	if err := os.WriteFile(bin, []byte(show), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{scripts.Array, scripts.Reduce, scripts.Repair, scripts.Deploy, scripts.Post, scripts.Element} {
		text, err := scripts.Render(name, `'`+strings.ReplaceAll(bin, "'", `'\''`)+`'`, []string{"export RAWSTATUS_SITE='/a b/site.toml'"})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, env := range []map[string]string{{}, {"SLURM_ARRAY_TASK_ID": "7", "SLURM_CPUS_PER_TASK": "2", "RAWSTATUS_REQUEUE": "1"}} {
			for _, args := range [][]string{{"/work dir"}, {"/w", "3", "--plan", "x y"}, {"/w", "3", "66", "--request", "r"}} {
				if name == scripts.Element && (len(env) == 0 || len(args) == 1 || args[2] != "66") {
					continue // it is for elements, which need an attempt and a number
				}
				cmd := exec.Command("bash", append([]string{path}, args...)...)
				cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
				for k, v := range env {
					cmd.Env = append(cmd.Env, k+"="+v)
				}
				out, err := cmd.Output()
				if err != nil {
					t.Errorf("%s %q %v: %v", name, args, env, err)
					continue
				}
				s, err := readScript(string(text), args, env)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				got := append(slices.Clone(s.words), "RAWSTATUS_REQUEUE="+s.env["RAWSTATUS_REQUEUE"], "RAWSTATUS_SITE="+s.env["RAWSTATUS_SITE"])
				if want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); !slices.Equal(got, want) || s.program != bin {
					t.Errorf("%s %q %v: %s %q, bash says %q", name, args, env, s.program, got, want)
				}
			}
		}
	}
}
