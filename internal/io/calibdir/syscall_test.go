package calibdir

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"rawstatus/internal/io/calib/calibtest"
	"rawstatus/internal/testenv"
)

// changing are the system calls by which a deployment changes the file system, and how many of them in a
// row are tried: opening files is frequent and changes little.
var changing = map[string]int{"write": 1, "pwrite64": 1, "fsync": 1, "ftruncate": 1, "fchmod": 1, "fchmodat": 1, "fchown": 1, "renameat": 1, "openat": 5}

// TestEverySystemCall stops a deployment at each of its system calls that could change something, once by
// killing it and once by a full disk, and then runs it again.
func TestEverySystemCall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		testenv.Lacking(t, "strace", "it injects the faults")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []string{"signal=KILL", "error=ENOSPC"} {
		stopped := 0
		for call, step := range changing {
			for n, unharmed := 1, 0; unharmed < 2; n += step { // some calls may fail without harm
				root := t.TempDir()
				d := newDir(root)
				calibtest.MustDeploy(t, d.Destination(), "0-end", 7, 1)
				cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", call, fault, n), exe)
				// One thread makes all calls, so that their numbers mean something.
				cmd.Env = append(os.Environ(), rootEnv+"="+root, wordEnv+"=2", lockEnv+"=1", "GOMAXPROCS=1")
				out, err := cmd.CombinedOutput()
				if err != nil && strings.Contains(string(out), "ptrace") {
					testenv.Lacking(t, "strace", string(out))
				}
				if unharmed++; err != nil {
					stopped, unharmed = stopped+1, 0
				} else if calibtest.Used(t, d.Destination(), 7) != 2 {
					t.Errorf("no error, but nothing is deployed")
				}
				if got := calibtest.Used(t, d.Destination(), 7); got != 1 && got != 2 {
					t.Errorf("run 7 uses %d", got)
				}
				if err := process(root, 2); err != nil {
					t.Errorf("again: %v", err)
				}
				sound(t, d, 2)
				if calibtest.Used(t, d.Destination(), 7) != 2 || t.Failed() {
					t.Fatalf("%s at %s %d: after the repetition run 7 uses %d\n%s", fault, call, n, calibtest.Used(t, d.Destination(), 7), out)
				}
			}
		}
		t.Logf("%s: stopped %d times", fault, stopped)
		if stopped < 15 {
			t.Errorf("%s: only %d calls were hit", fault, stopped)
		}
	}
}
