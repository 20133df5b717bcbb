package slurmsim

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/ranges"
)

// errExit is the error of a command that ended with another code than 0.
var errExit = errors.New("exit status 1")

// How long commands take that do not reach the controller.
const (
	noAnswer       = 19 * time.Second
	noAnswerSqueue = 38 * time.Second
)

// command runs a command and returns how long it takes.
func (c *Cluster) command(p *Process, name string, args []string) (stdout, stderr string, took time.Duration, err error) {
	c.Calls[name]++
	took = time.Duration(c.cfg.Rand.Int64N(int64(c.cfg.Latency)))
	lost := 0
	if c.LoseNext != nil {
		lost = c.LoseNext(name, args)
	}
	if p.Apart || name != "sacct" && (c.Down || lost == 1) {
		out, took := away(name, args)
		c.trace("%s: %s does not reach the controller", p.Name, name)
		return "", out, took, errExit
	}
	switch name {
	case "sbatch":
		stdout, stderr, err = c.sbatch(p, args)
	case "squeue":
		stdout, stderr, err = c.squeue(args)
	case "sacct":
		stdout, stderr, err = c.sacct(args)
	case "scancel":
		stdout, stderr, err = c.scancel(p, args)
	case "scontrol":
		stdout, stderr, err = c.scontrol(args)
	default:
		c.wrong(name, args)
		return "", "", 0, errExit
	}
	if name != "squeue" && name != "sacct" {
		c.trace("%s: %s %s: %s%s", p.Name, name, brief(args), strings.TrimSpace(firstOf(stdout)), strings.TrimSpace(stderr))
	}
	if lost == 2 && name != "sacct" {
		c.trace("%s: the answer of %s is lost", p.Name, name)
		return "", name + ": error: Batch job submission failed: Socket timed out on send/recv operation\n", 20 * time.Second, errExit
	}
	return stdout, stderr, took, err
}

// brief leaves out what says little about a call.
func brief(args []string) string {
	dull := []string{"--chdir=", "--output=", "--account=", "--cpus-per-task=", "--parsable", "--kill-on", "--partition="}
	var words []string
	for _, word := range args {
		if strings.HasPrefix(word, "/") {
			break // the script and its arguments
		}
		if !slices.ContainsFunc(dull, func(d string) bool { return strings.HasPrefix(word, d) }) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func firstOf(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// away returns the message of commands when the controller does not answer.
func away(name string, args []string) (string, time.Duration) {
	const why = "Unable to contact slurm controller (connect failure)\n"
	switch {
	case name == "sbatch":
		return "sbatch: error: Batch job submission failed: " + why, noAnswer
	case name == "squeue":
		return "slurm_load_jobs error: " + why, noAnswerSqueue
	case name == "sacct":
		return "sacct: error: Problem talking to the database: Connection refused\n", time.Second
	case name == "scancel":
		return "scancel: error: Kill job error on job id " + last(args) + ": " + why, noAnswer
	case slices.Contains(args, "config"):
		return "slurm_load_ctl_conf error: " + why, noAnswer
	}
	return "Unexpected message received for job " + last(args) + "\n", noAnswer
}

func last(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[len(args)-1]
}

// wrong notes a call that the model does not know; tests fail on it.
func (c *Cluster) wrong(name string, args []string) {
	c.Wrong = append(c.Wrong, name+" "+strings.Join(args, " "))
}

// options are those of sbatch.
type options struct {
	name         string
	script       string
	words        []string
	time         time.Duration
	mem, cpus    int
	exclude      []string
	nodelist     []string
	array        []int
	throttle     int
	isArray      bool
	depends      []dependency
	singleton    bool
	killInvalid  bool
	requeue      bool
	hold         bool
	begin        time.Duration
	signalBefore time.Duration
	exportNone   bool
	comment      string
	log          string
	testOnly     bool
}

type dependency struct {
	kind      string
	id, index int
}

// sbatch submits a job.
func (c *Cluster) sbatch(p *Process, args []string) (string, string, error) {
	refuse := func(why string) (string, string, error) {
		return "", "sbatch: error: Batch job submission failed: " + why + "\n", errExit
	}
	o := options{time: 10 * time.Minute, cpus: 1, mem: 100, requeue: true}
	words := slices.Clone(args)
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		words = words[1:]
	}
	if len(words) == 0 {
		c.wrong("sbatch", args)
		return "", "sbatch: error: no script\n", errExit
	}
	o.script, o.words = words[0], words[1:]
	o.name = filepath.Base(o.script)
	text, err := os.ReadFile(o.script)
	if err != nil {
		return "", "sbatch: error: Unable to open file " + o.script + "\n", errExit
	}
	for line := range strings.Lines(string(text)) {
		if word, ok := strings.CutPrefix(strings.TrimSpace(line), "#SBATCH "); ok && !o.set(c, strings.TrimSpace(word)) {
			c.wrong("#SBATCH", []string{word})
		}
	}
	for _, word := range args[:len(args)-len(words)] {
		if !o.set(c, word) {
			c.wrong("sbatch", []string{word})
		}
	}
	for _, i := range o.array {
		if i >= c.cfg.MaxArraySize {
			return refuse("Invalid job array specification")
		}
	}
	if !slices.ContainsFunc(c.nodes, func(n *node) bool { return c.fits(&o, n) }) {
		return refuse("Requested node configuration is not available")
	}
	if o.testOnly {
		return "", "sbatch: Job 7 to start\n", nil
	}
	if c.active()+max(1, len(o.array)) > c.cfg.MaxJobCount {
		return refuse("Slurm temporarily unable to accept job, sleeping and retrying")
	}
	c.lastJob++
	j := &job{id: c.lastJob, opt: o, script: string(text), env: map[string]string{}, throttle: o.throttle, submit: time.Now()}
	if !o.exportNone {
		for k, v := range p.Env {
			if !strings.HasPrefix(k, "SLURM") {
				j.env[k] = v
			}
		}
	}
	indices := o.array
	if !o.isArray {
		indices = []int{-1}
	}
	for _, i := range indices {
		e := &element{job: j, index: i, state: pending, reason: "None", held: o.hold, queued: j.submit}
		if len(o.depends) > 0 || o.singleton {
			e.reason = "Dependency"
		}
		if o.begin > 0 {
			e.begin, e.reason = time.Now().Add(o.begin), "BeginTime"
		}
		if o.hold {
			e.reason = "JobHeldUser"
		}
		j.elements = append(j.elements, e)
	}
	c.jobs[j.id] = j
	c.order = append(c.order, j.id)
	c.sched = true
	return strconv.Itoa(j.id) + "\n", "", nil
}

// set takes an option of sbatch; false: the model does not know it.
func (o *options) set(c *Cluster, word string) bool {
	key, value, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
	number := func(s string) int {
		n, _ := strconv.Atoi(strings.TrimRight(s, "MG"))
		if strings.HasSuffix(s, "G") {
			n <<= 10
		}
		return n
	}
	switch key {
	case "parsable", "account", "partition", "qos", "reservation", "chdir", "exclusive", "wait", "open-mode", "nice", "mail-type", "wckey":
	case "test-only":
		o.testOnly = true
	case "job-name":
		o.name = value
	case "comment":
		o.comment = value
	case "output":
		o.log = value
	case "time":
		o.time = time.Duration(number(value)) * time.Minute
	case "mem":
		o.mem = number(value)
	case "cpus-per-task":
		o.cpus = number(value)
	case "nodelist":
		o.nodelist = strings.Split(value, ",")
	case "exclude":
		o.exclude = strings.Split(value, ",")
	case "hold":
		o.hold = true
	case "requeue":
		o.requeue = true
	case "no-requeue":
		o.requeue = false
	case "export":
		o.exportNone = value == "NONE" || value == "NIL"
	case "begin":
		n, _ := strconv.Atoi(strings.TrimPrefix(value, "now+"))
		o.begin = time.Duration(n) * time.Second
	case "signal":
		_, seconds, _ := strings.Cut(value, "@")
		n, _ := strconv.Atoi(seconds)
		o.signalBefore = time.Duration(n) * time.Second
	case "kill-on-invalid-dep":
		o.killInvalid = value == "yes"
	case "array":
		return o.setArray(value)
	case "dependency":
		return o.setDependency(value)
	default:
		return false
	}
	return true
}

func (o *options) setArray(spec string) bool {
	o.isArray, o.array, o.throttle = true, nil, 0
	spec, limit, ok := strings.Cut(spec, "%")
	if ok {
		o.throttle, _ = strconv.Atoi(limit)
	}
	list, err := ranges.Parse(spec, 0, math.MaxInt)
	if err != nil || len(list) == 0 {
		return false
	}
	o.array = list.Numbers()
	return true
}

func (o *options) setDependency(spec string) bool {
	o.depends, o.singleton = nil, false
	for part := range strings.SplitSeq(spec, ",") {
		if part == "singleton" {
			o.singleton = true
			continue
		}
		kind, ids, _ := strings.Cut(part, ":")
		if !slices.Contains([]string{"after", "afterok", "afternotok", "afterany", "aftercorr"}, kind) {
			return false
		}
		for id := range strings.SplitSeq(ids, ":") {
			d, ok := parseID(id)
			if !ok {
				return false
			}
			d.kind = kind
			o.depends = append(o.depends, d)
		}
	}
	return true
}

// parseID reads 12 and 12_3.
func parseID(s string) (d dependency, ok bool) {
	first, index, isElement := strings.Cut(s, "_")
	var err error
	if d.id, err = strconv.Atoi(first); err != nil {
		return d, false
	}
	d.index = -1
	if isElement {
		d.index, err = strconv.Atoi(index)
	}
	return d, err == nil
}

// find returns the elements of 12, 12_3 or 12_[1,3-5]; an element's own number finds just it.
func (c *Cluster) find(s string) (found []*element, whole bool, ok bool) {
	first, index, isElement := strings.Cut(s, "_")
	id, err := strconv.Atoi(first)
	if err != nil {
		return nil, false, false
	}
	j := c.jobs[id]
	if j == nil {
		c.each(func(e *element) {
			if e.id == id {
				found = append(found, e)
			}
		})
		return c.known(found), false, true
	}
	if !isElement {
		return c.known(j.elements), j.opt.isArray, true
	}
	var o options
	if !o.setArray(strings.Trim(index, "[]")) {
		return nil, false, false
	}
	for _, e := range j.elements {
		if slices.Contains(o.array, e.index) {
			found = append(found, e)
		}
	}
	return c.known(found), false, true
}

// known leaves out what the controller has forgotten.
func (c *Cluster) known(elements []*element) (known []*element) {
	for _, e := range elements {
		if !c.forgotten(e) {
			known = append(known, e)
		}
	}
	return known
}

func (c *Cluster) forgotten(e *element) bool {
	return e.gone || e.over() && time.Since(e.ended) > c.cfg.MinJobAge
}

// option takes --key=value apart.
func option(word string) (key, value string) {
	key, value, _ = strings.Cut(strings.TrimPrefix(word, "--"), "=")
	return key, value
}

func (c *Cluster) squeue(args []string) (string, string, error) {
	var ids, names, states []string
	format, long := "", ""
	array, all, header := false, false, true
	for _, word := range args {
		switch key, value := option(word); key {
		case "noheader":
			header = false
		case "me":
		case "array":
			array = true
		case "jobs":
			ids = strings.Split(value, ",")
		case "name":
			names = strings.Split(value, ",")
		case "states":
			states, all = strings.Split(value, ","), value == "all"
		case "format":
			format = value
		case "Format":
			long = value
		default:
			c.wrong("squeue", args)
		}
	}
	if header || format == "" && long == "" {
		c.wrong("squeue", args)
	}
	var list []*element
	for _, id := range c.order {
		list = append(list, c.known(c.jobs[id].elements)...)
	}
	if ids != nil {
		var wanted []*element
		any := false
		for _, id := range ids {
			found, _, ok := c.find(id)
			any = any || ok && len(found) > 0
			wanted = append(wanted, found...)
		}
		if !any && len(ids) == 1 {
			return "", "slurm_load_jobs error: Invalid job id specified\n", errExit
		}
		list = slices.DeleteFunc(list, func(e *element) bool { return !slices.Contains(wanted, e) })
	}
	if names != nil {
		list = slices.DeleteFunc(list, func(e *element) bool { return !slices.Contains(names, e.job.opt.name) })
	}
	list = slices.DeleteFunc(list, func(e *element) bool {
		return !all && (states == nil && e.over() || states != nil && !slices.Contains(states, string(e.state)) && !slices.Contains(states, short(e.state)))
	})
	var b strings.Builder
	done := map[int]bool{}
	for _, e := range list {
		if !array && e.state == pending && e.id == 0 && e.index >= 0 {
			if done[e.job.id] {
				continue
			}
			done[e.job.id] = true
		}
		if long != "" {
			for field := range strings.SplitSeq(long, ",") {
				name, suffix, _ := strings.Cut(field, ":")
				b.WriteString(c.field(e, name) + suffix)
			}
		} else {
			b.WriteString(c.percent(e, format))
		}
		b.WriteByte('\n')
	}
	return b.String(), "", nil
}

func short(s state) string {
	return map[state]string{pending: "PD", running: "R", completed: "CD", failed: "F", cancelled: "CA", timeout: "TO", nodeFail: "NF", oom: "OOM"}[s]
}

// moment is how times are printed.
const moment = "2006-01-02T15:04:05"

// field is one column of squeue --Format.
func (c *Cluster) field(e *element, name string) string {
	switch strings.ToLower(name) {
	case "arrayjobid":
		return strconv.Itoa(e.job.id)
	case "arraytaskid":
		if e.index < 0 {
			return "N/A"
		}
		return strconv.Itoa(e.index)
	case "jobid":
		return strconv.Itoa(e.raw())
	case "name":
		return e.job.opt.name
	case "state":
		return string(e.state)
	case "exit_code":
		return strconv.Itoa(e.status.Code<<8 | e.status.Signal)
	case "timeused":
		return clock(e.used())
	case "nodelist":
		return e.nodeName
	case "timelimit":
		return clock(e.job.opt.time)
	case "minmemory":
		return strconv.Itoa(e.job.opt.mem) + "M"
	case "restartcnt":
		return strconv.Itoa(e.restarts)
	case "submittime":
		return e.queued.Format(moment)
	case "reason":
		return e.reason
	case "comment":
		return e.job.opt.comment
	}
	c.wrong("squeue --Format", []string{name})
	return ""
}

// percent fills a squeue --format.
func (c *Cluster) percent(e *element, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch format[i] {
		case 'A':
			b.WriteString(strconv.Itoa(e.raw()))
		case 'F':
			b.WriteString(strconv.Itoa(e.job.id))
		case 'i':
			b.WriteString(e.name())
		case 'T':
			b.WriteString(string(e.state))
		case 't':
			b.WriteString(short(e.state))
		case 'j':
			b.WriteString(e.job.opt.name)
		case 'k':
			b.WriteString(e.job.opt.comment)
		case 'r':
			b.WriteString(e.reason)
		case 'N':
			b.WriteString(e.nodeName)
		case 'K':
			b.WriteString(c.field(e, "ArrayTaskID"))
		default:
			c.wrong("squeue --format", []string{format})
		}
	}
	return b.String()
}

func (e *element) used() time.Duration {
	switch {
	case e.started.IsZero():
		return 0
	case e.over():
		return e.ended.Sub(e.started)
	}
	return time.Since(e.started)
}

// clock writes D-HH:MM:SS, HH:MM:SS or M:SS as squeue does.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s >= 86400:
		return fmt.Sprintf("%d-%02d:%02d:%02d", s/86400, s/3600%24, s/60%60, s%60)
	case s >= 3600:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

func (c *Cluster) sacct(args []string) (string, string, error) {
	if c.cfg.Accounting == AcctOff {
		return "", "Slurm accounting storage is disabled\n", errExit
	}
	if c.AcctDown {
		return "", "sacct: error: Problem talking to the database: Connection refused\n", errExit
	}
	var ids, fields []string
	duplicates, allocations := false, false
	for _, word := range args {
		switch key, value := option(word); key {
		case "noheader", "parsable2", "noconvert":
		case "duplicates":
			duplicates = true
		case "allocations":
			allocations = true
		case "jobs":
			ids = strings.Split(value, ",")
		case "format":
			fields = strings.Split(value, ",")
		default:
			c.wrong("sacct", args)
		}
	}
	var b strings.Builder
	line := func(values map[string]string) {
		for i, f := range fields {
			v, ok := values[f]
			if !ok {
				c.wrong("sacct --format", []string{f})
			}
			if i > 0 {
				b.WriteByte('|')
			}
			b.WriteString(v)
		}
		b.WriteByte('\n')
	}
	for _, id := range ids {
		d, ok := parseID(id)
		j := c.jobs[d.id]
		if !ok || j == nil {
			continue
		}
		if j.opt.isArray {
			c.collapsed(j, line)
		}
		for _, e := range j.elements {
			if d.index >= 0 && d.index != e.index || e.gone {
				continue
			}
			c.rows(e, duplicates, allocations, line)
		}
	}
	return b.String(), "", nil
}

// collapsed is the one row of the elements of an array that have not started.
func (c *Cluster) collapsed(j *job, line func(map[string]string)) {
	var indices []int
	var first *element
	for _, e := range j.elements {
		if e.id == 0 && !e.gone {
			indices = append(indices, e.index)
			if first == nil {
				first = e
			}
		}
	}
	if first == nil || time.Since(j.submit) < c.cfg.AcctLag {
		return
	}
	list := ranges.Of(indices).String()
	if j.throttle > 0 {
		list += "%" + strconv.Itoa(j.throttle)
	}
	text := string(first.state)
	if first.by != "" {
		text += " by " + first.by
	}
	reason := first.reason
	if reason == "DependencyNeverSatisfied" {
		reason = "Dependency"
	}
	line(map[string]string{"JobID": fmt.Sprintf("%d_[%s]", j.id, list), "JobIDRaw": strconv.Itoa(j.id), "JobName": j.opt.name, "State": text, "ExitCode": "0:0", "MaxRSS": "",
		"NodeList": "None assigned", "ElapsedRaw": "0", "TimelimitRaw": minutes(j.opt.time), "ReqMem": strconv.Itoa(j.opt.mem) + "M", "Reason": reason, "Comment": j.opt.comment})
}

// rows are those of an element: one for each start, the last for what it waits for.
func (c *Cluster) rows(e *element, duplicates, allocations bool, line func(map[string]string)) {
	base := func() map[string]string {
		return map[string]string{"JobID": e.name(), "JobIDRaw": strconv.Itoa(e.raw()), "JobName": e.job.opt.name, "ExitCode": "0:0", "MaxRSS": "", "NodeList": "None assigned",
			"ElapsedRaw": "0", "TimelimitRaw": minutes(e.job.opt.time), "ReqMem": strconv.Itoa(e.job.opt.mem) + "M", "Reason": e.reason, "Comment": e.job.opt.comment}
	}
	visible := func(t time.Time) bool { return time.Since(t) >= c.cfg.AcctLag }
	var starts []row
	for _, r := range e.history {
		if !visible(r.visible) {
			continue
		}
		if n := len(starts); n > 0 && starts[n-1].start == r.start {
			starts[n-1] = r
		} else {
			starts = append(starts, r)
		}
	}
	waiting := e.state == pending || e.over() && len(e.history) == 0
	if e.index >= 0 && e.id == 0 {
		return // in the collapsed row
	}
	if !duplicates && len(starts) > 0 {
		starts = starts[len(starts)-1:]
	}
	for _, r := range starts {
		v := base()
		v["State"], v["Reason"] = r.state, r.reason
		v["ExitCode"] = r.status.acct()
		if r.status.Signal == 15 && strings.HasPrefix(r.state, "CANCELLED") || slices.Contains([]string{"TIMEOUT", "REQUEUED", "PREEMPTED", "NODE_FAIL"}, r.state) {
			v["ExitCode"] = "0:0"
		}
		if r.start < 0 {
			line(v)
			continue
		}
		end := r.end
		if end.IsZero() {
			end = time.Now()
		}
		v["NodeList"], v["ElapsedRaw"] = r.node, strconv.Itoa(int(end.Sub(r.begin).Seconds()))
		line(v)
		if allocations {
			continue
		}
		s := base()
		s["JobID"], s["JobIDRaw"] = e.name()+".batch", strconv.Itoa(e.raw())+".batch"
		s["State"], s["NodeList"], s["ElapsedRaw"], s["TimelimitRaw"], s["ReqMem"], s["Reason"] = r.batch, r.node, v["ElapsedRaw"], "", "", ""
		s["ExitCode"] = r.status.acct()
		if r.batch == "OUT_OF_MEMORY" {
			s["ExitCode"] = "0:125"
		}
		if r.rss > 0 {
			s["MaxRSS"] = strconv.FormatInt(r.rss, 10)
		}
		line(s)
	}
	if waiting && visible(e.job.submit) && (len(starts) == 0 || duplicates) {
		v := base()
		v["State"] = string(e.state)
		if e.by != "" {
			v["State"] += " by " + e.by
		}
		line(v)
	}
}

// acct writes a status as sacct does, which takes 128 away from the codes of shells for signals.
func (st Status) acct() string {
	if st.Code > 128 {
		st.Code -= 128
	}
	return fmt.Sprintf("%d:%d", st.Code, st.Signal)
}

func minutes(d time.Duration) string { return strconv.Itoa(int(d / time.Minute)) }

// scancel ends jobs. Ids that it does not know are no error.
func (c *Cluster) scancel(p *Process, args []string) (string, string, error) {
	var ids, names, states []string
	for _, word := range args {
		switch key, value := option(word); {
		case !strings.HasPrefix(word, "-"):
			ids = append(ids, word)
		case key == "quiet", key == "me":
		case key == "name", key == "jobname":
			names = strings.Split(value, ",")
		case key == "state":
			states = strings.Split(value, ",")
		default:
			c.wrong("scancel", args)
		}
	}
	do := func(e *element, whole bool) {
		if names != nil && !slices.Contains(names, e.job.opt.name) || states != nil && !slices.Contains(states, string(e.state)) {
			return
		}
		c.cancelOne(e, whole)
	}
	if ids == nil && names != nil {
		c.each(func(e *element) { do(e, true) })
	}
	for _, id := range ids {
		found, whole, ok := c.find(id)
		if !ok {
			return "", "scancel: error: Invalid job id " + id + "\n", errExit
		}
		for _, e := range found {
			do(e, whole)
		}
	}
	return "", "", nil
}

func (c *Cluster) cancelOne(e *element, whole bool) {
	switch e.state {
	case running:
		e.by = "0"
		e.proc.Terminate()
		c.stop(e, cancelled, Status{0, 15}, "None")
	case pending:
		e.by, e.state, e.ended = "0", cancelled, time.Now()
		c.trace("%s %s is cancelled in the queue", e.name(), e.job.opt.name)
		if e.index >= 0 && e.id == 0 && !whole {
			e.gone = true
		} else if e.index < 0 || e.id != 0 {
			e.account("CANCELLED by 0", e.reason)
		}
		c.finish(e)
	}
}

func (c *Cluster) scontrol(args []string) (string, string, error) {
	switch {
	case slices.Equal(args, []string{"show", "config"}):
		return fmt.Sprintf("Configuration data as of %s\nClusterName             = sim\nMaxArraySize            = %d\nMaxJobCount             = %d\nMinJobAge               = %d sec\nSchedulerParameters     = (null)\n",
			time.Now().Format(moment), c.cfg.MaxArraySize, c.cfg.MaxJobCount, int(c.cfg.MinJobAge.Seconds())), "", nil
	case len(args) >= 2 && slices.Contains([]string{"requeue", "requeuehold", "hold", "release"}, args[0]):
		var errText string
		var err error
		for _, id := range args[1:] {
			if why := c.control(args[0], id); why != "" {
				errText, err = errText+why, errExit
			}
		}
		return "", errText, err
	}
	c.wrong("scontrol", args)
	return "", "", errExit
}

// control does one of scontrol's deeds to a job and returns what is wrong with it.
func (c *Cluster) control(deed, id string) string {
	found, _, ok := c.find(id)
	if !ok || len(found) == 0 {
		return "Invalid job id specified for job " + id + "\n"
	}
	for _, e := range found {
		switch {
		case deed == "release" && e.over():
			return id + ": Job has already finished\n"
		case deed == "release":
			e.held, c.sched = false, true
		case deed == "hold" && e.state == pending:
			e.held, e.reason = true, "JobHeldUser"
		case strings.HasPrefix(deed, "requeue") && e.state != pending:
			c.requeue(e, "REQUEUED", deed == "requeuehold")
		}
	}
	return ""
}
