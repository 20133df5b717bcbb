package slurm

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
)

// The output of Slurm 22.05 for an array of six: one killed for memory, one that ended with 75, one whose node lost power
// and that runs again.
const sacctOutput = `1_0|5|COMPLETED|0:0||node1|2|10|100M|None
1_0.batch|5.batch|COMPLETED|0:0|5111808|node1|2|||
1_1|6|OUT_OF_MEMORY|0:125||node1|1|10|100M|None
1_1.batch|6.batch|OUT_OF_MEMORY|0:125||node1|1|||
1_2|7|FAILED|75:0||node2|3|10|4.5Gn|None
1_2.batch|7.batch|FAILED|75:0|4496K|node2|3|||
1_3|8|NODE_FAIL|0:0||node2|33|10|100M|None
1_3.batch|8.batch|CANCELLED|||node2|33|||
1_3|8|RUNNING|0:0||node1|21|10|100M|BeginTime
1_4|9|CANCELLED by 0|0:15||None assigned|0|UNLIMITED|100M|a|b
1_[5-30%2]|1|PENDING|0:0||None assigned|0|10|100M|JobArrayTaskLimit
2|2|PENDING|0:0||None assigned|0|10|100M|Dependency
3|3|CANCELLED|0:0||None assigned|0|10|100M|None
`

const squeueOutput = `1|3|8|COMPLETING|0|0:21|node1|10:00|100M|1|2026-01-02T03:04:05|None|
1|5|1|PENDING|0|0:00||1-00:10:00|100M|0|2026-01-02T03:04:05|JobArrayTaskLimit|
1|1|6|OUT_OF_MEMORY|125|0:01|node1|10:00|100M|0|2026-01-02T03:04:05|OutOfMemory|
1|6|11|FAILED|19200|0:05|node3|10:00|100M|2|2026-01-02T03:04:05|NonZeroExitCode|
1|7|12|NODE_FAIL|0|0:33|node4|10:00|100M|0|2026-01-02T03:04:05|NodeDown|
2|N/A|2|PENDING|0|0:00||UNLIMITED|0|0|2026-01-02T03:04:05|Dependency|
`

func TestElementsAreThoseThatSlurmPrints(t *testing.T) {
	es := Elements{}
	if err := es.addSacct(sacctOutput); err != nil {
		t.Fatal(err)
	}
	if err := es.addSqueue(squeueOutput); err != nil {
		t.Fatal(err)
	}
	want := []Element{
		{ElementID: ElementID{1, 0}, Raw: "5", State: Completed, Node: "node1", Elapsed: 2 * time.Second, TimeLimit: 10 * time.Minute, ReqMemMB: 100, MaxRSS: 5111808, Reason: "None"},
		{ElementID: ElementID{1, 1}, Raw: "6", State: OutOfMemory, Signal: 125, Node: "node1", Elapsed: time.Second, TimeLimit: 10 * time.Minute, ReqMemMB: 100, Reason: "OutOfMemory", StepOOM: true},
		{ElementID: ElementID{1, 2}, Raw: "7", State: Failed, Exit: 75, Node: "node2", Elapsed: 3 * time.Second, TimeLimit: 10 * time.Minute, ReqMemMB: 4608, MaxRSS: 4496 << 10, Reason: "None"},
		{ElementID: ElementID{1, 3}, Raw: "8", State: Completing, Node: "node1", Elapsed: 21 * time.Second, TimeLimit: 10 * time.Minute, ReqMemMB: 100, Reason: "None", Restarts: 1, LostNodes: []string{"node2"}},
		{ElementID: ElementID{1, 4}, Raw: "9", State: Cancelled, Signal: 15, ReqMemMB: 100, Reason: "a|b"},
		{ElementID: ElementID{1, 5}, Raw: "1", State: Pending, TimeLimit: 24*time.Hour + 10*time.Minute, ReqMemMB: 100, Reason: "JobArrayTaskLimit"},
		{ElementID: ElementID{1, 6}, Raw: "11", State: Failed, Exit: 75, Node: "node3", Elapsed: 5 * time.Second, TimeLimit: 10 * time.Minute, ReqMemMB: 100, Reason: "NonZeroExitCode", Restarts: 2},
		{ElementID: ElementID{1, 7}, Raw: "12", State: NodeFail, Node: "node4", Elapsed: 33 * time.Second, TimeLimit: 10 * time.Minute, ReqMemMB: 100, Reason: "NodeDown", LostNodes: []string{"node4"}},
		{ElementID: ElementID{1, goneIndex}, State: Cancelled, Reason: "None"},
		{ElementID: ElementID{3, -1}, Raw: "3", State: Cancelled, TimeLimit: 10 * time.Minute, ReqMemMB: 100, Reason: "DependencyNeverSatisfied"},
		{ElementID: ElementID{2, -1}, Raw: "2", State: Pending, TimeLimit: 10 * time.Minute, ReqMemMB: 100, Reason: "Dependency"},
	}
	for _, w := range want {
		got := es[w.ElementID]
		if got != nil {
			if got.seen && got.submitted != time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) {
				t.Errorf("element %v was submitted at %v", w.ElementID, got.submitted)
			}
			got.seen, got.submitted = false, time.Time{}
		}
		if got == nil || !reflect.DeepEqual(*got, w) {
			t.Errorf("element %v:\ngot  %+v\nwant %+v", w.ElementID, got, w)
		}
	}
	if len(es) != len(want) {
		t.Errorf("%d elements, want %d", len(es), len(want))
	}
}

func TestElementsRefuseOtherFormats(t *testing.T) {
	for _, out := range []string{"1_0|5|COMPLETED\n", "x|5|COMPLETED|0:0||n|2|10|100M|None\n", "1_x|5|COMPLETED|0:0||n|2|10|100M|None\n"} {
		if err := (Elements{}).addSacct(out); fault.CodeOf(err) != fault.Slurm {
			t.Errorf("sacct %q: %v", out, err)
		}
	}
	for _, out := range []string{"1|3\n", "x|3|8|RUNNING|0|0:21|n|10:00|1M|0|None|\n", "1|x|8|RUNNING|0|0:21|n|10:00|1M|0|None|\n", "1|3|8||0|0:21|n|10:00|1M|0|None|\n"} {
		if err := (Elements{}).addSqueue(out); fault.CodeOf(err) != fault.Slurm {
			t.Errorf("squeue %q: %v", out, err)
		}
	}
}

func FuzzElements(f *testing.F) {
	f.Add(sacctOutput, squeueOutput)
	f.Fuzz(func(t *testing.T, sacct, squeue string) {
		es := Elements{}
		if es.addSacct(sacct) != nil || es.addSqueue(squeue) != nil {
			return
		}
		for id, e := range es {
			if e.ElementID != id || e.ReqMemMB < 0 || e.MaxRSS < 0 {
				t.Errorf("%v: %+v", id, e)
			}
			if v := Diagnose(e); v.Reason == "" {
				t.Errorf("%+v: no reason", e)
			}
		}
	})
}

func TestLimitsAreReadFromTheConfiguration(t *testing.T) {
	const config = "Configuration data as of 2026-01-01T00:00:00\nClusterName             = ana\nMaxArraySize            = 1001\nMaxJobCount             = 10000\nMinJobAge               = 300 sec\n"
	for _, tt := range []struct {
		text string
		want Limits
		bad  bool
	}{
		{text: config, want: Limits{Cluster: "ana", MaxArraySize: 1001, MaxArrayTask: 1001, MaxJobCount: 10000, MinJobAge: 5 * time.Minute, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{text: config + "SchedulerParameters     = bf_interval=2,max_array_tasks=500\n", want: Limits{Cluster: "ana", MaxArraySize: 1001, MaxArrayTask: 500, MaxJobCount: 10000, MinJobAge: 5 * time.Minute, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{text: strings.Replace(config, "= 1001", "= 0", 1), bad: true},
		{text: strings.Replace(config, "= 10000", "= many", 1), bad: true},
		{text: "", bad: true},
	} {
		got, err := parseLimits(tt.text)
		if tt.bad != (err != nil) || err == nil && got != tt.want {
			t.Errorf("%q: got %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"": 0, "?": 0, "100M": 100 << 20, "4.5G": 9 << 29, "4992K": 4992 << 10, "100Mn": 100 << 20, "2Gc": 2 << 30,
		"7": 7 << 20, "1T": 1 << 40, "x": 0, "-1M": 0, "NaNM": 0, "M": 0} {
		if got := parseSize(in, 1<<20); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"0:05": 5 * time.Second, "10:00": 10 * time.Minute, "1:00:00": time.Hour,
		"2-01:00:00": 49 * time.Hour, "UNLIMITED": 0, "INVALID": 0, "": 0} {
		if got := parseDuration(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
