package job

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/simulate"
)

// order is one of a small run, whose parameters are asked for so many times.
func order(t *testing.T, asked *int) Order {
	t.Helper()
	dir, work := t.TempDir(), t.TempDir()
	if _, err := simulate.Write(context.Background(), simulate.Config{Dir: dir, Panels: 4, Rows: 128, Cols: 256, Events: 20, Streams: 1}); err != nil {
		t.Fatal(err)
	}
	return Order{Data: open.Dataset{Dir: dir, Runs: ranges.One(1), Experiment: "tstx00417"}, MaxLost: 1, Tasks: func(bytes int64, units int) int { return units + 1 },
		Params: func(frame.Run, frame.Panel) (plan.Params, error) {
			*asked++
			return plan.Params{Profile: plan.ProfileData, CType: "status_data", Selection: plan.Selection{GateFrames: 50, DataBits: 0x3fff, MaxLost: 1},
				Rules: plan.Rules{LimitsPer: "detector", Limits: "mean", MinFrames: 3}}, nil
		},
		Work: func(frame.Run, string, plan.Params) (string, error) { return work, nil }, Cut: plan.Options{Workers: 1}}
}

// saved makes and stores the job of an order, which counts its questions for parameters.
func saved(t *testing.T, asked *int) (Order, *Job) {
	t.Helper()
	o := order(t, asked)
	j, err := o.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Save(t.Context(), 0o644); err != nil {
		t.Fatal(err)
	}
	return o, j
}

// TestRemakeIsTheSameButForTheHeaders wants a stored job to be made again from its request alone, the same but for the headers.
func TestRemakeIsTheSameButForTheHeaders(t *testing.T) {
	asked := 0
	_, j := saved(t, &asked)
	stored, err := Open(j.Work)
	if err != nil || !reflect.DeepEqual(stored.Request, j.Request) || stored.Plan.ID != j.Plan.ID {
		t.Fatalf("%v: read %+v, wanted %+v", err, stored.Request, j.Request)
	}
	if j.Request.Cut.Tasks != 5 || asked != 1 {
		t.Errorf("%d tasks, %d questions", j.Request.Cut.Tasks, asked)
	}
	again, err := stored.Remake(t.Context(), nil)
	if err != nil || asked != 1 {
		t.Fatalf("%v, %d questions", err, asked)
	}
	if !again.Request.AllHeaders || again.Plan.Input != j.Plan.Input || again.Plan.ID == j.Plan.ID || len(again.Plan.Tasks) != len(j.Plan.Tasks) {
		t.Errorf("made again: %+v, plan %.12s, input %.12s", again.Request, again.Plan.ID, again.Plan.Input)
	}
	if err := again.Save(t.Context(), 0o644); err != nil {
		t.Fatal(err)
	}
	if stored, err = Open(j.Work); err != nil || stored.Plan.ID != again.Plan.ID || !stored.Request.AllHeaders {
		t.Errorf("%v, plan %.12s", err, stored.Plan.ID)
	}
}

// TestWrongPredictionCountsForItsPlanAlone wants the note of a task to count for its own plan alone, and to make later plans read all headers.
func TestWrongPredictionCountsForItsPlanAlone(t *testing.T) {
	asked := 0
	o, j := saved(t, &asked)
	if w, err := Wrong(j.Work, j.Plan); w != nil || err != nil {
		t.Errorf("%+v, %v", w, err)
	}
	if err := plan.SaveWrongPrediction(j.Work, j.Plan, frame.ErrHeading, 0o644); err != nil {
		t.Fatal(err)
	}
	if w, err := Wrong(j.Work, j.Plan); w == nil || err != nil {
		t.Errorf("%+v, %v", w, err)
	}
	again, err := o.Make(t.Context())
	if err != nil || !again.Request.AllHeaders || again.Plan.ID == j.Plan.ID {
		t.Fatalf("%v, %+v", err, again.Request)
	}
	if w, err := Wrong(j.Work, again.Plan); w != nil || err != nil {
		t.Errorf("%+v, %v", w, err)
	}
}

// TestOpenRefuses wants a request that is missing, damaged or of another plan to be named, with what to do.
func TestOpenRefuses(t *testing.T) {
	asked := 0
	j, err := order(t, &asked).Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(j.Work); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no plan: %v", err)
	}
	if err := j.Save(t.Context(), 0o644); err != nil {
		t.Fatal(err)
	}
	path := recordPath(j.Work)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(string(text), j.Plan.ID, strings.Repeat("0", 64))
	for want, content := range map[string]string{"not a request": "{", "schema 0": "{}", "request of plan 000000000000": other, "is not there": ""} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if content == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(j.Work); fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), want) || !strings.Contains(fault.HintOf(err), "rawstatus plan --work") {
			t.Errorf("%s: %v", want, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped"))
	if err := j.Save(ctx, 0o644); err == nil || err.Error() != "stopped" {
		t.Errorf("saved after a signal: %v", err)
	}
}
