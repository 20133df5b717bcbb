package access

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rawstatus/internal/fault"
)

func TestGroupIsFoundOrWarnedAbout(t *testing.T) {
	p := &Policy{Group: "no-such-group"}
	if gid, warning := p.Gid(); gid != nil || !strings.Contains(warning, `"no-such-group"`) || len(p.Warnings()) != 1 {
		t.Errorf("unknown group: %v, %q", gid, warning)
	}
	p = &Policy{}
	if gid, warning := p.Gid(); gid != nil || warning != "" || len(p.Warnings()) != 0 {
		t.Errorf("no group: %v, %q", gid, warning)
	}
	own, err := user.LookupGroupId("0")
	if err != nil {
		t.Skip("this machine has no group 0")
	}
	p = &Policy{Group: own.Name}
	if gid, warning := p.Gid(); gid == nil || *gid != 0 || warning != "" {
		t.Errorf("group %s: %v, %q", own.Name, gid, warning)
	}
}

func TestOpenSetsTheModeOnce(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	p := &Policy{DirMode: 0o2775, FileMode: 0o664}
	path := filepath.Join(t.TempDir(), "list")
	for _, want := range []os.FileMode{0o664, 0o600} {
		f, err := p.Open(path, os.O_RDWR|os.O_APPEND)
		if err != nil {
			t.Fatal(err)
		}
		st, err := f.Stat()
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("mode %v, want %v, %v", st.Mode(), want, err)
		}
		f.Close()
		if err := os.Chmod(path, 0o600); err != nil { // as its owner wishes
			t.Fatal(err)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"XppGon.0:Epix100a.1", "Epix10ka2M::CalibV1", "3926196238-0175152897", "a_b+c=d@e,f"} {
		if err := CheckName("word", good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".x", "-rf", "a/b", "a\\b", "a b", "a\nb", "a\x00b", "$(x)", "a;b", "a*", "é", strings.Repeat("x", MaxName+1)} {
		if err := CheckName("word", bad); fault.CodeOf(err) != fault.Input || len(err.Error()) > 300 {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestFilesThatOthersMayWriteAreNotTrusted refuses what others may have written.
func TestFilesThatOthersMayWriteAreNotTrusted(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "request.json")
	if err := Trusted(file); err != nil {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o755: true, 0o664: false, 0o646: false, 0o666: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if err := Trusted(file); (err == nil) != good || err != nil && fault.CodeOf(err) != fault.Usage {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if Trusted(link) == nil {
		t.Error("a link is trusted")
	}
	if os.Getuid() != 0 {
		return
	}
	if err := errors.Join(os.Chmod(file, 0o600), os.Chown(file, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	if Trusted(file) == nil {
		t.Error("a file of another user is trusted")
	}
}
