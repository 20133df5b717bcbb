package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/config"
	"rawstatus/internal/testenv"
)

// shell returns the path of a shell.
func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		testenv.Lacking(t, "shells", "no "+name+" on this machine")
	}
	return path
}

// completion writes the completion script of a shell into a file.
func completion(t *testing.T, name string) string {
	t.Helper()
	code, script, stderr := call(t, "completion", name)
	if code != 0 {
		t.Fatal(stderr)
	}
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBashCompletion completes commands, flags, and the words of a flag.
func TestBashCompletion(t *testing.T) {
	bash, script := shell(t, "bash"), completion(t, "bash")
	for words, want := range map[string]string{
		"sca":                 "scan",
		"run --repl":          "--replace",
		"run --read d":        "direct",
		"task --workers 2 --": "--work",
		"reduce --bet":        "",
		"help ree":            "reeval",
		"--quiet scan --ru":   "--rule",
	} {
		text := `source "$1"; shift; COMP_WORDS=(rawstatus "$@"); COMP_CWORD=$#; _rawstatus; echo "${COMPREPLY[*]}"`
		out, err := exec.Command(bash, append([]string{"-c", text, "bash", script}, strings.Fields(words)...)...).CombinedOutput()
		got := strings.TrimSpace(string(out))
		if err != nil || got != want && !(strings.HasSuffix(words, " --") && strings.Contains(got, want)) {
			t.Errorf("%q: got %q, want %q, %v", words, got, want, err)
		}
	}
}

// TestFishCompletion asks fish itself.
func TestFishCompletion(t *testing.T) {
	fish, script := shell(t, "fish"), completion(t, "fish")
	for line, want := range map[string]string{"rawstatus sca": "scan", "rawstatus run --read d": "direct", "rawstatus run --repl": "--replace"} {
		cmd := exec.Command(fish, "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want+"\t") {
			t.Errorf("%q: got %q, want %q, %v", line, out, want, err)
		}
	}
}

// TestZshCompletion completes in an interactive zsh.
func TestZshCompletion(t *testing.T) {
	zsh, script := shell(t, "zsh"), completion(t, "zsh")
	// A pseudo terminal with the completion loaded. The keys are sent when the line editor says that it reads them: before,
	// the terminal would echo them. The last key prints the line as Tab has left it.
	text := `zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z "PROMPT=; autoload -Uz compinit; compinit -u -D; source $1; LISTMAX=0
zle-line-init() { print -n rea''dy; }; show() { print -r -- '<'\$BUFFER'>'; }; zle -N show; bindkey '^X' show; zle -N zle-line-init"
zpty -r -m z seen '*ready*'; zpty -n -w z "$2"$'\t\C-x'; zpty -r -m z seen '*<raw*>*'; print -r -- $seen`
	for line, want := range map[string]string{"rawstatus sca": "rawstatus scan ", "rawstatus run --read d": "rawstatus run --read direct "} {
		cmd := exec.Command(zsh, "-f", "-c", text, "zsh", script, line)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "<"+want+">") {
			t.Errorf("%q: got %q, want %q, %v", line, out, want, err)
		}
	}
}

// TestManPages wants a page for every command, which man formats without a warning.
func TestManPages(t *testing.T) {
	man := shell(t, "man")
	dir := t.TempDir()
	if code, _, stderr := call(t, "man", dir); code != 0 {
		t.Fatal(stderr)
	}
	for _, c := range program().Commands(&environment{}) {
		page := filepath.Join(dir, "rawstatus-"+c.Name+".1")
		cmd := exec.Command(man, "--warnings", "-P", "cat", "-l", page)
		cmd.Env = append(os.Environ(), "MANROFFOPT=", "MANWIDTH=100", "LC_ALL=C.UTF-8")
		var warnings strings.Builder
		cmd.Stderr = &warnings
		out, err := cmd.Output()
		if err != nil || warnings.Len() > 0 || !strings.Contains(string(out), "SYNOPSIS") {
			t.Errorf("%s: %v\n%s%s", c.Name, err, warnings.String(), out)
		}
	}
}

// TestInstallPutsAStaticProgramInPlace installs into a directory and wants a static program there.
func TestInstallPutsAStaticProgramInPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both programs")
	}
	root, prefix := testenv.Root(t), t.TempDir()
	if out, err := exec.Command("make", "-C", root, "install", "PREFIX="+prefix).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"bin/rawstatus", "bin/mergedeploy", "share/man/man1/rawstatus.1", "share/man/man1/rawstatus-run.1", "share/man/man1/mergedeploy-deploy.1",
		"share/bash-completion/completions/rawstatus", "share/zsh/site-functions/_mergedeploy", "share/fish/vendor_completions.d/rawstatus.fish",
		"share/rawstatus/slurm/rawstatus-array.sbatch", "share/rawstatus/site/s3df.toml", "share/rawstatus/arp/rawstatus-arp.sh"} {
		if info, err := os.Stat(filepath.Join(prefix, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := exec.Command("go", "version", "-m", filepath.Join(prefix, "bin/rawstatus")).Output()
	if err != nil || !strings.Contains(string(out), "CGO_ENABLED=0") {
		t.Errorf("not static: %v\n%s", err, out)
	}
}

// TestDistHoldsWhatIsInstalled wants in the tar file what is installed.
func TestDistHoldsWhatIsInstalled(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both programs")
	}
	out, err := exec.Command("make", "--no-print-directory", "-s", "-C", testenv.Root(t), "dist").CombinedOutput()
	lines := strings.Fields(strings.TrimSpace(string(out)))
	if err != nil || len(lines) == 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(testenv.Root(t), lines[len(lines)-1])
	list, err := exec.Command("tar", "-tzf", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/bin/mergedeploy", "/share/man/man1/rawstatus.1", "/share/rawstatus/site/s3df.toml", "/share/rawstatus/slurm/rawstatus-array.sbatch", "/share/rawstatus/arp/rawstatus-arp.sh",
		"/share/zsh/site-functions/_rawstatus"} {
		if !strings.Contains(string(list), name+"\n") {
			t.Errorf("%s is not in %s", name, file)
		}
	}
}

// TestExampleSiteFiles loads the site files that are installed.
func TestExampleSiteFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Root(t), "docs", "site", "*.toml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		site, err := config.Load(file, nil)
		if err == nil {
			err = site.CheckNames()
		}
		if err != nil || site.Repository == "" {
			t.Errorf("%s: %v", file, err)
		}
	}
}
