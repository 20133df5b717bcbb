package rawrun

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rawstatus/internal/fault"
)

// names lists the files below a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestFilesOfASetAppearTogether(t *testing.T) {
	dir := t.TempDir()
	var s Set
	small, err := s.CreateLast(filepath.Join(dir, "smalldata", "a.smd"))
	if err != nil {
		t.Fatal(err)
	}
	big, err := s.Create(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*Output{big, small} {
		if n, err := f.Write([]byte("12345")); n != 5 || err != nil || f.Size() != 5 {
			t.Fatal(n, err, f.Size())
		}
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a" + inProgress, "smalldata/a.smd" + inProgress}) {
		t.Errorf("finished: %q", got)
	}
	if err := s.Publish(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a", "smalldata/a.smd"}) {
		t.Errorf("published: %q", got)
	}
	if b, err := os.ReadFile(big.Path()); string(b) != "12345" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := s.Create(filepath.Join(dir, "a")); fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
		t.Errorf("a file that exists: %v", err)
	}
	if _, err := s.Create(filepath.Join(dir, "a", "b")); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a file as folder: %v", err)
	}
}

// TestNothingIsLeft aborts, and lets a set fail that cannot be completed or gets no names.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	var s Set
	for _, name := range []string{"a", "b"} {
		f, err := s.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte("x"))
	}
	s.files[1].f.Close() // what is in the buffer cannot be written any more
	if err := s.Finish(); err == nil {
		t.Error("a closed file is complete")
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	var u Set
	if _, err := u.Create(filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, "c"+inProgress))
	if err := u.Publish(); err == nil {
		t.Error("a file that is not there has got its name")
	}
	u.Abort()
}
