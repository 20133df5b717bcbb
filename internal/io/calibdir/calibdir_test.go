package calibdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calib/calibtest"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/testenv"
)

const (
	rootEnv = "RAWSTATUS_TEST_CALIBDIR_ROOT"
	wordEnv = "RAWSTATUS_TEST_CALIBDIR_WORD"
	lockEnv = "RAWSTATUS_TEST_CALIBDIR_THREAD" // all on one thread
)

// TestMain turns the test binary into a process that deploys, for the tests that kill it or run many.
func TestMain(m *testing.M) {
	if root := os.Getenv(rootEnv); root != "" {
		if os.Getenv(lockEnv) != "" {
			runtime.LockOSThread()
		}
		word, _ := strconv.ParseUint(os.Getenv(wordEnv), 10, 64)
		_, _, err := newDir(root).Destination().Deploy(context.Background(), calibtest.Record(forever, 7, word), calibtest.Content(calibtest.Array(word)))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var forever = calib.Range{Begin: 0, End: calib.Last}

var files = disk.Files{Policy: &access.Policy{DirMode: 0o2775, FileMode: 0o664}}

func newDir(root string) *Dir {
	d, err := New(root, "Jungfrau::CalibV1", "XppGon.0:Jungfrau.0", "status_extra", files, time.UTC)
	if err != nil {
		panic(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	calibtest.Run(t, false, func(t *testing.T) func() calib.Destination {
		root := filepath.Join(t.TempDir(), "calib")
		return func() calib.Destination { return newDir(root).Destination() }
	})
}

// TestDryRunConformance: a dry run behaves as the real thing and leaves nothing behind.
func TestDryRunConformance(t *testing.T) {
	calibtest.Run(t, false, func(t *testing.T) func() calib.Destination {
		root := filepath.Join(t.TempDir(), "calib")
		dry := newDir(root).Destination().DryRun()
		t.Cleanup(func() {
			if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the dry run made %s", root)
			}
		})
		return func() calib.Destination { return dry }
	})
}

func history(t *testing.T, d *Dir) []string {
	t.Helper()
	text, err := disk.ReadFile(d.Disk, d.historyPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// sound checks what must hold after any deployment: no intent, a line of HISTORY and a done record for
// each, and no leftovers.
func sound(t *testing.T, d *Dir, deployments int) {
	t.Helper()
	records, err := d.Destination().Records()
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	var want []string
	for _, r := range records {
		if r.State == calib.Intent {
			t.Errorf("an intent is left: %s", r.ID)
		}
		if r.State == calib.Done {
			done++
			want = append(want, r.History)
		}
	}
	if got := history(t, d); done != deployments || !slices.Equal(got, want) {
		t.Errorf("%d deployments on record, want %d; HISTORY\n%s\nwant\n%s", done, deployments, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, dir := range []string{d.path(), d.ledger().Dir, filepath.Join(d.ledger().Dir, "content")} {
		entries, err := d.Disk.List(dir)
		for _, e := range entries {
			if err != nil || strings.Contains(e.Name, ".tmp-") {
				t.Errorf("leftover %s in %s (%v)", e.Name, dir, err)
			}
		}
	}
}

// TestFaultAtEveryPrimitive lets every primitive of the file system fail once, or stops the process there,
// with and without a loss of power: old or new is in force, and the same call again ends as if nothing had
// happened.
func TestFaultAtEveryPrimitive(t *testing.T) {
	for what, fault := range map[string]error{"full": syscall.ENOSPC, "killed": disk.ErrKilled, "power": disk.ErrKilled} {
		for n := 1; ; n++ {
			mem := disk.NewMemory(nil)
			d := newDir("/calib")
			d.Disk = mem
			calibtest.MustDeploy(t, d.Destination(), "0-end", 7, 1)
			count := 0
			process := mem.Process(func(primitive, _ string) error {
				if count++; count >= n && (count == n || fault == disk.ErrKilled) {
					return fault
				}
				return nil
			})
			sick := newDir("/calib")
			sick.Disk = process
			_, _, err := sick.Destination().Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2)))
			if count < n {
				if err != nil || n < 20 {
					t.Errorf("undisturbed deployment of %d primitives: %v", n-1, err)
				}
				break
			}
			process.Die()
			if what == "power" {
				mem.PowerCut(rand.New(rand.NewPCG(uint64(n), 1)))
			}
			if got := calibtest.Used(t, d.Destination(), 7); got != 1 && got != 2 {
				t.Errorf("%s at %d: run 7 uses %d", what, n, got)
			}
			if _, _, err = d.Destination().Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2))); err != nil {
				t.Errorf("%s at %d: again: %v", what, n, err)
			}
			if got := calibtest.Used(t, d.Destination(), 7); got != 2 {
				t.Errorf("%s at %d: again: run 7 uses %d, want 2", what, n, got)
			}
			if sound(t, d, 2); t.Failed() {
				t.Fatalf("%s at primitive %d", what, n)
			}
		}
	}
}

// process runs this binary as a deploying process.
func process(root string, word uint64) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), rootEnv+"="+root, wordEnv+"="+fmt.Sprint(word))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// TestKillAtRandomMoments kills at any moment, not only between steps.
func TestKillAtRandomMoments(t *testing.T) {
	n := 12
	if testing.Short() {
		n = 3
	}
	root := t.TempDir()
	d := newDir(root)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for word := uint64(1); word <= uint64(n); word++ {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), rootEnv+"="+root, wordEnv+"="+fmt.Sprint(word))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		if got := calibtest.Used(t, d.Destination(), 7); got != word && got != word-1 {
			t.Errorf("killed while deploying %d: run 7 uses %d", word, got)
		}
		if err := process(root, word); err != nil {
			t.Fatal(err)
		}
		if got := calibtest.Used(t, d.Destination(), 7); got != word {
			t.Errorf("run 7 uses %d, want %d", got, word)
		}
		sound(t, d, int(word))
	}
}

// TestProcessesAtOnce lets 16 processes deploy at once.
func TestProcessesAtOnce(t *testing.T) {
	root := t.TempDir()
	const n = 16
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := process(root, uint64(i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d := newDir(root)
	sound(t, d, n)
	records, err := d.Destination().Records()
	if err != nil {
		t.Fatal(err)
	}
	last := records[len(records)-1]
	if got := calibtest.Record(forever, 7, calibtest.Used(t, d.Destination(), 7)).Array; got != last.Array {
		t.Errorf("in force is %s, the last record says %s", got, last.Array)
	}
}

// TestHistoryLineIsThatOfTheOriginal compares the line with the real one of the original program, and completes cut lines.
func TestHistoryLineIsThatOfTheOriginal(t *testing.T) {
	const real = "file:137-end.data   copy_of:/repo/merged.txt ctype:status_extra user:"
	d := newDir(t.TempDir())
	rec := calibtest.MustDeploy(t, d.Destination(), "137-end", 200, 1)
	if !strings.HasPrefix(rec.History, real) || !strings.HasSuffix(rec.History, " cmt:") || !strings.Contains(rec.History, " cptime:20") {
		t.Errorf("line %q", rec.History)
	}
	foreign := "file:0-end.data  copy_of:x  zone:PDT"
	for cut := range len(rec.History) + 2 {
		text := foreign + "\n" + (rec.History + "\n")[:cut]
		if err := os.WriteFile(d.historyPath(), []byte(text), 0o664); err != nil {
			t.Fatal(err)
		}
		rec.HistoryOffset = int64(len(foreign) + 1)
		for range 2 {
			if err := d.history(rec); err != nil {
				t.Fatal(err)
			}
		}
		if got := history(t, d); !slices.Equal(got, []string{foreign, rec.History}) {
			t.Fatalf("line cut at %d: HISTORY %q", cut, got)
		}
	}
	// Another program's line without its end.
	if err := os.WriteFile(d.historyPath(), []byte(foreign), 0o664); err != nil {
		t.Fatal(err)
	}
	rec.HistoryOffset = int64(len(foreign))
	if err := d.history(rec); err != nil {
		t.Fatal(err)
	}
	if got := history(t, d); !slices.Equal(got, []string{foreign, rec.History}) {
		t.Errorf("HISTORY %q", got)
	}
}

// TestNewFilesFollowThePolicyOldOnesKeepTheirMode: new files follow the policy whatever the umask; an existing file keeps its mode, but is
// never left writable by everybody.
func TestNewFilesFollowThePolicyOldOnesKeepTheirMode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	d := newDir(filepath.Join(t.TempDir(), "calib"))
	calibtest.MustDeploy(t, d.Destination(), "0-end", 7, 1)
	err := filepath.WalkDir(d.Root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		want := fs.FileMode(0o664)
		if e.IsDir() {
			want = 0o775 | fs.ModeSetgid | fs.ModeDir
		}
		if st.Mode() != want {
			t.Errorf("%s: %v, want %v", p, st.Mode(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for was, want := range map[fs.FileMode]fs.FileMode{0o640: 0o640, 0o666: 0o664} {
		path := filepath.Join(d.path(), "0-end.data")
		if err := os.Chmod(path, was); err != nil {
			t.Fatal(err)
		}
		calibtest.MustDeploy(t, d.Destination(), "0-end", 7, uint64(was))
		if st, err := os.Stat(path); err != nil || st.Mode() != want {
			t.Errorf("mode %v became %v, want %v", was, st.Mode(), want)
		}
	}
}

// TestNoWayOut: nothing is written through symbolic links below the root.
func TestNoWayOut(t *testing.T) {
	for _, link := range []string{"Jungfrau::CalibV1", "Jungfrau::CalibV1/XppGon.0:Jungfrau.0", "Jungfrau::CalibV1/XppGon.0:Jungfrau.0/status_extra",
		"Jungfrau::CalibV1/XppGon.0:Jungfrau.0/status_extra/.ledger"} {
		root, outside := t.TempDir(), t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(link)), 0o775); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
		_, _, err := newDir(root).Destination().Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2)))
		if fault.CodeOf(err) != fault.Input {
			t.Errorf("%s: %v", link, err)
		}
		if left, _ := os.ReadDir(outside); len(left) > 0 {
			t.Errorf("%s: written outside: %v", link, left)
		}
	}
	// Links in place of files are replaced or refused, what they point to stays.
	root, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0-end.data", "HISTORY", "../.lock", ".ledger/ledger.jsonl"} {
		d := newDir(filepath.Join(root, strings.Trim(name, "./")))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(d.path(), name)), 0o775); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, filepath.Join(d.path(), name)); err != nil {
			t.Fatal(err)
		}
		_, _, err := d.Destination().Deploy(t.Context(), calibtest.Record(forever, 7, 2), calibtest.Content(calibtest.Array(2)))
		if text, _ := os.ReadFile(secret); string(text) != "keep" {
			t.Errorf("%s: written through the link (%v)", name, err)
		}
	}
	for _, name := range []string{"../x", "", "a/b", ".", "-rf"} {
		if _, err := New(root, name, "s", "status_extra", files, time.UTC); fault.CodeOf(err) != fault.Input {
			t.Errorf("group %q: %v", name, err)
		}
	}
}

// TestLedgerIsOurs: a ledger is not read through links, and nobody waits for the other end of a pipe in its
// destination. A constant that is a link is read, since psana reads it.
func TestLedgerIsOurs(t *testing.T) {
	for _, name := range []string{"", "ledger.jsonl", "content"} {
		theirs, ours := newDir(t.TempDir()), newDir(t.TempDir())
		rec := calibtest.MustDeploy(t, theirs.Destination(), "0-end", 7, 1)
		at := filepath.Join(ours.ledger().Dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o775); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(theirs.ledger().Dir, name), at); err != nil {
			t.Fatal(err)
		}
		records, err := ours.Destination().Records()
		if fault.CodeOf(err) != fault.Input || records != nil {
			t.Errorf("%q: %d records, %v", name, len(records), err)
		}
		if _, err := ours.Kept(t.Context(), rec); fault.CodeOf(err) != fault.Input {
			t.Errorf("%q: content: %v", name, err)
		}
	}
	d := newDir(t.TempDir())
	calibtest.MustDeploy(t, d.Destination(), "0-end", 7, 1)
	if err := os.Remove(d.ledger().Dir + "/ledger.jsonl"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(d.ledger().Dir+"/ledger.jsonl", 0o664); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Destination().Records(); fault.CodeOf(err) != fault.Input {
		t.Errorf("a pipe as ledger: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere.data")
	if err := os.Rename(filepath.Join(d.path(), "0-end.data"), elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(d.path(), "0-end.data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.ledger().Dir + "/ledger.jsonl"); err != nil {
		t.Fatal(err)
	}
	if got := calibtest.Used(t, d.Destination(), 7); got != 1 {
		t.Errorf("through a link run 7 uses %d", got)
	}
	rec := calibtest.MustDeploy(t, d.Destination(), "0-end", 7, 2)
	if _, err := d.Destination().Undo(t.Context(), calib.Record{Action: calib.ActionRollback}, rec.ID); err != nil {
		t.Fatal(err)
	}
	if got := calibtest.Used(t, d.Destination(), 7); got != 1 {
		t.Errorf("after the rollback run 7 uses %d", got)
	}
}

// TestLeftoversOfAKilledDeploymentGoWithTheNext: what a first deployment that was killed has left, files and the folder of its ledger, goes with the next one.
func TestLeftoversOfAKilledDeploymentGoWithTheNext(t *testing.T) {
	d := newDir(t.TempDir())
	if err := os.MkdirAll(filepath.Join(d.path(), "..ledger.tmp-0123456789abcdef"), 0o775); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.path(), ".0-end.data.tmp-0123456789abcdef"), nil, 0o664); err != nil {
		t.Fatal(err)
	}
	calibtest.MustDeploy(t, d.Destination(), "0-end", 7, 1)
	sound(t, d, 1)
}

// TestFoundByOthers: what another program has deployed is kept when it is replaced, and comes back.
func TestFoundByOthers(t *testing.T) {
	root := t.TempDir()
	example := filepath.Join(testenv.Shared(t), "data", "calib", "calib_example")
	if err := os.CopyFS(root, os.DirFS(example)); err != nil {
		t.Fatal(err)
	}
	d := newDir(root)
	d.Group, d.Source = "Epix100a::CalibV1", "XppGon.0:Epix100a.1"
	filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error { return os.Chmod(p, 0o775) })
	items, notes, err := d.Items(t.Context())
	if err != nil || len(notes) != 0 || len(items) != 1 || items[0].Name != "137-end.data" {
		t.Fatalf("items %v, notes %v, %v", items, notes, err)
	}
	old, sum, err := d.Read(t.Context(), items[0])
	if err != nil || !slices.Equal(old.Shape, []int{704, 768}) {
		t.Fatal(old, err)
	}
	rec := calibtest.MustDeploy(t, d.Destination(), "137-end", 200, 1)
	if c := rec.Changes; len(c) != 1 || c[0].Before.Content != sum || rec.Steps[0].Was != sum {
		t.Errorf("in force before: %+v, want %q", c, sum)
	}
	if others, err := d.Others(); err != nil || len(others) != 1 || !strings.HasPrefix(others[0], "file:137-end.data   copy_of:/sit/repo") {
		t.Errorf("lines of others %q, %v", others, err)
	}
	if lines := history(t, d); len(lines) != 2 || !strings.HasPrefix(lines[0], "file:137-end.data   copy_of:/sit/repo") || lines[1] != rec.History {
		t.Errorf("HISTORY %q", lines)
	}
	if _, err := d.Destination().Undo(t.Context(), calib.Record{Action: calib.ActionRollback}, rec.ID); err != nil {
		t.Fatal(err)
	}
	again, sumAgain, err := d.Read(t.Context(), items[0])
	if err != nil || sumAgain != sum || !slices.Equal(again.Words.Dense(), old.Words.Dense()) {
		t.Errorf("after the rollback: %s, want %s, %v", sumAgain, sum, err)
	}
}

// TestNamesOfPsana: what psana ignores and what breaks it.
func TestNamesOfPsana(t *testing.T) {
	d := newDir(t.TempDir())
	if err := os.MkdirAll(d.path(), 0o775); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0-end.data", "007-9.data", "10-foo.data", "0-end (copy).data", "12.data", "a-5.data", "5-4.data", "1-10000.data",
		"1-2-3.data", "-5.data", "HISTORY", "0-end.txt", ".0-end.data.tmp-0123456789abcdef"} {
		if err := os.WriteFile(filepath.Join(d.path(), name), nil, 0o664); err != nil {
			t.Fatal(err)
		}
	}
	items, notes, err := d.Items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names, breaking []string
	for _, x := range items {
		names = append(names, x.Name)
	}
	for _, n := range notes {
		if strings.Contains(n, "breaks every look-up") {
			breaking = append(breaking, filepath.Base(strings.SplitN(n, ".data", 2)[0]))
		}
	}
	if !slices.Equal(names, []string{"0-end.data", "007-9.data"}) || !slices.Equal(breaking, []string{"0-end (copy)", "1-10000", "10-foo"}) || len(notes) != 8 {
		t.Errorf("items %q, breaking %q, notes %q", names, breaking, notes)
	}
}

// TestReadsWhatPsanaReads: a file without a header goes through float32, as psana does it.
func TestReadsWhatPsanaReads(t *testing.T) {
	d := newDir(t.TempDir())
	if err := os.MkdirAll(d.path(), 0o775); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0 1 16777217\n", 30000) // more than the reader's buffer
	if err := os.WriteFile(filepath.Join(d.path(), "0-end.data"), []byte(text), 0o664); err != nil {
		t.Fatal(err)
	}
	items, _, err := d.Items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, sum, err := d.Read(t.Context(), items[0])
	if err != nil || !slices.Equal(a.Shape, []int{30000, 3}) || !slices.Equal(a.Words.Dense()[:3], []uint64{0, 1, 16777216}) {
		t.Fatalf("%v, %v", a.Shape, err)
	}
	if want, _ := d.Sum(t.Context(), items[0]); sum != want {
		t.Errorf("hash %s, want that of the file %s", sum, want)
	}
}
