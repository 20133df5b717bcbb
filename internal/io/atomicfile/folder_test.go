package atomicfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"rawstatus/internal/fault"
)

// TestVisibleWithFinalMode looks at new names all the time: none is ever seen with another mode than its
// final one, so a process that is stopped at any instant locks nobody out.
func TestVisibleWithFinalMode(t *testing.T) {
	withUmask(0o077, func() {
		dir := t.TempDir()
		const n = 200
		var wg sync.WaitGroup
		defer wg.Wait()
		done := make(chan struct{})
		defer close(done)
		for _, kind := range []struct {
			name string
			want fs.FileMode
		}{{"file", 0o664}, {"folder", fs.ModeDir | fs.ModeSetgid | 0o775}} {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					for i := range n {
						if st, err := os.Lstat(filepath.Join(dir, fmt.Sprint(kind.name, i))); err == nil && st.Mode() != kind.want {
							t.Errorf("%s is seen with mode %v, wanted %v", st.Name(), st.Mode(), kind.want)
							return
						}
					}
				}
			})
		}
		for i := range n {
			f, err := Open(filepath.Join(dir, fmt.Sprint("file", i)), os.O_RDWR, Options{Mode: 0o664})
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			if err := MkdirAll(filepath.Join(dir, fmt.Sprint("folder", i)), 0o2775, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestNoSpecialFiles meets what may lie under the name of a list or lock.
func TestNoSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{os.Symlink(target, at("link")), os.Symlink(at("none"), at("dangling")), os.Mkdir(at("folder"), 0o700), syscall.Mkfifo(at("pipe"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"link", "dangling", "folder", "pipe"} {
		if _, err := Open(at(name), os.O_WRONLY|os.O_APPEND, Options{}); fault.CodeOf(err) != fault.Input || fault.HintOf(err) == "" {
			t.Errorf("opened %s: %v", name, err)
		}
		if _, err := ReadFile(at(name)); fault.CodeOf(err) != fault.Input {
			t.Errorf("read %s: %v", name, err)
		}
	}
	if _, err := os.Lstat(at("none")); err == nil {
		t.Error("the target of a link was made")
	}
	if b, err := ReadFile(target); string(b) != "keep" || err != nil {
		t.Errorf("regular file: %q, %v", b, err)
	}
}

// TestLinksOfOtherUsersAreNotFollowed puts links of other users on the way: only those of the folder's owner, of root and of
// this user are followed.
func TestLinksOfOtherUsersAreNotFollowed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make links of other users")
	}
	const other, third = 65533, 65534
	dir := t.TempDir()
	mkdir := func(name string, owner int) string {
		path := filepath.Join(dir, name)
		if err := MkdirAll(path, 0o775, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, owner, -1); err != nil {
			t.Fatal(err)
		}
		return path
	}
	elsewhere := mkdir("elsewhere", 0)
	shared, theirs := mkdir("shared", third), mkdir("theirs", other)
	for _, c := range []struct {
		folder string
		owner  int
		good   bool
	}{{shared, 0, true}, {shared, third, true}, {shared, other, false}, {theirs, other, true}, {theirs, third, false}} {
		for _, target := range []string{elsewhere, "../elsewhere"} {
			link := filepath.Join(c.folder, "link")
			if err := os.Symlink(target, link); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(link, c.owner, -1); err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{
				"write": WriteFile(filepath.Join(link, "file"), Options{}, nil),
				"open":  func() error { _, err := Open(filepath.Join(link, "list"), os.O_RDWR, Options{}); return err }(),
				"mkdir": MkdirAll(filepath.Join(link, "a", "b"), 0o775, nil),
			} {
				if (err == nil) != c.good || err != nil && (fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "symbolic link")) {
					t.Errorf("%s of %d to %s: %s: %v", link, c.owner, target, what, err)
				}
			}
			if entries, err := os.ReadDir(elsewhere); err != nil || !c.good && len(entries) > 0 {
				t.Errorf("%s of %d: written through it: %v, %v", link, c.owner, entries, err)
			}
			for _, path := range []string{link, elsewhere} {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			}
			mkdir("elsewhere", 0)
		}
	}
}

// TestPathsResolveAsTheSystemDoes resolves paths with links, points and circles as the system does.
func TestPathsResolveAsTheSystemDoes(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := MkdirAll("a/b/c", 0o775, nil); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"l": "a/b", "abs": filepath.Join(dir, "a"), "a/up": "..", "chain": "l/../b/c", "loop": "loop", "a/b/slash": "../../a/"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, way := range []string{".", "a", "a/b/c", "l", "l/c", "l/..", "abs/b", "abs/up/l/c", "chain", "./a/../a/./b", "l/slash/b", "..", dir + "/l/c", "/"} {
		want, err := os.Stat(way)
		if err != nil {
			t.Fatal(err)
		}
		got, err := checkWay(way)
		if err != nil || !os.SameFile(got, want) {
			t.Errorf("%s: %v, %v", way, got, err)
		}
	}
	for _, way := range []string{"loop", "none", "a/none", "loop/x"} {
		if _, err := checkWay(way); fault.CodeOf(err) != fault.Input {
			t.Errorf("%s: %v", way, err)
		}
	}
}
