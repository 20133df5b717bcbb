package slurmsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rawstatus/internal/testenv"
)

// The formats of our parsers.
const (
	squeueFormat = "ArrayJobID:|,ArrayTaskID:|,JobID:|,State:|,exit_code:|,TimeUsed:|,NodeList:|,TimeLimit:|,MinMemory:|,restartcnt:|,SubmitTime:|,Reason:|"
	sacctFormat  = "JobID,JobIDRaw,State,ExitCode,MaxRSS,NodeList,ElapsedRaw,TimelimitRaw,ReqMem,Reason"
)

// target is a cluster that the suite runs over: the model, or a real one.
type target interface {
	call(name string, args ...string) (stdout, stderr string, ok bool)
	sleep(d time.Duration)
	dir() string
}

// real is the test cluster.
type real struct{ folder string }

func (r *real) call(name string, args ...string) (string, string, bool) {
	cmd := exec.Command(name, args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	ok := cmd.Run() == nil
	return out.String(), err.String(), ok
}
func (r *real) sleep(d time.Duration) { time.Sleep(d) }
func (r *real) dir() string           { return r.folder }

// sim is the model, seen from a process of a person.
type sim struct {
	p      *Process
	folder string
}

func (s *sim) call(name string, args ...string) (string, string, bool) {
	out, errText, err := s.p.Command(context.Background(), name, args...)
	return out, errText, err == nil
}
func (s *sim) sleep(d time.Duration) { _ = s.p.Sleep(context.Background(), d) }
func (s *sim) dir() string           { return s.folder }

// interpret is the body of the suite's scripts in the model: it knows the few lines that they have.
func interpret(p *Process) Status {
	for line := range strings.Lines(p.Script) {
		line = strings.ReplaceAll(strings.TrimSpace(line), "$1", strings.Join(p.Args, " "))
		if cond, rest, ok := strings.Cut(line, " || "); ok { // [ $SLURM_ARRAY_TASK_ID != 1 ] || command
			want := strings.Fields(cond)[3]
			if p.Env["SLURM_ARRAY_TASK_ID"] != want {
				continue
			}
			line = rest
		}
		word, value, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(value)
		switch word {
		case "sleep":
			if !p.Work(time.Duration(n) * time.Second) {
				return Status{0, 15}
			}
		case "exit":
			return Status{n, 0}
		case "kill":
			sig, _ := strconv.Atoi(strings.TrimPrefix(strings.Fields(value)[0], "-"))
			return Status{0, sig}
		}
	}
	return Status{}
}

// suite is one case on one target.
type suite struct {
	target
	t     *testing.T
	names map[string]string // job ids to their names in the case
}

// errStop ends a case.
var errStop = errors.New("stop")

func (s *suite) fatal(format string, args ...any) {
	s.t.Errorf(format, args...)
	panic(errStop)
}

// sbatch submits a script under a name; ids of other jobs in args are written as <name>.
func (s *suite) sbatch(name, body string, args ...string) string {
	path := filepath.Join(s.dir(), name+".sh")
	if err := os.WriteFile(path, []byte("#!/bin/bash\n"+body), 0o755); err != nil {
		s.fatal("%v", err)
	}
	full := append([]string{"--parsable", "--mem=50M", "--output=/dev/null", "--job-name=" + name}, s.with(args)...)
	out, errText, ok := s.call("sbatch", append(full, path)...)
	if !ok {
		return strings.TrimSpace(errText)
	}
	id := strings.TrimSpace(out)
	s.names[id] = name
	return ""
}

// with puts ids in for <names>.
func (s *suite) with(args []string) []string {
	out := slices.Clone(args)
	for id, name := range s.names {
		for i := range out {
			out[i] = strings.ReplaceAll(out[i], "<"+name+">", id)
		}
	}
	return out
}

// ids lists the ids of names.
func (s *suite) ids(names ...string) string {
	var ids []string
	for _, name := range names {
		ids = append(ids, s.with([]string{"<" + name + ">"})[0])
	}
	return strings.Join(ids, ",")
}

// named puts names in for ids in a job id such as 12_3.batch.
func (s *suite) named(id string) string {
	number := regexp.MustCompile(`^\d+`).FindString(id)
	return s.names[number] + strings.TrimPrefix(id, number)
}

// squeue returns name|state|exit code|restarts|reason of jobs, sorted.
func (s *suite) squeue(names ...string) []string {
	out, errText, ok := s.call("squeue", "--noheader", "--array", "--states=all", "--jobs="+s.ids(names...), "--Format="+squeueFormat)
	if !ok {
		return []string{strings.TrimSpace(errText)}
	}
	var lines []string
	for line := range strings.Lines(out) {
		f := strings.Split(line, "|")
		name := s.names[f[0]]
		if f[1] != "N/A" {
			name += "_" + f[1]
		}
		state, reason := f[3], f[11]
		if state == "COMPLETING" { // on the way to what it will be
			state = "..."
		}
		if slices.Contains([]string{"Resources", "Priority"}, reason) {
			reason = "None"
		}
		lines = append(lines, strings.Join([]string{name, state, f[4], f[9], reason}, "|"))
	}
	slices.Sort(lines)
	return lines
}

// sacct returns name|state|exit code|node or none|reason of jobs, sorted.
func (s *suite) sacct(names ...string) []string {
	out, errText, ok := s.call("sacct", "--noheader", "--parsable2", "--duplicates", "--noconvert", "--jobs="+s.ids(names...), "--format="+sacctFormat)
	if !ok {
		return []string{strings.TrimSpace(errText)}
	}
	var lines []string
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "|")
		node, reason := "node", f[9]
		if f[5] == "None assigned" {
			node = "none"
		}
		if slices.Contains([]string{"Resources", "Priority", "JobArrayTaskLimit"}, reason) { // as it was when accounting last heard of it
			reason = "None"
		}
		lines = append(lines, strings.Join([]string{s.named(f[0]), f[2], f[3], node, reason}, "|"))
	}
	slices.Sort(lines)
	return lines
}

// want waits until a question is answered with these lines.
func (s *suite) want(what string, ask func() []string, lines ...string) {
	slices.Sort(lines)
	var got []string
	for range 50 {
		if got = ask(); slices.Equal(got, lines) {
			return
		}
		s.sleep(time.Second)
	}
	s.fatal("%s:\n  %s\nwant:\n  %s", what, strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
}

// says wants an answer at once that contains a text.
func (s *suite) says(what, got, text string) {
	if got != text && (text == "" || !strings.Contains(got, text)) {
		s.fatal("%s: %q, want %q", what, got, text)
	}
}

func (s *suite) queue(names ...string) func() []string {
	return func() []string { return s.squeue(names...) }
}

func (s *suite) acct(names ...string) func() []string {
	return func() []string { return s.sacct(names...) }
}

// cases must end alike in the model and in Slurm.
var cases = map[string]func(s *suite){
	"a chain whose second job fails": func(s *suite) {
		s.sbatch("a", "sleep 1\n", "--array=0-2")
		s.sbatch("b", "exit 3\n", "--dependency=afterok:<a>", "--kill-on-invalid-dep=yes")
		s.sbatch("c", "sleep 1\n", "--dependency=afterok:<b>", "--kill-on-invalid-dep=yes")
		s.sbatch("d", "sleep 1\n", "--dependency=afternotok:<b>", "--kill-on-invalid-dep=yes")
		s.sbatch("e", "sleep 1\n", "--dependency=afterany:<c>:<d>", "--kill-on-invalid-dep=yes")
		s.want("squeue", s.queue("a", "b", "c", "d", "e"), "a_0|COMPLETED|0|0|None", "a_1|COMPLETED|0|0|None", "a_2|COMPLETED|0|0|None", "b|FAILED|768|0|NonZeroExitCode",
			"c|CANCELLED|0|0|DependencyNeverSatisfied", "d|COMPLETED|0|0|None", "e|COMPLETED|0|0|None")
		s.want("sacct", s.acct("a", "b", "c"), "a_0.batch|COMPLETED|0:0|node|", "a_0|COMPLETED|0:0|node|None", "a_1.batch|COMPLETED|0:0|node|", "a_1|COMPLETED|0:0|node|None",
			"a_2.batch|COMPLETED|0:0|node|", "a_2|COMPLETED|0:0|node|None", "b.batch|FAILED|3:0|node|", "b|FAILED|3:0|node|Dependency", "c|CANCELLED|0:0|none|Dependency")
	},
	"an array of which one fails": func(s *suite) {
		s.sbatch("a", "[ $SLURM_ARRAY_TASK_ID != 1 ] || exit 75\nsleep 6\n", "--array=0-2")
		s.sbatch("b", "sleep 1\n", "--dependency=afterok:<a>", "--kill-on-invalid-dep=yes")
		s.want("while others run", s.queue("a", "b"), "a_0|RUNNING|0|0|None", "a_1|FAILED|19200|0|NonZeroExitCode", "a_2|RUNNING|0|0|None", "b|PENDING|0|0|Dependency")
		s.want("afterwards", s.queue("a", "b"), "a_0|COMPLETED|0|0|None", "a_1|FAILED|19200|0|NonZeroExitCode", "a_2|COMPLETED|0|0|None", "b|CANCELLED|0|0|DependencyNeverSatisfied")
	},
	"cancelled in the queue": func(s *suite) {
		s.sbatch("a", "sleep 1\n", "--array=0-3", "--hold")
		s.sbatch("b", "sleep 1\n", "--array=0-3", "--hold")
		s.sbatch("c", "sleep 1\n", "--begin=now+3600")
		s.want("sacct shows them together", s.acct("a", "b", "c"), "a_[0-3]|PENDING|0:0|none|JobHeldUser", "b_[0-3]|PENDING|0:0|none|JobHeldUser", "c|PENDING|0:0|none|BeginTime")
		s.call("scancel", s.ids("a"))
		s.call("scancel", s.ids("b")+"_1")
		s.call("scancel", s.ids("c"))
		s.want("squeue", s.queue("a", "b", "c"), "a_0|CANCELLED|0|0|JobHeldUser", "a_1|CANCELLED|0|0|JobHeldUser", "a_2|CANCELLED|0|0|JobHeldUser", "a_3|CANCELLED|0|0|JobHeldUser",
			"b_0|PENDING|0|0|JobHeldUser", "b_2|PENDING|0|0|JobHeldUser", "b_3|PENDING|0|0|JobHeldUser", "c|CANCELLED|0|0|BeginTime")
		s.call("scancel", s.ids("b"))
		s.want("sacct", s.acct("a", "c"), "a_[0-3]|CANCELLED by 0|0:0|none|JobHeldUser", "c|CANCELLED by 0|0:0|none|BeginTime")
	},
	"cancelled while it runs": func(s *suite) {
		s.sbatch("a", "sleep 60\n", "--array=0-1")
		s.want("they run", s.queue("a"), "a_0|RUNNING|0|0|None", "a_1|RUNNING|0|0|None")
		s.call("scancel", s.ids("a")+"_0")
		s.want("one is cancelled", s.queue("a"), "a_0|CANCELLED|15|0|None", "a_1|RUNNING|0|0|None")
		s.call("scancel", s.ids("a"))
		s.want("both are", s.queue("a"), "a_0|CANCELLED|15|0|None", "a_1|CANCELLED|15|0|None")
		s.want("sacct", s.acct("a"), "a_0.batch|CANCELLED|0:15|node|", "a_0|CANCELLED by 0|0:0|node|None", "a_1.batch|CANCELLED|0:15|node|", "a_1|CANCELLED by 0|0:0|node|None")
	},
	"one element is requeued": func(s *suite) {
		s.sbatch("a", "sleep 6\n", "--array=0-1")
		s.sbatch("b", "sleep 1\n", "--dependency=afterok:<a>", "--kill-on-invalid-dep=yes")
		s.want("they run", s.queue("a", "b"), "a_0|RUNNING|0|0|None", "a_1|RUNNING|0|0|None", "b|PENDING|0|0|Dependency")
		s.call("scontrol", "requeue", s.ids("a")+"_1")
		s.want("it waits", s.queue("a"), "a_0|RUNNING|0|0|None", "a_1|PENDING|0|1|BeginTime")
		s.want("it is done", s.queue("a", "b"), "a_0|COMPLETED|0|0|None", "a_1|COMPLETED|0|1|None", "b|COMPLETED|0|0|None")
		s.want("sacct", s.acct("a"), "a_0.batch|COMPLETED|0:0|node|", "a_0|COMPLETED|0:0|node|None", "a_1.batch|CANCELLED|0:15|node|", "a_1.batch|COMPLETED|0:0|node|",
			"a_1|COMPLETED|0:0|node|BeginTime", "a_1|REQUEUED|0:0|node|None")
	},
	"an array is requeued by its number": func(s *suite) {
		s.sbatch("a", "[ $SLURM_ARRAY_TASK_ID != 1 ] || sleep 8\n", "--array=0-1")
		s.want("one is done", s.queue("a"), "a_0|COMPLETED|0|0|None", "a_1|RUNNING|0|0|None")
		s.call("scontrol", "requeue", s.ids("a"))
		s.want("all of it starts again", s.queue("a"), "a_0|COMPLETED|0|1|None", "a_1|COMPLETED|0|1|None")
	},
	"held after a requeue": func(s *suite) {
		s.sbatch("a", "sleep 5\n")
		s.want("it runs", s.queue("a"), "a|RUNNING|0|0|None")
		s.call("scontrol", "requeuehold", s.ids("a"))
		s.want("it is held", s.queue("a"), "a|PENDING|0|1|job requeued in held state")
		s.call("scontrol", "release", s.ids("a"))
		s.want("it is done", s.queue("a"), "a|COMPLETED|0|1|None")
	},
	"some of an array are released": func(s *suite) {
		s.sbatch("a", "sleep 1\n", "--array=0-2", "--hold")
		s.call("scontrol", "release", s.ids("a")+"_0", s.ids("a")+"_2")
		s.want("squeue", s.queue("a"), "a_0|COMPLETED|0|0|None", "a_1|PENDING|0|0|JobHeldUser", "a_2|COMPLETED|0|0|None")
		_, errText, ok := s.call("scontrol", "release", s.ids("a")+"_1", s.ids("a")+"_2")
		s.says("one is over", fmt.Sprint(strings.TrimSpace(errText), ok), s.ids("a")+"_2: Job has already finished")
		s.want("the other runs", s.queue("a"), "a_0|COMPLETED|0|0|None", "a_1|COMPLETED|0|0|None", "a_2|COMPLETED|0|0|None")
	},
	"killed": func(s *suite) {
		s.sbatch("a", "kill -9 $$\n")
		s.sbatch("b", "kill -15 $$\n")
		s.sbatch("c", "exit 137\n")
		s.want("squeue", s.queue("a", "b", "c"), "a|FAILED|9|0|JobLaunchFailure", "b|FAILED|15|0|JobLaunchFailure", "c|FAILED|35072|0|NonZeroExitCode")
		s.want("sacct", s.acct("a", "b", "c"), "a.batch|CANCELLED|0:9|node|", "a|FAILED|0:9|node|None", "b.batch|CANCELLED|0:15|node|", "b|FAILED|0:15|node|None",
			"c.batch|FAILED|9:0|node|", "c|FAILED|9:0|node|None")
	},
	"a throttle": func(s *suite) {
		s.sbatch("a", "sleep 3\n", "--array=0-2%1")
		s.want("squeue", s.queue("a"), "a_0|RUNNING|0|0|None", "a_1|PENDING|0|0|JobArrayTaskLimit", "a_2|PENDING|0|0|JobArrayTaskLimit")
		s.call("scancel", s.ids("a"))
		s.want("sacct", s.acct("a"), "a_0.batch|CANCELLED|0:15|node|", "a_0|CANCELLED by 0|0:0|node|None", "a_[1-2%1]|CANCELLED by 0|0:0|none|None")
	},
	"other dependencies": func(s *suite) {
		s.sbatch("a", "sleep 3\n", "--array=0-1")
		s.sbatch("b", "sleep 1\n", "--array=0-1", "--dependency=aftercorr:<a>", "--kill-on-invalid-dep=yes")
		s.sbatch("c", "sleep 1\n", "--dependency=afterok:99999", "--kill-on-invalid-dep=yes")
		s.sbatch("d", "sleep 3\n", "--dependency=singleton")
		s.sbatch("e", "sleep 1\n", "--dependency=singleton", "--job-name=d")
		s.sbatch("f", "sleep 1\n", "--dependency=afternotok:<a>", "--kill-on-invalid-dep=yes")
		s.want("squeue", s.queue("a", "b", "c", "d", "e", "f"), "a_0|COMPLETED|0|0|None", "a_1|COMPLETED|0|0|None", "b_0|COMPLETED|0|0|None", "b_1|COMPLETED|0|0|None", "c|COMPLETED|0|0|None",
			"d|COMPLETED|0|0|None", "e|COMPLETED|0|0|None", "f|CANCELLED|0|0|DependencyNeverSatisfied")
	},
	"what is refused or unknown": func(s *suite) {
		s.says("too long an array", s.sbatch("a", "", "--array=0-2000"), "Invalid job array specification")
		s.says("too much memory", s.sbatch("b", "", "--mem=90000M"), "Requested node configuration is not available")
		s.says("all nodes excluded", s.sbatch("c", "", "--exclude=node1,node2,node3,node4"), "Requested node configuration is not available")
		s.names["99999"] = "nobody"
		s.says("squeue of an unknown job", strings.Join(s.squeue("nobody"), "\n"), "Invalid job id specified")
		s.says("sacct of an unknown job", strings.Join(s.sacct("nobody"), "\n"), "")
		s.sbatch("d", "exit 0\n")
		s.want("squeue of a known and an unknown one", s.queue("d", "nobody"), "d|COMPLETED|0|0|None")
		_, errText, ok := s.call("scancel", "99999")
		s.says("scancel of an unknown job", fmt.Sprint(errText, ok), "true")
		_, errText, ok = s.call("scontrol", "requeue", "99999")
		s.says("requeue of an unknown job", fmt.Sprint(strings.TrimSpace(errText), ok), "Invalid job id specified for job 99999")
		_, errText, ok = s.call("sbatch", "--test-only", "--mem=50M", filepath.Join(s.dir(), "d.sh"))
		s.says("a test", fmt.Sprint(errText, ok), "true")
	},
}

// play runs a case on a target.
func play(t *testing.T, on target, do func(s *suite)) {
	defer func() {
		if r := recover(); r != nil && r != errStop {
			panic(r)
		}
	}()
	do(&suite{target: on, t: t, names: map[string]string{}})
}

// TestConformance runs the suite over the model.
func TestConformance(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				c := New(Config{Body: interpret, Trace: func(line string) { t.Log(line) }})
				defer c.Close()
				done := false
				c.Go(&Process{Name: "person", Host: "login", Env: map[string]string{}}, func(p *Process) Status {
					play(t, &sim{p, dir}, cases[name])
					return Status{}
				}, func(Status) { done = true })
				if !c.Run(time.Hour, func() bool { return done }) {
					t.Error("the case does not end")
				}
				for _, w := range c.Wrong {
					t.Errorf("the model does not know: %s", w)
				}
			})
		})
	}
}

// TestSlurmConformance runs the same suite over a real cluster, all cases at a time.
func TestSlurmConformance(t *testing.T) {
	cluster := testenv.Slurm(t)
	var all sync.WaitGroup
	defer all.Wait()
	for name, do := range cases {
		dir := cluster.TempDir(t)
		all.Go(func() {
			t.Run(name, func(t *testing.T) { play(t, &real{dir}, do) })
		})
	}
}
