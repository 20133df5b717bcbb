package slurm

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
)

// Resources are those that one job asks for. Zero values leave the choice to Slurm.
type Resources struct {
	Account     string        `json:"account,omitempty"`
	Partition   string        `json:"partition,omitempty"`
	QOS         string        `json:"qos,omitempty"`
	Reservation string        `json:"reservation,omitempty"`
	Time        time.Duration `json:"time,omitempty"`
	MemMB       int64         `json:"mem_mb,omitempty"`
	CPUs        int           `json:"cpus,omitempty"`
	Nodes       string        `json:"nodelist,omitempty"`
	Exclusive   bool          `json:"exclusive,omitempty"`
	Exclude     []string      `json:"exclude,omitempty"`
	Extra       []string      `json:"extra,omitempty"` // further sbatch options, word by word
}

// Job is one call of sbatch.
type Job struct {
	Name      string
	Script    string
	Words     []string // arguments of the script
	Resources Resources
	Array     string // as --array; empty for a plain job
	// Job ids: all must have ended well, any may have failed, all must have ended.
	AfterOK, AfterFail, AfterAny []string
	Chdir                        string
	LogDir, Log                  string // as --output; Slurm replaces %A and the like in Log alone
}

// Args returns the words of the sbatch command line, without the command itself.
func (j Job) Args() []string {
	var args []string
	add := func(set bool, format string, value any) {
		if set {
			args = append(args, fmt.Sprintf(format, value))
		}
	}
	r := j.Resources
	add(j.Name != "", "--job-name=%s", j.Name)
	add(j.Chdir != "", "--chdir=%s", j.Chdir)
	add(j.Log != "", "--output=%s", filepath.Join(strings.ReplaceAll(j.LogDir, "%", "%%"), j.Log))
	add(r.Account != "", "--account=%s", r.Account)
	add(r.Partition != "", "--partition=%s", r.Partition)
	add(r.QOS != "", "--qos=%s", r.QOS)
	add(r.Reservation != "", "--reservation=%s", r.Reservation)
	add(r.Time > 0, "--time=%d", int64(math.Ceil(r.Time.Minutes())))
	add(r.MemMB > 0, "--mem=%dM", r.MemMB)
	add(r.CPUs > 0, "--cpus-per-task=%d", r.CPUs)
	add(r.Nodes != "", "--nodelist=%s", r.Nodes)
	if r.Exclusive {
		args = append(args, "--exclusive")
	}
	add(len(r.Exclude) > 0, "--exclude=%s", strings.Join(r.Exclude, ","))
	add(j.Array != "", "--array=%s", j.Array)
	if d := j.dependency(); d != "" {
		args = append(args, "--dependency="+d, "--kill-on-invalid-dep=yes")
	}
	args = append(args, r.Extra...)
	return append(append(args, j.Script), j.Words...)
}

func (j Job) dependency() string {
	var parts []string
	for _, d := range []struct {
		kind string
		ids  []string
	}{{"afterok", j.AfterOK}, {"afternotok", j.AfterFail}, {"afterany", j.AfterAny}} {
		if len(d.ids) > 0 {
			parts = append(parts, d.kind+":"+strings.Join(d.ids, ":"))
		}
	}
	return strings.Join(parts, ",")
}

// Line returns the command as one could type it.
func (j Job) Line() string {
	words := append([]string{"sbatch"}, j.Args()...)
	for i, w := range words {
		words[i] = Quote(w)
	}
	return strings.Join(words, " ")
}

// ParseTime reads a time limit as sbatch does: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
// days-hours:minutes, days-hours:minutes:seconds.
func ParseTime(s string) (time.Duration, error) {
	bad := fault.New(fault.Usage, "time limit %q is not one", s).WithHint("write minutes, HH:MM:SS or D-HH:MM:SS")
	days, rest, hasDays := strings.Cut(s, "-")
	units := []time.Duration{time.Hour, time.Minute, time.Second}
	if !hasDays {
		days, rest = "0", s
		if strings.Count(s, ":") < 2 {
			units = units[1:]
		}
	}
	n, err := strconv.ParseUint(days, 10, 16)
	parts := strings.Split(rest, ":")
	if err != nil || len(parts) > len(units) {
		return 0, bad
	}
	total := time.Duration(n) * 24 * time.Hour
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 20)
		if err != nil {
			return 0, bad
		}
		total += time.Duration(n) * units[i]
	}
	if total <= 0 {
		return 0, bad
	}
	return total, nil
}

// ParseMemory reads an amount of memory as sbatch does, in MB: 4000, 4000M, 8G.
func ParseMemory(s string) (int64, error) {
	mb := parseSize(strings.ToUpper(s), 1<<20) >> 20
	if mb <= 0 {
		return 0, fault.New(fault.Usage, "memory %q is not an amount", s).WithHint("write 4000M or 8G")
	}
	return mb, nil
}

// Quote makes one shell word of a string.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=+:,./@%[]", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// owned are the options of sbatch that carry a job's place in its chain, and those with which sbatch submits no job, or
// one that cannot be followed.
var owned = []string{"array", "dependency", "kill-on-invalid-dep", "output", "parsable", "job-name", "chdir", "wrap", "wait", "test-only", "clusters",
	"help", "usage", "version"}

// ownedLetters are their short forms; plainLetters take no value, so others may follow in the same word.
const (
	ownedLetters = "adoJDWMhV"
	plainLetters = "HIkOQsvX"
)

// CheckExtra refuses further options of sbatch that would take the place of what the engine needs.
func CheckExtra(options []string) error {
	for _, word := range options {
		name, _, _ := strings.Cut(word, "=")
		bad := func(format string, args ...any) *fault.Error {
			return fault.New(fault.Usage, "sbatch option %q: "+format, append([]any{word}, args...)...)
		}
		switch long, isLong := strings.CutPrefix(name, "--"); {
		case isLong && long != "":
			// sbatch takes the beginning of a name for the name.
			i := slices.IndexFunc(owned, func(o string) bool { return strings.HasPrefix(o, long) })
			if i >= 0 {
				return bad("the jobs need --%s themselves", owned[i]).WithHint("leave it out")
			}
		case !isLong && len(word) > 1 && word[0] == '-':
			letters := strings.TrimLeft(word[1:], plainLetters)
			if letters != "" && strings.ContainsRune(ownedLetters, rune(letters[0])) {
				return bad("the jobs need -%c themselves", letters[0]).WithHint("leave it out")
			}
		default:
			return bad("it does not begin with a dash").WithHint("give an option and its value as one word: --sbatch-arg=--name=value")
		}
	}
	return nil
}
