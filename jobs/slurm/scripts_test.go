package slurm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts wants every script to be shell, to explain its use, to be changed by Render in just the marked lines, and to
// end by becoming the program, so that Slurm's signals reach it.
func TestScripts(t *testing.T) {
	for _, name := range []string{Array, Reduce, Repair, Deploy, Post, Element} {
		plain, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := Render(name, "'/opt/a b'", []string{"module load x", "echo $y"})
		if err != nil {
			t.Fatal(err)
		}
		got := string(text)
		for _, want := range []string{"\nbin='/opt/a b'\n", "\nmodule load x\necho $y\n", "\nexec \"$bin\" ", "usage: sbatch "} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		if n := strings.Count(got, "\n") - strings.Count(string(plain), "\n"); n != 1 {
			t.Errorf("%s: %d more lines for one line of the site replaced by two", name, n)
		}
		last := strings.Split(strings.TrimSpace(got), "\n")
		if !strings.HasPrefix(last[len(last)-1], "exec ") {
			t.Errorf("%s does not end by becoming the program", name)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("bash", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := exec.Command("bash", path).CombinedOutput(); err == nil || !strings.Contains(string(out), "usage: sbatch") {
			t.Errorf("%s without arguments: %v\n%s", name, err, out)
		}
	}
	if _, err := Render("other.sbatch", "x", nil); err == nil {
		t.Error("a script that is not there")
	}
}
