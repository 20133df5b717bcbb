package access

import (
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rawstatus/internal/fault"
)

func TestGroup(t *testing.T) {
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
