package repo

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/testenv"
)

const (
	allocateEnv = "RAWSTATUS_TEST_REPO_ALLOCATE"
	replaceEnv  = "RAWSTATUS_TEST_REPO_REPLACE"
)

// TestMain turns the test binary into a process that allocates aliases, for TestAliasProcesses, or
// replaces a status file without end, for TestKilledWriter.
func TestMain(m *testing.M) {
	if root := os.Getenv(replaceEnv); root != "" {
		for i := uint64(0); ; i++ {
			if _, err := replace(newRepo(root), i); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	if root := os.Getenv(allocateEnv); root != "" {
		r := newRepo(root)
		for i := range 20 {
			alias, err := r.Alias(context.Background(), "epix10ka", fmt.Sprintf("panel-%02d", (i*7+os.Getpid())%20), AliasRecord{})
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			fmt.Println(alias)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newRepo(root string) *Repo {
	return New(root, &access.Policy{DirMode: 0o2775, FileMode: 0o664}, time.UTC)
}

var begin = time.Date(2016, 5, 23, 10, 40, 0, 0, time.UTC)

const examplePanel = "3925999616-0996579585-0553648138-1232098304-1221641739-2650251521-3976200215"

func exampleFile(ctype string) StatusFile {
	return StatusFile{DetType: "Epix100a", DetName: "XppGon.0:Epix100a.1", Panel: examplePanel,
		Run: frame.Run{Experiment: "xppn4116", Number: 137, Begin: begin}, CType: ctype, Rows: 704, Cols: 768}
}

// TestSameTreeAsOriginal writes the original programs' arrays again: same paths, same bytes.
func TestSameTreeAsOriginal(t *testing.T) {
	example := filepath.Join(testenv.Shared(t), "data", "calib", "repo_example")
	r := newRepo(t.TempDir())
	for _, ctype := range []string{"status_dark", "status_light", "status_max"} {
		old := newRepo(example)
		files, foreign, err := old.Files("epix100a", examplePanel, ctype)
		if err != nil || len(files) != 1 || len(foreign) != 0 {
			t.Fatalf("%s: files %v, foreign %v, %v", ctype, files, foreign, err)
		}
		read, err := old.ReadStatus(files[0].Path, []int{704, 768})
		if err != nil {
			t.Fatal(err)
		}
		path, _, err := r.WriteStatus(t.Context(), exampleFile(ctype), read.Sparse, Sidecar{Profile: "features"}, false)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(r.Root, path)
		oldRel, _ := filepath.Rel(example, files[0].Path)
		if rel != oldRel {
			t.Errorf("path %s, want %s", rel, oldRel)
		}
		again, err := r.ReadStatus(path, nil)
		if err != nil || again.SHA256 != read.SHA256 {
			t.Errorf("%s: other bytes than the original's (%v)", rel, err)
		}
	}
	got, _ := os.ReadFile(filepath.Join(r.Root, "epix100a", ".aliases.txt"))
	want, _ := os.ReadFile(filepath.Join(example, "epix100a", ".aliases.txt"))
	g, w := strings.Split(string(got), " "), strings.Split(string(want), " ")
	g[2], w[2] = "", ""               // time
	g[len(g)-1], w[len(w)-1] = "", "" // login
	if !slices.Equal(g, w) {
		t.Errorf("alias record %q, want %q but for time and login", got, want)
	}
	types, err := r.StatusTypes("epix100a", examplePanel)
	if err != nil || !slices.Equal(types, []string{"status_dark", "status_light", "status_max"}) {
		t.Errorf("status types %v, %v", types, err)
	}
}

func TestModesWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	root := filepath.Join(t.TempDir(), "made")
	r := newRepo(root)
	r.Policy = &access.Policy{DirMode: 0o2775, FileMode: 0o664, Group: "no-such-group"}
	sf := exampleFile("status_data")
	sf.Rows, sf.Cols = 2, 2
	path, warnings, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(make([]uint64, 4)), Sidecar{Profile: "data"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "no-such-group") {
		t.Errorf("warnings %q, want one about the group", warnings)
	}
	log, err := r.CreateLog("epix100a", "rawstatus", begin)
	if err != nil {
		t.Fatal(err)
	}
	log.Close()
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		want := fs.FileMode(0o664)
		if d.IsDir() {
			want = 0o775 | fs.ModeSetgid | fs.ModeDir
		}
		if st.Mode() != want {
			t.Errorf("%s: mode %v, want %v", p, st.Mode(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestWriteStatusProfiles(t *testing.T) {
	r := newRepo(t.TempDir())
	sf := exampleFile("status_data")
	sf.Rows, sf.Cols, sf.GainMode = 2, 3, "g1"
	status := []uint64{0, 1, 0, 1 << 63, 0, 5}
	path, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), Sidecar{Profile: "data", Family: FamilyDark, PlanID: "p"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := "epix100a_0001_20160523104000_xppn4116_r0137_status_data_g1.dat"; filepath.Base(path) != want {
		t.Errorf("name %s, want %s", filepath.Base(path), want)
	}
	read, err := r.ReadStatus(path, []int{2, 3})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(read.Dense(), status) || read.Sidecar == nil || read.Sidecar.BadPixels != 3 || read.Sidecar.PlanID != "p" ||
		read.Sidecar.Number != 137 || !read.Sidecar.Begin.Equal(begin) {
		t.Errorf("read %+v with sidecar %+v", read, read.Sidecar)
	}
	if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), Sidecar{Profile: "data"}, false); err != nil {
		t.Errorf("same profile again: %v", err)
	}
	if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), Sidecar{Profile: "dark"}, false); fault.CodeOf(err) != fault.Usage {
		t.Errorf("other profile: %v", err)
	}
	if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), Sidecar{Profile: "dark"}, true); err != nil {
		t.Errorf("other profile with replace: %v", err)
	}
	os.Remove(sidecarPath(path))
	if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), Sidecar{Profile: "dark"}, false); fault.CodeOf(err) != fault.Usage {
		t.Errorf("file of another program: %v", err)
	}
}

// TestInterruptedPair stops a replacement after each of its writes: the status in place always has its
// own sidecar, and the same write again ends as if nothing had happened.
func TestInterruptedPair(t *testing.T) {
	sf := exampleFile("status_data")
	sf.Rows, sf.Cols = 1, 2
	old, young := Sidecar{Profile: "data", PlanID: "old"}, Sidecar{Profile: "data", PlanID: "young"}
	write := func(r *Repo, status []uint64, sc Sidecar) string {
		path, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(status), sc, false)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	clean := newRepo(t.TempDir())
	want, err := os.ReadFile(sidecarPath(write(clean, []uint64{0, 1}, young)))
	if err != nil {
		t.Fatal(err)
	}
	for stop, plan := range []string{"old", "old", "young"} {
		r := newRepo(t.TempDir())
		path := write(r, []uint64{1, 1}, old)
		before, err := ReadSidecar(path)
		if err != nil {
			t.Fatal(err)
		}
		if stop >= 1 { // the sidecar with both
			var both Sidecar
			if err := json.Unmarshal(want, &both); err != nil {
				t.Fatal(err)
			}
			both.Replaces = before
			if err := r.writeSidecar(path, &both); err != nil {
				t.Fatal(err)
			}
		}
		if stop >= 2 { // the status
			if err := os.WriteFile(path, []byte("0 1\n"), 0o664); err != nil {
				t.Fatal(err)
			}
		}
		read, err := r.ReadStatus(path, nil)
		if err != nil || read.Sidecar.PlanID != plan {
			t.Errorf("stopped after %d writes: %+v, %v, want the sidecar of plan %s", stop, read, err, plan)
		}
		write(r, []uint64{0, 1}, young)
		if got, err := os.ReadFile(sidecarPath(path)); err != nil || string(got) != string(want) {
			t.Errorf("stopped after %d writes and repeated: sidecar\n%s\nwant\n%s", stop, got, want)
		}
	}
}

// TestChangedByHand: a status that is not the sidecar's is not believed.
func TestChangedByHand(t *testing.T) {
	r := newRepo(t.TempDir())
	sf := exampleFile("status_data")
	sf.Rows, sf.Cols = 1, 2
	path, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf([]uint64{0, 1}), Sidecar{Profile: "data"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("0 0\n"), 0o664); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadStatus(path, nil); fault.CodeOf(err) != fault.Input || !strings.Contains(fault.HintOf(err), "by hand") {
		t.Errorf("%v", err)
	}
}

// replace writes a status of one word whose sidecar says the word, too.
func replace(r *Repo, word uint64) (path string, err error) {
	sf := exampleFile("status_data")
	sf.Rows, sf.Cols = 1, 1
	path, _, err = r.WriteStatus(context.Background(), sf, calibtxt.SparseOf([]uint64{word}), Sidecar{Profile: "data", PlanID: fmt.Sprint(word)}, false)
	return path, err
}

// TestKilledWriter kills a process that replaces a status file over and over: what is left is a status
// with its own sidecar.
func TestKilledWriter(t *testing.T) {
	root := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path, err := replace(newRepo(root), 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 25 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), replaceEnv+"="+root)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30*time.Millisecond + time.Duration(rand.IntN(20000))*time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		read, err := newRepo(root).ReadStatus(path, nil)
		if err != nil || read.Sidecar == nil || read.Sidecar.PlanID != fmt.Sprint(read.Dense()[0]) {
			t.Fatalf("after a kill: %+v, %v", read, err)
		}
	}
}

// TestReadersNeverMixPairs replaces a pair over and over while others read it.
func TestReadersNeverMixPairs(t *testing.T) {
	r := newRepo(t.TempDir())
	write := func(v uint64) string {
		path, err := replace(r, v)
		if err != nil {
			t.Error(err)
		}
		return path
	}
	path := write(0)
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for i := range 50 {
				write(uint64(2*i + w))
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				read, err := r.ReadStatus(path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got := fmt.Sprint(read.Dense()[0]); got != read.Sidecar.PlanID {
					t.Errorf("status %s with the sidecar of %s", got, read.Sidecar.PlanID)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// TestAliasProcesses lets 16 processes allocate 20 aliases, all of them the same ones.
func TestAliasProcesses(t *testing.T) {
	root := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), allocateEnv+"="+root)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(filepath.Join(root, "epix10ka", ".aliases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	panels, aliases := map[string]bool{}, map[string]bool{}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, line := range lines {
		f := strings.Split(line, " ")
		aliases[f[0]], panels[f[1]] = true, true
	}
	if len(lines) != 20 || len(panels) != 20 || len(aliases) != 20 || !aliases["0001"] || !aliases["0020"] {
		t.Errorf("%d records, %d panels, %d aliases, want 20 of each:\n%s", len(lines), len(panels), len(aliases), text)
	}
}

func TestAliasCornerCases(t *testing.T) {
	tests := []struct {
		name, text, panel, want, added string
	}{
		{"empty list", "", "id", "0001", "0001 id"},
		{"known, first counts", "0003 id x\n0004 id x\n", "id", "0003", ""},
		{"gaps stay", "0001 a x\n0007 b x\n", "id", "0008", "0008 id"},
		{"two blanks", "0002  id x\n", "id", "0002", ""},
		{"comment", "# people write here\n0002 a x\n", "id", "0003", "0003 id"},
		{"cut record", "0001 a x\n0002 i", "id", "0003", "0003 id"},
		{"five digits", "9999 a x\n", "id", "10000", "10000 id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t.TempDir())
			os.Mkdir(r.TypeDir("t"), 0o775)
			path := filepath.Join(r.TypeDir("t"), ".aliases.txt")
			if err := os.WriteFile(path, []byte(tt.text), 0o664); err != nil {
				t.Fatal(err)
			}
			got, err := r.Alias(t.Context(), "t", tt.panel, AliasRecord{})
			if err != nil || got != tt.want {
				t.Fatalf("alias %q, %v, want %q", got, err, tt.want)
			}
			text, _ := os.ReadFile(path)
			added := strings.TrimPrefix(string(text), tt.text)
			if !strings.HasPrefix(strings.TrimPrefix(added, "\n"), tt.added) || (tt.added == "") != (added == "") {
				t.Errorf("list grew by %q, want %q", added, tt.added)
			}
			if again, _ := r.Alias(t.Context(), "t", tt.panel, AliasRecord{}); again != got {
				t.Errorf("second call gives %q", again)
			}
		})
	}
}

func TestAliasBusy(t *testing.T) {
	r := newRepo(t.TempDir())
	r.LockWait = 10 * time.Millisecond
	if _, err := r.Alias(t.Context(), "t", "a", AliasRecord{}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(r.TypeDir("t"), ".aliases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Alias(t.Context(), "t", "b", AliasRecord{}); fault.CodeOf(err) != fault.Busy {
		t.Errorf("new alias while locked: %v", err)
	}
	if alias, err := r.Alias(t.Context(), "t", "a", AliasRecord{}); alias != "0001" || err != nil {
		t.Errorf("known alias while locked: %q, %v", alias, err)
	}
}

func TestParseName(t *testing.T) {
	const p = "jungfrau_0003_20240102030405_"
	tests := []struct {
		file, ctype string
		want        string // canonical name; empty: not a name
	}{
		{p + "mfxx1_r0051_status_dark_g0.dat", "status_dark", p + "mfxx1_r0051_status_dark_g0.dat"},
		{p + "mfxx1_r0051_status_dark_gm2-FixedGain2.dat", "status_dark", p + "mfxx1_r0051_status_dark_g2.dat"},
		{p + "a_b_r12345_status_max_slice.txt", "status_max", p + "a_b_r12345_status_max_slice.txt"},
		{p + "e_r0001_status_dark_AHL-H_slice.data", "status_dark", p + "e_r0001_status_dark_AHL-H_slice.data"},
		{p + "e_r0001_status_user_0123abcd.dat", "status_user", p + "e_r0001_status_user_0123abcd.dat"},
		{p + "e_r0001_status_user_gm1-FixedGain1_0123abcd.dat", "status_user", p + "e_r0001_status_user_g1_0123abcd.dat"},
		{p + "e_r0001_status_darker.dat", "status_dark", ""},
		{p + "e_r0001_status_dark.json", "status_dark", ""},
		{"jungfrau_0003_2024_e_r0001_status_dark.dat", "status_dark", ""},
		{"notes.txt", "status_dark", ""},
	}
	for _, tt := range tests {
		n, ok := ParseName(tt.file, tt.ctype)
		if got := n.String(); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.file, got, ok, tt.want)
		}
	}
}

func TestChooseTakesTheFileOfTheLatestRunBefore(t *testing.T) {
	r := newRepo(t.TempDir())
	dir := filepath.Join(r.PanelDir("t", "p"), "status_data")
	if err := os.MkdirAll(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"t_0001_20200101000000_e_r0001_status_data.dat",
		"t_0001_20200102000000_e_r0002_status_data_g0.txt",
		"t_0001_20200102000000_e_r0002_status_data_g0.dat",
		"t_0001_20200103000000_e_r0003_status_data.dat",
		"t_0001_20200103000000_e_r0003_status_data_g1.dat",
		"t_0001_20200103000000_e_r0003_status_data_g1_slice.dat",
		"t_0001_20200104000000_e_r0004_status_data_slice.dat",
		"t_0001_20200104000000_e_r0004_status_data.json", ".t.tmp-0", "notes.txt",
		"u_0001_20200101000000_e_r0001_status_data.dat",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o664); err != nil {
			t.Fatal(err)
		}
	}
	files, foreign, err := r.Files("T", "p", "status_data")
	if err != nil || !slices.Equal(foreign, []string{"notes.txt", "u_0001_20200101000000_e_r0001_status_data.dat"}) {
		t.Fatalf("foreign %q, %v", foreign, err)
	}
	tests := []struct{ stamp, gain, want string }{
		{"20191231235959", "", ""},
		{"20200101000000", "", "t_0001_20200101000000_e_r0001_status_data.dat"},
		{"20200102000000", "", "t_0001_20200101000000_e_r0001_status_data.dat"},
		{"20200102000000", "g0", "t_0001_20200102000000_e_r0002_status_data_g0.dat"},
		{"20200102000000", "g1", ""}, // a file without gain mode is of unknown gain
		{"20200103120000", "g0", "t_0001_20200102000000_e_r0002_status_data_g0.dat"},
		{"20200105000000", "g1", "t_0001_20200103000000_e_r0003_status_data_g1.dat"},
		{"20200105000000", "", "t_0001_20200103000000_e_r0003_status_data.dat"},
	}
	for _, tt := range tests {
		at, err := r.ParseStamp(tt.stamp)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Choose(files, Wish{At: at, GainMode: tt.gain})
		if (c.Path != "") != (tt.want != "") || c.Path != "" && c.Name.String() != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.stamp, tt.gain, c.Name, tt.want)
		}
	}
}

// TestTreeOfDarkJobs reads the layout of CALIB_REPO section 9.
func TestTreeOfDarkJobs(t *testing.T) {
	r := NewTree(t.TempDir(), "Jungfrau", &access.Policy{DirMode: 0o2775, FileMode: 0o664}, time.UTC)
	dir := filepath.Join(r.Root, "170505-149520170815", "status")
	if err := os.MkdirAll(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	const p = "jungfrau_0001_20240102030405_mfxx1_r0051_status_"
	for _, name := range []string{p + "gm0-HighGain0.dat", p + "gm0-Normal.dat", p + "gm1-FixedGain1.dat", p + "gm1-ForcedGain1.dat", "other_0001_1_e_r1_status.dat"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("0 1\n"), 0o664); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(r.Root, "170505-149520170815", "status_dark"), 0o775); err != nil {
		t.Fatal(err)
	}
	if alias, err := r.Alias(t.Context(), "jungfrau", "170505-149520170815", AliasRecord{}); alias != "0001" || err != nil {
		t.Fatal(alias, err)
	}
	if _, err := os.Stat(filepath.Join(r.Root, ".aliases_jungfrau.txt")); err != nil {
		t.Error(err)
	}
	types, err := r.StatusTypes("jungfrau", "170505-149520170815")
	if err != nil || !slices.Equal(types, []string{"status"}) {
		t.Errorf("types %q, %v", types, err)
	}
	files, foreign, err := r.Files("jungfrau", "170505-149520170815", "status")
	if err != nil || len(files) != 4 || len(foreign) != 1 {
		t.Fatalf("files %v, foreign %q, %v", files, foreign, err)
	}
	for gain, want := range map[string]string{"g0": "gm0-Normal", "g1": "gm1-ForcedGain1", "g2": ""} {
		if c := r.Choose(files, Wish{GainMode: gain}); (c.Path != "") != (want != "") || c.Path != "" && !strings.HasSuffix(c.Path, want+".dat") {
			t.Errorf("%s: %q, want %q", gain, c.Path, want)
		}
	}
}

func TestPanelDirs(t *testing.T) {
	panel := func(id string, seg, sub int) frame.Panel {
		return frame.Panel{Detector: "XcsEndstation.0:Cspad.0", ID: id, Segment: seg, Sub: sub}
	}
	got := PanelDirs([]frame.Panel{panel("a-1", 0, 0), panel("same", 1, 0), panel("same", 2, 0), panel("", 3, 0), panel("../up", 4, 0),
		panel("", 5, 0), panel("", 5, 1), panel("logs", 6, 0), panel(strings.Repeat("9", 307), 7, 0)})
	seg := "XcsEndstation-0-Cspad-0-seg"
	want := []string{"a-1", seg + "01", seg + "02", seg + "03", seg + "04", seg + "05-00", seg + "05-01", seg + "06", seg + "07"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesFromDataAreChecked(t *testing.T) {
	r := newRepo(t.TempDir())
	spoil := map[string]func(*StatusFile){
		"type":       func(sf *StatusFile) { sf.DetType = "../x" },
		"panel":      func(sf *StatusFile) { sf.Panel = ".." },
		"experiment": func(sf *StatusFile) { sf.Run.Experiment = "a/b" },
		"ctype":      func(sf *StatusFile) { sf.CType = "status data" },
		"gain":       func(sf *StatusFile) { sf.GainMode = "$(x)" },
		"underscore": func(sf *StatusFile) { sf.DetType = "a_b" },
		"long":       func(sf *StatusFile) { sf.Run.Experiment = strings.Repeat("e", 230) },
	}
	for name, f := range spoil {
		sf := exampleFile("status_data")
		sf.Rows, sf.Cols = 1, 1
		f(&sf)
		if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf([]uint64{0}), Sidecar{Profile: "data"}, false); fault.CodeOf(err) != fault.Input {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriteMerged(t *testing.T) {
	example := filepath.Join(testenv.Shared(t), "data", "calib", "repo_example", "epix100a", examplePanel, "status_merged",
		"epix100a_0001_20160523104000_xppn4116_r0137_status_merged.txt")
	want, err := calibtxt.ReadStatusFile(example, []int{704, 768})
	if err != nil {
		t.Fatal(err)
	}
	r := newRepo(t.TempDir())
	h := calibtxt.Header{Time: begin}
	if err := r.WriteMerged(t.Context(), exampleFile("status_merged"), calibtxt.SparseOf(want.Dense()), Sidecar{}, &h); err != nil {
		t.Fatal(err)
	}
	path := h.FileName
	if filepath.Base(path) != filepath.Base(example) {
		t.Errorf("name %s", path)
	}
	got, err := r.ReadStatus(path, []int{704, 768})
	if err != nil || !slices.Equal(got.Dense(), want.Dense()) || got.Sidecar.BadPixels != 56 {
		t.Errorf("read back %v, %v", got.Sidecar, err)
	}
}

func TestAtStart(t *testing.T) {
	r := newRepo(filepath.Join(t.TempDir(), "work", "repo"))
	for range 2 {
		if err := r.AtStart("", "mergedeploy", begin, "log.txt", []string{"mergedeploy", "-D"}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(r.Root, "2016", "2016_lcls1_mergedeploy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) != 3 || lines[0] != "" || !strings.HasPrefix(lines[1], "2016-05-23T10:40:00 user:") ||
		!strings.HasSuffix(lines[2], " logfile:log.txt command:mergedeploy -D") {
		t.Errorf("list of starts %q", b)
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("jungfrau_0003_20240102030405_mfxx1_r0051_status_dark_gm2-FixedGain2.dat", "status_dark")
	f.Add("epix100a_0001_20160523104000_xppn4116_r0137_status_max_slice.txt", "status_max")
	f.Add("__0_r1_.dat", "")
	f.Fuzz(func(t *testing.T, file, ctype string) {
		n, ok := ParseName(file, ctype)
		if !ok {
			return
		}
		again, ok := ParseName(n.String(), ctype)
		again.gainWord, n.gainWord = "", ""
		if n.Run < 1e4 && (!ok || again != n) {
			t.Errorf("%q is %+v, whose name %q is %+v", file, n, n, again)
		}
	})
}

func FuzzFindAlias(f *testing.F) {
	f.Add("0001 a x\n0007 b x\n", "b")
	f.Add("# x\n99999999999999999999 a\n-1 a\n", "a")
	f.Fuzz(func(t *testing.T, text, panel string) {
		if _, last := findAlias(text, panel); last < 0 {
			t.Errorf("largest alias %d", last)
		}
	})
}
