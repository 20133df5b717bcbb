package slurm

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/ranges"
)

// State is Slurm's word for what became of a job, without what follows it ("CANCELLED by 0").
type State string

// The states that rawstatus distinguishes.
const (
	Pending     State = "PENDING"
	Running     State = "RUNNING"
	Completing  State = "COMPLETING"
	Configuring State = "CONFIGURING"
	Suspended   State = "SUSPENDED"
	Requeued    State = "REQUEUED"
	Completed   State = "COMPLETED"
	Failed      State = "FAILED"
	Cancelled   State = "CANCELLED"
	OutOfMemory State = "OUT_OF_MEMORY"
	NodeFail    State = "NODE_FAIL"
	BootFail    State = "BOOT_FAIL"
	Timeout     State = "TIMEOUT"
	Preempted   State = "PREEMPTED"
	Deadline    State = "DEADLINE"
	// Jobs that Slurm keeps and does not start until a person releases them.
	RequeueHold        State = "REQUEUE_HOLD"
	SpecialExit        State = "SPECIAL_EXIT"
	ReservationDeleted State = "RESV_DEL_HOLD"
	// Ends that are no fault of the job.
	Revoked      State = "REVOKED" // another cluster of the federation has it
	LaunchFailed State = "LAUNCH_FAILED"
	ReconfigFail State = "RECONFIG_FAIL"
	// Lost is ours: accounting has it without an end, and the controller does not know it any more.
	Lost State = "LOST"
	// Unanswered is ours: the controller has forgotten the job, and accounting, which knows how it ended, does not answer now.
	Unanswered State = "UNANSWERED"
)

// Over reports whether a job in this state will not go on by itself.
func (s State) Over() bool {
	switch s {
	case Completed, Failed, Cancelled, OutOfMemory, NodeFail, BootFail, Timeout, Preempted, Deadline, Revoked, LaunchFailed, ReconfigFail, Lost, Unanswered:
		return true
	}
	return false
}

// Held reports whether a job waits for a person to release it.
func (e *Element) Held() bool {
	switch e.State {
	case RequeueHold, SpecialExit, ReservationDeleted:
		return true
	case Pending, Requeued:
		reason := strings.ToLower(e.Reason)
		return strings.Contains(reason, "held") || strings.Contains(reason, "hold")
	}
	return false
}

// neverSatisfied is Slurm's reason for removing a job because one before it failed.
const neverSatisfied = "DependencyNeverSatisfied"

// notYetSatisfied is Slurm's reason for a job that waits for others.
const notYetSatisfied = "Dependency"

// ElementID names one element of an array, or with Index -1 a plain job.
type ElementID struct{ Job, Index int }

// String writes it as Slurm's commands take it.
func (id ElementID) String() string {
	if id.Index < 0 {
		return strconv.Itoa(id.Job)
	}
	return fmt.Sprintf("%d_%d", id.Job, id.Index)
}

// restIndex is the index of the elements of an array that accounting has not one by one: none of them has started.
const restIndex = -2

// goneIndex is the index of the elements of an array that neither knows, while accounting knows others of it. Slurm forgets an
// element at once that was cancelled alone before it started.
const goneIndex = -3

// Element is Slurm's record of one array element or job.
type Element struct {
	ElementID
	Raw       string // Slurm's own job number of the element
	State     State
	Exit      int // exit code of the batch script
	Signal    int // signal that ended it
	Node      string
	Elapsed   time.Duration
	TimeLimit time.Duration
	ReqMemMB  int64
	MaxRSS    int64 // bytes, sampled; counts mapped file pages; 0 when unknown
	Reason    string
	Restarts  int      // how often Slurm started it again
	LostNodes []string // nodes that failed under it
	StepOOM   bool     // one of its steps ran out of memory

	seen bool        // by the controller
	rest ranges.List // the elements that a common record is of; nil: perhaps all
	// submitted is the controller's time of submission, or of the latest requeue; zero when unknown.
	submitted time.Time
}

// Elements is the latest state of every element.
type Elements map[ElementID]*Element

// Of returns what is known about an element, nil if nothing is.
func (es Elements) Of(id ElementID) *Element {
	if e := es[id]; e != nil || id.Index < 0 {
		return e
	}
	if e := es[ElementID{id.Job, restIndex}]; e != nil && (e.rest == nil || e.rest.Has(id.Index)) {
		return e
	}
	return es[ElementID{id.Job, goneIndex}]
}

// known reports whether anything is known about a job.
func (es Elements) known(job int) bool {
	for id := range es {
		if id.Job == job {
			return true
		}
	}
	return false
}

// unanswered adds jobs of which nothing is known.
func (es Elements) unanswered(ids []int) {
	for _, job := range ids {
		if !es.known(job) {
			es.add(ElementID{job, -1}).State = Unanswered
			es.add(ElementID{job, goneIndex}).State = Unanswered
		}
	}
}

// submitted returns when the first of the jobs was submitted, by the controller's clock: as an element says that was never requeued.
// Zero: none does.
func (es Elements) submitted(jobs ...int) (at time.Time) {
	for id, e := range es {
		if slices.Contains(jobs, id.Job) && e.Restarts == 0 && !e.submitted.IsZero() && (at.IsZero() || e.submitted.Before(at)) {
			at = e.submitted
		}
	}
	return at
}

// add adds an element.
func (es Elements) add(id ElementID) *Element {
	es[id] = &Element{ElementID: id, Reason: "None"}
	return es[id]
}

// Live reports whether a job, or an element of it, has not ended.
func (es Elements) Live(job int) bool {
	for _, e := range es {
		if e.Job == job && !e.State.Over() {
			return true
		}
	}
	return false
}

const (
	sacctFormat = "JobID,JobIDRaw,State,ExitCode,MaxRSS,NodeList,ElapsedRaw,TimelimitRaw,ReqMem,Reason"
	// The colon's suffix makes columns as wide as their content.
	squeueFormat = "ArrayJobID:|,ArrayTaskID:|,JobID:|,State:|,exit_code:|,TimeUsed:|,NodeList:|,TimeLimit:|,MinMemory:|,restartcnt:|,SubmitTime:|,Reason:|"
)

func badOutput(command, got, want string) error {
	return fault.New(fault.Slurm, "slurm: %s printed %q, expected %s", command, got, want).
		WithHint("this version of Slurm speaks differently; report it with the output of `sbatch --version`")
}

// addSacct reads sacct's lines. With --duplicates every start of a requeued job has its own, oldest first.
func (es Elements) addSacct(out string) error {
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		f := strings.Split(line, "|")
		if len(f) < 10 {
			return badOutput("sacct", line, "10 fields")
		}
		name, step, isStep := strings.Cut(f[0], ".")
		var rest ranges.List
		if array, list, collapsed := strings.Cut(f[0], "_["); collapsed {
			name, isStep = array+"_"+strconv.Itoa(restIndex), false
			list, _, _ = strings.Cut(strings.TrimSuffix(list, "]"), "%")
			rest, _ = ranges.Parse(list, 0, math.MaxInt32) // Slurm may cut it short: then it is no list
		}
		id, err := parseJobID(name)
		if err != nil {
			return badOutput("sacct", f[0], "a job id")
		}
		if id.Index != -1 {
			es.add(ElementID{id.Job, goneIndex}).State = Cancelled
		}
		e := es[id]
		if isStep {
			if e != nil && step == "batch" {
				e.MaxRSS = max(e.MaxRSS, parseSize(f[4], 1))
			}
			if e != nil && State(f[2]) == OutOfMemory {
				e.StepOOM = true
			}
			continue
		}
		state, _, _ := strings.Cut(f[2], " ")
		if state == "" {
			return badOutput("sacct", line, "a state")
		}
		if e == nil {
			e = &Element{ElementID: id}
			es[id] = e
		} else {
			e.Restarts++
			e.StepOOM = false // that was of the start before
		}
		e.Raw, e.State, e.Node, e.rest = f[1], State(state), nodeName(f[5]), rest
		e.Exit, e.Signal = parseExit(f[3])
		e.Elapsed = time.Duration(atoi(f[6])) * time.Second
		e.TimeLimit = time.Duration(atoi(f[7])) * time.Minute
		e.ReqMemMB = parseSize(f[8], 1<<20) >> 20
		e.Reason = strings.Join(f[9:], "|")
		if f[2] == string(Cancelled) && e.Node == "" { // "CANCELLED by UID" were a person
			e.Reason = neverSatisfied
		}
		if e.lost() {
			e.LostNodes = append(e.LostNodes, e.Node)
		}
	}
	return nil
}

// addSqueue reads squeue's lines. What the controller says is newer than accounting, which may lag by seconds.
func (es Elements) addSqueue(out string) error {
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		f := strings.Split(line, "|")
		if len(f) < 12 {
			return badOutput("squeue", line, "12 fields")
		}
		job, err := strconv.Atoi(f[0])
		if err != nil {
			return badOutput("squeue", line, "a job id first")
		}
		if f[3] == "" {
			return badOutput("squeue", line, "a state")
		}
		id := ElementID{job, -1}
		if f[1] != "N/A" {
			if id.Index, err = strconv.Atoi(f[1]); err != nil {
				return badOutput("squeue", line, "an array index second")
			}
		}
		e := es[id]
		if e == nil {
			e = &Element{ElementID: id}
			es[id] = e
		}
		e.Raw, e.State, e.Reason, e.seen = f[2], State(f[3]), strings.Trim(strings.Join(f[11:], "|"), "|"), true
		e.submitted = parseMoment(f[10])
		e.Restarts = max(e.Restarts, atoi(f[9]))
		if e.State.Over() {
			e.Exit, e.Signal = waitStatus(atoi(f[4]))
		}
		if used := parseDuration(f[5]); used > 0 || !e.State.Over() {
			e.Elapsed = used
		}
		if f[6] != "" {
			e.Node = nodeName(f[6])
		}
		if limit := parseDuration(f[7]); limit > 0 {
			e.TimeLimit = limit
		}
		if mem := parseSize(f[8], 1<<20) >> 20; mem > 0 {
			e.ReqMemMB = mem
		}
		if e.lost() && !slices.Contains(e.LostNodes, e.Node) {
			e.LostNodes = append(e.LostNodes, e.Node)
		}
	}
	// A job that the controller does not know has ended, whatever accounting has missed.
	seen := map[int]bool{}
	for id, e := range es {
		seen[id.Job] = seen[id.Job] || e.seen
	}
	for id, e := range es {
		switch {
		case e.seen || e.State.Over():
		case id.Index == restIndex:
			delete(es, id) // the controller lists them one by one
			if !seen[id.Job] {
				delete(es, ElementID{id.Job, goneIndex}) // or has lost all of them
			}
		default:
			e.State, e.Reason = Lost, "accounting has it as "+string(e.State)
		}
	}
	return nil
}

// lost reports whether the element ended with its node.
func (e *Element) lost() bool { return (e.State == NodeFail || e.State == BootFail) && e.Node != "" }

// waitStatus takes a wait status of the system apart.
func waitStatus(status int) (exit, signal int) { return status >> 8 & 0xff, status & 0x7f }

func parseLimits(out string) (Limits, error) {
	l := Limits{}
	for line := range strings.Lines(out) {
		if at, ok := strings.CutPrefix(line, "Configuration data as of "); ok {
			l.Now = parseMoment(at)
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "ClusterName":
			l.Cluster = value
		case "MaxArraySize":
			l.MaxArraySize = atoi(value)
		case "MaxJobCount":
			l.MaxJobCount = atoi(value)
		case "MinJobAge":
			seconds, _, _ := strings.Cut(value, " ")
			l.MinJobAge = time.Duration(atoi(seconds)) * time.Second
		case "SchedulerParameters":
			for p := range strings.SplitSeq(value, ",") {
				if n, ok := strings.CutPrefix(strings.TrimSpace(p), "max_array_tasks="); ok {
					l.MaxArrayTask = atoi(n)
				}
			}
		}
	}
	if l.MaxArraySize < 2 {
		return l, fault.New(fault.Slurm, "slurm: the controller reports MaxArraySize %d: job arrays are switched off", l.MaxArraySize).
			WithHint("ask the site to allow job arrays, or use `rawstatus run`")
	}
	if l.MaxArrayTask <= 0 || l.MaxArrayTask > l.MaxArraySize {
		l.MaxArrayTask = l.MaxArraySize
	}
	if l.MaxJobCount <= 0 {
		return l, badOutput("scontrol show config", strconv.Itoa(l.MaxJobCount), "a MaxJobCount")
	}
	return l, nil
}

// parseMoment reads a time as Slurm's commands print it: that of the controller's clock, in this host's zone. It is only compared
// with others of its kind. Another text is the zero time.
func parseMoment(s string) time.Time {
	at, err := time.Parse("2006-01-02T15:04:05", strings.TrimSpace(s))
	if err != nil {
		return time.Time{}
	}
	return at
}

// parseJobID reads 12 and 12_3.
func parseJobID(s string) (ElementID, error) {
	jobText, index, isArray := strings.Cut(s, "_")
	job, err := strconv.Atoi(jobText)
	if err != nil || !isArray {
		return ElementID{job, -1}, err
	}
	n, err := strconv.Atoi(index)
	return ElementID{job, n}, err
}

// parseExit reads "code:signal".
func parseExit(s string) (code, signal int) {
	a, b, _ := strings.Cut(s, ":")
	return atoi(a), atoi(b)
}

// parseSize reads 100M, 4.5G, 4992K, 100Mn (older versions: per node) in bytes; a number without a letter counts units.
func parseSize(s string, unit int64) int64 {
	s = strings.TrimRight(s, "nc?")
	if s == "" {
		return 0
	}
	shift := map[byte]int64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}
	if factor, ok := shift[s[len(s)-1]]; ok {
		unit, s = factor, s[:len(s)-1]
	}
	value, err := strconv.ParseFloat(s, 64)
	value *= float64(unit)
	if err != nil || !(value >= 0 && value < 1<<62) {
		return 0
	}
	return int64(value)
}

// parseDuration reads D-HH:MM:SS, HH:MM:SS, MM:SS; other words (UNLIMITED, INVALID) are 0.
func parseDuration(s string) time.Duration {
	days, rest, hasDays := strings.Cut(s, "-")
	if !hasDays {
		days, rest = "0", s
	}
	var seconds int64
	for part := range strings.SplitSeq(rest, ":") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return 0
		}
		seconds = seconds*60 + int64(n)
	}
	return time.Duration(atoi(days))*24*time.Hour + time.Duration(seconds)*time.Second
}

func nodeName(s string) string {
	if s == "None assigned" || s == "(null)" {
		return ""
	}
	return s
}

// atoi returns 0 for words: Slurm writes UNLIMITED, Unknown, N/A and nothing where a number is not known.
func atoi(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0
	}
	return n
}
