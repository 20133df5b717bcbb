package slurm

import (
	"reflect"
	"testing"
	"time"
)

func TestDiagnoseSaysWhatATaskNeeds(t *testing.T) {
	base := Element{Node: "n1", TimeLimit: time.Hour, ReqMemMB: 1000, Elapsed: time.Minute}
	with := func(change func(*Element)) *Element {
		e := base
		change(&e)
		return &e
	}
	ended := func(s State, exit int) *Element {
		return with(func(e *Element) { e.State, e.Exit = s, exit })
	}
	for name, tt := range map[string]struct {
		e    *Element
		want Verdict // but for the reason
	}{
		"unknown to Slurm":     {nil, Verdict{Action: Retry}},
		"no partial left":      {ended(Completed, 0), Verdict{Action: Retry}},
		"out of memory":        {ended(OutOfMemory, 0), Verdict{Action: Retry, Mem: 2000}},
		"time limit":           {ended(Timeout, 0), Verdict{Action: Retry, Time: 2 * time.Hour}},
		"told to end in time":  {with(func(e *Element) { e.State, e.Exit, e.Elapsed = Failed, 75, 59*time.Minute }), Verdict{Action: Retry, Time: 2 * time.Hour}},
		"ended before start":   {with(func(e *Element) { e.State, e.Signal, e.TimeLimit = Failed, 15, time.Minute }), Verdict{Action: Retry, Time: 2 * time.Minute}},
		"temporary":            {ended(Failed, 75), Verdict{Action: Retry}},
		"user error":           {ended(Failed, 10), Verdict{Action: Stop}},
		"wrong usage":          {ended(Failed, 2), Verdict{Action: Stop}},
		"defect":               {ended(Failed, 1), Verdict{Action: Stop}},
		"killed":               {with(func(e *Element) { e.State, e.Signal = Failed, 9 }), Verdict{Action: Retry}},
		"step out of memory":   {with(func(e *Element) { e.State, e.Signal, e.StepOOM = Failed, 9, true }), Verdict{Action: Retry, Mem: 2000}},
		"step oom, 137":        {with(func(e *Element) { e.State, e.Exit, e.StepOOM = Failed, 137, true }), Verdict{Action: Retry, Mem: 2000}},
		"signal by a shell":    {ended(Failed, 137), Verdict{Action: Retry}},
		"launch failed":        {ended(LaunchFailed, 0), Verdict{Action: Retry}},
		"reconfiguration":      {ended(ReconfigFail, 0), Verdict{Action: Retry}},
		"revoked":              {ended(Revoked, 0), Verdict{Action: Stop}},
		"held":                 {ended(RequeueHold, 0), Verdict{Action: Wait}},
		"no program there":     {ended(Failed, 127), Verdict{Action: Retry, Exclude: []string{"n1"}}},
		"cancelled":            {ended(Cancelled, 0), Verdict{Action: Hold}},
		"a job before failed":  {with(func(e *Element) { e.State, e.Reason = Cancelled, neverSatisfied }), Verdict{Action: Retry}},
		"runs":                 {ended(Running, 0), Verdict{Action: Wait}},
		"waits":                {ended(Pending, 0), Verdict{Action: Wait}},
		"node":                 {with(func(e *Element) { e.State, e.LostNodes = NodeFail, []string{"n1"} }), Verdict{Action: Retry, Exclude: []string{"n1"}}},
		"node before, mem now": {with(func(e *Element) { e.State, e.LostNodes = OutOfMemory, []string{"n7"} }), Verdict{Action: Retry, Mem: 2000, Exclude: []string{"n7"}}},
	} {
		got := Diagnose(tt.e)
		if got.Reason == "" {
			t.Errorf("%s: no reason", name)
		}
		got.Reason = ""
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestEscalateStaysInBounds(t *testing.T) {
	r := Resources{MemMB: 1000, Time: time.Hour, Exclude: []string{"n9"}, CPUs: 4}
	verdicts := []Verdict{{Mem: 2000}, {Time: 2 * time.Hour}, {Exclude: []string{"n1", "n9"}}, {Mem: 500}}
	got := Escalate(r, verdicts, 0, 0)
	want := Resources{MemMB: 2000, Time: 2 * time.Hour, Exclude: []string{"n1", "n9"}, CPUs: 4}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := Escalate(r, verdicts, 1500, 90*time.Minute); got.MemMB != 1500 || got.Time != 90*time.Minute {
		t.Errorf("beyond its bounds: %+v", got)
	}
	if !reflect.DeepEqual(r.Exclude, []string{"n9"}) {
		t.Error("the last attempt's resources changed")
	}
}
