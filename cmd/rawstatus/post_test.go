package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/elog/elogtest"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/post"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

const operatorPassword = "s3cret!pass"

// logbook starts a logbook for runs 5 and 6 and configures the site for it.
func logbook(t *testing.T) *elogtest.Server {
	t.Helper()
	s, stop := elogtest.New()
	t.Cleanup(stop)
	s.Experiments["tstx00117"] = []int{5, 6}
	s.Users["tstopr"] = operatorPassword
	dir := t.TempDir()
	secret, site := filepath.Join(dir, "forElogPost.txt"), filepath.Join(dir, "site.toml")
	text := fmt.Sprintf("timezone = \"UTC\"\ngroup = \"\"\nwork_root = %q\n[elog]\nurl = %q\nauth = \"basic\"\npassword_file = %q\n", filepath.Join(dir, "work"), s.URL, secret)
	for name, text := range map[string]string{secret: operatorPassword + "\n", site: text} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("RAWSTATUS_SITE", site)
	elogPauses = []time.Duration{time.Millisecond}
	t.Cleanup(func() { elogPauses = nil })
	t.Setenv("ARP_UPDATE_COUNTERS", s.CountersURL())
	return s
}

// siteText returns the site file in force.
func siteText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("RAWSTATUS_SITE"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// darkRun simulates a dark run of three gain modes and returns the words that name it.
func darkRun(t *testing.T, run, dead int) []string {
	t.Helper()
	dir := t.TempDir()
	if _, err := simulate.Write(t.Context(), simulate.Config{Dir: dir, Experiment: "tstx00117", Run: run, Panels: 2, Rows: 32, Cols: 48,
		Events: 60, GainModes: []string{"g0", "g1", "g2"}, Dead: dead, Saturated: 2, Seed: uint64(run),
		Begin: time.Date(2026, 1, run, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	return []string{"--exp", "tstx00117", "--run", fmt.Sprint(run), "--dir", dir, "--profile", "dark"}
}

// TestRunsPostIntoTheirLogbook follows two runs of an experiment into its logbook.
func TestRunsPostIntoTheirLogbook(t *testing.T) {
	s := logbook(t)
	constants, works := t.TempDir(), t.TempDir()
	for i, run := range []int{5, 6} {
		code, stdout, stderr := call(t, append([]string{"run", "--post", "-o", constants, "--work", filepath.Join(works, fmt.Sprint(run))}, darkRun(t, run, 2+4*i)...)...)
		if code != int(fault.OK) || strings.Contains(stdout+stderr, operatorPassword) {
			t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
		}
	}
	if len(s.Entries) != 2 || s.Entries[1].Title != "Detector Bad Pixel Info" || !slices.Equal(s.Entries[1].Tags, []string{"SUMMARY_BAD_PIX"}) || s.Entries[1].Run != 6 {
		t.Fatalf("entries %+v", s.Entries)
	}
	for i, want := range []string{"No earlier run to compare with: -", "Changes are those since run 5 of tstx00117."} {
		if !strings.Contains(s.Entries[i].Content, want) {
			t.Errorf("entry %d lacks %q:\n%s", i, want, s.Entries[i].Content)
		}
	}
	first, second := s.Params["tstx00117/5"], s.Params["tstx00117/6"]
	for name, want := range map[string][2]any{
		"n_new": {"-", nil}, "n_gone": {"-", nil}, "g1_n_new": {"-", nil}, "state": {"done", "done"}, "n_no_data": {0.0, 0.0},
	} {
		got := [2]any{first["Pixel Status/jungfrau_"+name], second["Pixel Status/jungfrau_"+name]}
		if want[1] == nil { // a number
			_, number := got[1].(float64)
			got[1] = nil
			if !number {
				t.Errorf("%s of run 6 is %v", name, second["Pixel Status/jungfrau_"+name])
			}
		}
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	before, after := anyGain(t, filepath.Join(works, "5")), anyGain(t, filepath.Join(works, "6"))
	count := map[string]float64{}
	for i, w := range after {
		for name, hit := range map[string]bool{"total_masked": w != 0, "n_new": w != 0 && before[i] == 0, "n_gone": w == 0 && before[i] != 0,
			"n_rms_low": w&2 != 0, "n_adu_av_low": w&32 != 0, "n_adu_high_frac": w&4 != 0} {
			if hit {
				count[name]++
			}
		}
	}
	if count["n_new"] == 0 || count["n_gone"] == 0 || count["n_adu_high_frac"] == 0 {
		t.Fatalf("the runs do not differ: %v", count)
	}
	for name, n := range count {
		if got := second["Pixel Status/jungfrau_"+name]; got != n {
			t.Errorf("%s = %v, the files have %v", name, got, n)
		}
	}
	if first["rawstatus"] != "done" || second["rawstatus"] != "done" {
		t.Errorf("rawstatus = %v, %v", first["rawstatus"], second["rawstatus"])
	}
	if last := s.Calls[len(s.Calls)-1]; !strings.Contains(last.Body, `"rawstatus"`) {
		t.Errorf("the last call is %+v", last)
	}
	if n := len(s.Counters); n < 2 || !strings.Contains(s.Counters[n-1], "jungfrau run 6: done") {
		t.Errorf("counters %q", s.Counters)
	}
	o, err := post.Load(filepath.Join(works, "6"))
	if err != nil || !o.Complete() {
		t.Fatalf("%+v, %v", o, err)
	}
	calls := len(s.Calls)
	must(t, fault.OK, "post", filepath.Join(works, "6"))
	must(t, fault.OK, "post", "--retry", "--work", works)
	if len(s.Calls) != calls {
		t.Errorf("posted again: %+v", s.Calls[calls:])
	}
}

// anyGain reads the status files of a job and returns the words of all pixels, merged over gain modes.
func anyGain(t *testing.T, work string) []uint64 {
	t.Helper()
	sum, err := reduce.LoadSummary(work)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]uint64, 2*32*48)
	for _, g := range sum.Groups {
		for _, p := range g.Panels {
			r, err := repo.New("/", &access.Policy{}, time.UTC).ReadStatus(p.File, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range r.Dense() {
				all[p.Segment*32*48+i] |= w
			}
		}
	}
	return all
}

// TestNightWithoutLogbookIsPostedLaterOnce: a night without the logbook ends with constants and a spool, which a later call empties, once.
func TestNightWithoutLogbookIsPostedLaterOnce(t *testing.T) {
	s := logbook(t)
	works := t.TempDir()
	unanswered := func(w http.ResponseWriter, r *http.Request, done func()) bool {
		if strings.HasSuffix(r.URL.Path, "new_elog_entry") {
			done()
		}
		panic(http.ErrAbortHandler)
	}
	s.Fault = unanswered
	s.Experiments["tstx00117"] = []int{5}
	dark := darkRun(t, 5, 2)
	code, stdout, stderr := call(t, append([]string{"run", "--post", "-o", t.TempDir(), "--work", filepath.Join(works, "a")}, dark...)...)
	if code != int(fault.OK) || !strings.Contains(stderr, "rawstatus post --retry --work") || !strings.Contains(stderr, "the run table was not posted") || strings.Contains(stdout+stderr, operatorPassword) || strings.Contains(stderr, "5f0ca") {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	must(t, fault.Unposted, "post", "--retry", "--work", works)
	s.Lock()
	s.Fault = func(w http.ResponseWriter, r *http.Request, done func()) bool {
		if strings.HasSuffix(r.URL.Path, "new_elog_entry") {
			done() // the entry is made, the answer is lost
			panic(http.ErrAbortHandler)
		}
		return false
	}
	s.Unlock()
	must(t, fault.Unposted, "post", "--retry", "--work", works)
	s.Lock()
	s.Fault = nil
	s.Unlock()
	if got := must(t, fault.OK, "post", "--retry", "--work", works); got != "1 sent, 0 were complete\n" {
		t.Errorf("%q", got)
	}
	if len(s.Entries) != 1 || s.Params["tstx00117/5"]["rawstatus"] != "done" {
		t.Errorf("%d entries, parameters %v", len(s.Entries), s.Params)
	}
}

// TestAnswersThatSayNoAreErrors: answers that say no, whatever their status.
func TestAnswersThatSayNoAreErrors(t *testing.T) {
	s := logbook(t)
	work := filepath.Join(t.TempDir(), "w")
	must(t, fault.OK, append([]string{"run", "-o", t.TempDir(), "--work", work}, darkRun(t, 5, 2)...)...)
	if len(s.Calls) > 0 {
		t.Fatalf("posted without being asked: %+v", s.Calls)
	}
	shown := must(t, fault.OK, "post", "--dry-run", "--work", work)
	if !strings.Contains(shown, "rawstatus = done") || strings.Contains(shown, operatorPassword) || len(s.Calls) > 0 {
		t.Errorf("dry run: %s", shown)
	}
	s.Experiments["tstx00117"] = []int{6}
	code, _, stderr := call(t, "post", "--work", work)
	if code != int(fault.Unposted) || !strings.Contains(stderr, "hint:") {
		t.Errorf("unknown run: %d %s", code, stderr)
	}
	s.Experiments["tstx00117"], s.Locked["tstx00117"] = []int{5}, true
	if code, _, stderr = call(t, "post", "--work", work); code != int(fault.Unposted) || !strings.Contains(stderr, "locked") {
		t.Errorf("locked: %d %s", code, stderr)
	}
	for _, wrong := range [][]string{
		{"post"}, {"post", "--work", filepath.Join(work, "nothing")}, {"post", "--retry", "--work", filepath.Join(work, "nothing")},
		{"post", "--work", work, "--elog-auth", "oauth"}, {"post", "--work", work, "--elog-url", "pswww"},
	} {
		if code, _, stderr := call(t, wrong...); code == 0 || code == 1 || !strings.Contains(stderr, "hint:") {
			t.Errorf("%v: %d %s", wrong, code, stderr)
		}
	}
}

// TestFailedJobsArePostedAsFailed: a job that fails says so.
func TestFailedJobsArePostedAsFailed(t *testing.T) {
	s := logbook(t)
	dir := t.TempDir()
	if _, err := simulate.Write(t.Context(), simulate.Config{Dir: dir, Experiment: "tstx00117", Run: 5, Panels: 1, Rows: 16, Cols: 16, Events: 60,
		GainModes: []string{"g0", "g1"}}); err != nil {
		t.Fatal(err)
	}
	data := []string{"--exp", "tstx00117", "--run", "5", "--dir", dir}
	constants := t.TempDir()
	must(t, fault.OK, append([]string{"run", "--profile", "dark", "-C", "status_data", "-o", constants}, data...)...)
	// Another profile has written this type: reduce refuses to replace it.
	code, _, stderr := call(t, append([]string{"run", "--post", "--profile", "data", "--step", "0", "-C", "status_data", "-o", constants}, data...)...)
	if code == int(fault.OK) {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if len(s.Entries) != 1 || !strings.Contains(s.Entries[0].Content, "failed") || s.Params["tstx00117/5"]["rawstatus"] != "failed" {
		t.Errorf("entries %+v, parameters %v", s.Entries, s.Params)
	}
}

// TestOutcomeIsKept: the outcome is in the work directory of every job, and is not sent before somebody asks.
func TestOutcomeIsKept(t *testing.T) {
	s := logbook(t)
	works := t.TempDir()
	work := filepath.Join(works, "w")
	constants, dark := t.TempDir(), darkRun(t, 5, 2)
	must(t, fault.OK, append([]string{"run", "-o", constants, "--work", work}, dark...)...)
	o, err := post.Load(work)
	if err != nil || o == nil || !o.Unasked || o.State != post.Done || o.Params["Pixel Status/jungfrau_state"] != "done" {
		t.Fatalf("%+v, %v", o, err)
	}
	if got := must(t, fault.OK, "post", "--retry", "--work", works); got != "0 sent, 1 were complete\n" || len(s.Calls) > 0 {
		t.Fatalf("%q, %d calls", got, len(s.Calls))
	}
	s.Experiments["tstx00117"] = []int{6}
	must(t, fault.Unposted, "post", "--work", work)
	s.Experiments["tstx00117"] = []int{5}
	// Another result takes the place of one that somebody waits for: it is sent in its stead.
	must(t, fault.OK, "reduce", "--work", work, "-o", constants, "--set", "rms_hi=2")
	if got := must(t, fault.OK, "post", "--retry", "--work", works); got != "1 sent, 0 were complete\n" || len(s.Entries) != 1 {
		t.Fatalf("%q, %d entries", got, len(s.Entries))
	}
}

// TestReportTooLarge wants a smaller page in the place of one that the logbook does not take.
func TestReportTooLarge(t *testing.T) {
	s := logbook(t)
	work := filepath.Join(t.TempDir(), "w")
	must(t, fault.OK, append([]string{"run", "--report", "--work", work, "-o", t.TempDir()}, darkRun(t, 5, 2)...)...)
	whole := read(t, filepath.Join(work, "report.html"))
	limit := func(most int) {
		t.Helper()
		site := os.Getenv("RAWSTATUS_SITE")
		text := siteText(t)
		text, _, _ = strings.Cut(text, "attach_max")
		if err := os.WriteFile(site, fmt.Appendf([]byte(text), "attach_max = %d\n", most), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	limit(len(whole) - 1)
	must(t, fault.OK, "post", "--work", work)
	e := s.Entries[0]
	if len(e.Files) != 1 || len(e.Files["report.html"]) == 0 || len(e.Files["report.html"]) >= len(whole) || !strings.Contains(e.Content, filepath.Join(work, "report.html")) {
		t.Errorf("%d files in the entry\n%s", len(e.Files), e.Content)
	}
	limit(100)
	must(t, fault.OK, "post", "--work", work)
	if e := s.Entries[1]; len(e.Files) != 0 || !strings.Contains(e.Content, "attach_max is 100") {
		t.Errorf("%d files in the entry\n%s", len(e.Files), e.Content)
	}
}

// TestJobsPostProgressAndFailures: jobs post progress to the table that the submission knew, although their environment lacks it, and an item of a
// campaign that has failed is posted, once.
func TestJobsPostProgressAndFailures(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for jobs")
	}
	s := logbook(t)
	site := os.Getenv("RAWSTATUS_SITE")
	text := siteText(t) + "[slurm]\nprolog = [\"unset ARP_UPDATE_COUNTERS\"]\n"
	if err := os.WriteFile(site, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bin, dir := programs(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "jobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	call := func(want fault.Code, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, "rawstatus"), args...)
		cmd.Env = append(os.Environ(), "STAND_IN="+filepath.Join(dir, "jobs"), "PATH="+bin+":"+filepath.Join(testenv.Root(t), "docs", "testdata", "slurm")+":"+os.Getenv("PATH"))
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != int(want) {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	dark := darkRun(t, 5, 2)
	call(fault.OK, append([]string{"submit", "--post", "--settle", "0s", "-o", "one", "--work", "work", "--wait"}, dark...)...)
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		s.Lock()
		shown, state := strings.Join(s.Counters, "\n"), s.Params["tstx00117/5"]["rawstatus"]
		s.Unlock()
		if state == "done" && strings.Contains(shown, "run 5: done") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("rawstatus = %v, counters %s", state, shown)
		}
	}
	file := filepath.Join(dir, "night.toml")
	night := fmt.Sprintf("name = \"night\"\n[[entry]]\nexp = \"tstx00117\"\ndir = %q\nruns = \"5-6\"\ndetectors = [\"jungfrau\"]\nprofiles = [\"dark\"]\n", dark[5])
	if err := os.WriteFile(file, []byte(night), 0o644); err != nil {
		t.Fatal(err)
	}
	call(fault.Incomplete, "campaign", "--work", "night", "-o", "all", "--post", file)
	call(fault.Incomplete, "campaign", "--work", "night")
	s.Lock()
	defer s.Unlock()
	failed := 0
	for _, e := range s.Entries {
		if e.Run == 6 && strings.Contains(e.Content, "failed") {
			failed++
		}
	}
	if failed != 1 || s.Params["tstx00117/6"]["rawstatus"] != "failed" || len(s.Entries) != 3 {
		t.Errorf("%d entries about the failed item, rawstatus = %v, %d entries", failed, s.Params["tstx00117/6"]["rawstatus"], len(s.Entries))
	}
}

// TestAutomaticRunProcessorScriptSubmitsItsRun wants the script of the automatic run processor to submit the run that it is started for.
func TestAutomaticRunProcessorScriptSubmitsItsRun(t *testing.T) {
	script := filepath.Join(testenv.Root(t), "jobs", "arp", "rawstatus-arp.sh")
	cmd := exec.Command("bash", script, "--det", "jungfrau", "--deploy")
	cmd.Env = append(os.Environ(), "RAWSTATUS_BIN=/bin/echo", "EXPERIMENT=tstx00117", "RUN_NUM=5")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "submit --exp tstx00117 --run 5 --post --det jungfrau --deploy\n" {
		t.Errorf("%v %q", err, out)
	}
	cmd = exec.Command("bash", script)
	cmd.Env = []string{"RAWSTATUS_BIN=/bin/echo", "PATH=" + os.Getenv("PATH")}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "EXPERIMENT") {
		t.Errorf("without a run: %v %q", err, out)
	}
}

// TestSlurmPost wants the last job to post when all others are over: what was found, or that the job has failed.
func TestSlurmPost(t *testing.T) {
	n := newNight(t)
	s := logbook(t) // its variables are for this process only: the jobs of a night have the site of their folder
	s.Experiments[nightExperiment] = []int{3}
	configure := func(j *nightJob) {
		site := filepath.Join(j.dir, "site.toml")
		text, err := os.ReadFile(site)
		if err != nil {
			t.Fatal(err)
		}
		secret := filepath.Join(j.dir, "secret")
		text = fmt.Appendf(text, "[elog]\nurl = %q\nauth = \"basic\"\npassword_file = %q\n", s.URL, secret)
		if err := os.WriteFile(site, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(secret, []byte(operatorPassword), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	posted := func(state string, entries int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
			s.Lock()
			got, have := s.Params[nightExperiment+"/3"]["rawstatus"], len(s.Entries)
			s.Unlock()
			if got == state && have == entries {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("rawstatus = %v, %d entries, wanted %s, %d", got, have, state, entries)
			}
		}
	}
	good := n.job(t, nil)
	configure(good)
	good.submit(t, fault.OK, "--post")
	good.watch(t, fault.OK)
	posted(post.Done, 1)
	bad := n.job(t, []string{`case "$SLURM_JOB_NAME" in *reduce*) exit 10;; esac`})
	configure(bad)
	bad.submit(t, fault.OK, "--post")
	bad.watch(t, fault.Incomplete)
	posted(post.Failed, 2)
	s.Lock()
	defer s.Unlock()
	if len(s.Counters) != 4 { // submitted and over, of each
		t.Errorf("%d posts of counters from two submissions of %d tasks", len(s.Counters), nightPanels)
	}
}
