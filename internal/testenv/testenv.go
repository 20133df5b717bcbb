package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Lacking skips or fails the test because a thing (shared, numpy, slurm, ...) is absent.
func Lacking(t testing.TB, thing, why string) {
	t.Helper()
	if required(thing) {
		t.Fatalf("%s is required here (RAWSTATUS_TEST_REQUIRE) and absent: %s", thing, why)
	}
	t.Skipf("needs %s: %s", thing, why)
}

func required(thing string) bool {
	return slices.Contains(strings.Split(os.Getenv("RAWSTATUS_TEST_REQUIRE"), ","), thing)
}

// Root returns the module's root directory.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = parent
	}
}

// Shared returns the directory of the shared data set: RAWSTATUS_SHARED, default ../shared beside the
// module.
func Shared(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("RAWSTATUS_SHARED")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "spec")); err != nil {
		Lacking(t, "shared", "no data set at "+dir+" (set RAWSTATUS_SHARED)")
	}
	return dir
}

// Numpy returns a Python interpreter that has numpy.
func Numpy(t testing.TB) string {
	t.Helper()
	return Python(t, "numpy")
}

// Python returns a Python interpreter that has a module (numpy, fabio, h5py): RAWSTATUS_PYTHON, default
// /usr/bin/python3.
func Python(t testing.TB, module string) string {
	t.Helper()
	py := os.Getenv("RAWSTATUS_PYTHON")
	if py == "" {
		py = "/usr/bin/python3"
	}
	if out, err := exec.Command(py, "-c", "import "+module).CombinedOutput(); err != nil {
		Lacking(t, module, py+" cannot import "+module+" (Debian: python3-"+module+"): "+strings.TrimSpace(string(out)))
	}
	return py
}

// maxLink is more than the text of any link of the data set has.
const maxLink = 256

// Tree returns a directory with links to all files below a folder of the shared data set. The data set
// holds symbolic links (a run's files under the names a run has); where a copy of it has turned them
// into small files with the link's text, Tree follows that text.
func Tree(t testing.TB, rel string) string {
	t.Helper()
	from, to := filepath.Join(Shared(t), rel), t.TempDir()
	from, err := filepath.Abs(from)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		return os.Symlink(target(path), filepath.Join(to, name))
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// target returns the file that a link, or the text of what was a link, stands for.
func target(path string) string {
	if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() || st.Size() > maxLink {
		return path
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return path
	}
	real := filepath.Join(filepath.Dir(path), string(text))
	if _, err := os.Stat(real); err != nil {
		return path
	}
	return real
}

// CleanShell takes away the variables of a user's shell that lead to real places: ours, and those of psana and of the
// calibration service. Tests would read and write there. Variables about the tests themselves stay.
func CleanShell() {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		starts := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		about := slices.ContainsFunc([]string{"RAWSTATUS_TEST_", "RAWSTATUS_RANDOM_", "RAWSTATUS_SLURM_DIR", "RAWSTATUS_SHARED", "RAWSTATUS_PYTHON", "RAWSTATUS_CHROMIUM"}, starts)
		if !about && slices.ContainsFunc([]string{"RAWSTATUS_", "SIT_", "LCLS_", "CALIB_"}, starts) {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
}
