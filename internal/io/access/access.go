package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// Policy says which mode and group new directories and files get. Methods may be called from many
// goroutines; a Policy is not copied after its first use.
type Policy struct {
	DirMode  uint32 // Unix notation, e.g. 0o2775
	FileMode uint32 // e.g. 0o664
	Group    string // empty: leave the group as the system sets it

	once    sync.Once
	gid     *int
	warning string
}

// Gid returns the number of the group, or nil with a warning when this machine does not know the group or
// none is set.
func (p *Policy) Gid() (gid *int, warning string) {
	p.once.Do(func() {
		if p.Group == "" {
			return
		}
		n, err := lookupGroup(p.Group)
		if err != nil {
			p.warning = fmt.Sprintf("group %q does not exist on this machine: files keep the group of who writes them", p.Group)
			return
		}
		p.gid = &n
	})
	return p.gid, p.warning
}

// Warnings returns what could not be followed of the policy.
func (p *Policy) Warnings() []string {
	if _, w := p.Gid(); w != "" {
		return []string{w}
	}
	return nil
}

// lookupGroup asks the system's tables. A static binary sees only /etc/group itself, so groups of a
// directory service are looked up through getent.
func lookupGroup(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(g.Gid)
	}
	out, err := exec.Command("getent", "group", "--", name).Output()
	if err != nil {
		return 0, err
	}
	fields := strings.Split(string(out), ":")
	if len(fields) < 3 {
		return 0, fmt.Errorf("getent answered %q", out)
	}
	return strconv.Atoi(fields[2])
}

// File returns the options by which a new file follows the policy.
func (p *Policy) File() atomicfile.Options {
	gid, _ := p.Gid()
	return atomicfile.Options{Mode: fs.FileMode(p.FileMode), Gid: gid}
}

// MkdirAll makes a directory with its parents; what exists stays as it is.
func (p *Policy) MkdirAll(path string) error {
	gid, _ := p.Gid()
	return atomicfile.MkdirAll(path, p.DirMode, gid)
}

// Open opens a file that lives on in place (a list that is appended to, a lock). A file that this call
// makes follows the policy; an existing one stays as it is. A symbolic link is not followed.
func (p *Policy) Open(path string, flag int) (*os.File, error) {
	return atomicfile.Open(path, flag, p.File())
}

// Trusted refuses a file that somebody other than this user and root may have written: what it says is
// executed. A file that does not exist is no objection.
func Trusted(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("could not see who may write %q: %w", path, err)
	}
	why := ""
	sys, known := st.Sys().(*syscall.Stat_t)
	switch {
	case !st.Mode().IsRegular():
		why = "it is no regular file"
	case st.Mode()&0o022 != 0:
		why = fmt.Sprintf("others may change it (%v)", st.Mode())
	case known && sys.Uid != 0 && sys.Uid != uint32(os.Geteuid()):
		why = fmt.Sprintf("it belongs to user %d", sys.Uid)
	default:
		return nil
	}
	return fault.New(fault.Usage, "%q is not trusted, for it says what is executed: %s", path, why).
		WithHint("submit the work again under your own name, with the command that it was submitted with")
}

// Login is the name of who runs this process.
var Login = sync.OnceValue(func() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	for _, key := range []string{"LOGNAME", "USER"} {
		if name := os.Getenv(key); name != "" {
			return name
		}
	}
	return "uid" + strconv.Itoa(os.Getuid())
})

// WorkDir returns the current directory, for records.
func WorkDir() string {
	if dir, err := os.Getwd(); err == nil {
		return dir
	}
	return "unknown"
}

// Host is the short name of this machine.
var Host = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	name, _, _ = strings.Cut(name, ".")
	return name
})
