package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cluster is the Slurm cluster that .ci/slurm/cluster started on this machine.
type Cluster struct {
	// OOM means that memory limits are enforced: a job beyond its request ends OUT_OF_MEMORY.
	OOM bool

	script string
}

// Slurm lends the test cluster to one test at a time, with all nodes up and SLURM_CONF set for the
// duration of the test. No other Slurm is ever used, whatever SLURM_CONF says outside.
func Slurm(t testing.TB) *Cluster {
	t.Helper()
	dir := os.Getenv("RAWSTATUS_SLURM_DIR")
	if dir == "" {
		dir = "/var/tmp/rawstatus-slurm"
	}
	// These tests take minutes and disturb the cluster on purpose: they run when asked for.
	if !required("slurm") {
		Lacking(t, "slurm", "not asked for (make slurm-test)")
	}
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		Lacking(t, "slurm", "no test cluster at "+dir+" (make slurm-up)")
	}
	c := &Cluster{script: filepath.Join(Root(t), ".ci", "slurm", "cluster")}
	for line := range strings.Lines(string(env)) {
		key, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		switch key {
		case "SLURM_CONF":
			t.Setenv(key, value)
		case "RAWSTATUS_SLURM_OOM":
			c.OOM = value == "yes"
		}
	}
	lock, err := os.OpenFile(dir+".test", os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(c.script, "up").CombinedOutput(); err != nil {
		Lacking(t, "slurm", "the test cluster does not answer: "+string(out))
	}
	return c
}

// TempDir is t.TempDir for jobs of the cluster. Jobs that nobody waits for, to repair what needs no repair, may
// still write there when a test has seen enough: it is removed when none is left, or after a while.
func (c *Cluster) TempDir(t testing.TB) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		for range 50 {
			if out, err := exec.Command("squeue", "--noheader").Output(); err != nil || len(out) == 0 {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
	return dir
}

// Kill cuts a node's power: its daemon and every process of its jobs die at once.
func (c *Cluster) Kill(t testing.TB, node string) {
	t.Helper()
	c.run(t, "kill", node)
}

// Start brings a node back.
func (c *Cluster) Start(t testing.TB, node string) {
	t.Helper()
	c.run(t, "start", node)
}

// Stop ends slurmctld or slurmdbd, until Up.
func (c *Cluster) Stop(t testing.TB, daemon string) {
	t.Helper()
	c.run(t, "stop", daemon)
}

// Up starts what has ended.
func (c *Cluster) Up(t testing.TB) {
	t.Helper()
	c.run(t, "up")
}

// Account makes an account that the tests' user may charge.
func (c *Cluster) Account(t testing.TB, name string) {
	t.Helper()
	c.run(t, "account", name)
}

func (c *Cluster) run(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(c.script, args...).CombinedOutput(); err != nil {
		t.Fatalf("slurm cluster %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
