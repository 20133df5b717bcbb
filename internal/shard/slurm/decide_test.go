package slurm

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
)

// testCampaign is a campaign of some runs.
func testCampaign(t *testing.T, runs int) *Queue {
	t.Helper()
	var items []Item
	for n := range runs {
		items = append(items, Item{Experiment: "e", Run: n + 1, Detector: "d", Profile: "data"})
	}
	q, err := CreateCampaign(nil, t.TempDir(), "n", items, Request{MaxAttempts: 2}, 5)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestDealLosesNothing deals random campaigns: every task is in exactly one portion, no element is beyond reason.
func TestDealLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		sizes := map[string][]int64{}
		var portions []Portion
		for range r.IntN(30) {
			key := string(rune('a'+len(sizes)%26)) + strings.Repeat("x", len(sizes)/26)
			var tasks []int
			for n := range r.IntN(6) {
				sizes[key] = append(sizes[key], r.Int64N(elementBytes))
				tasks = append(tasks, n)
			}
			portions = append(portions, cut(Portion{Key: key}, tasks, func(n int) int64 { return sizes[key][n] })...)
		}
		budget := r.IntN(12)
		elements, later := deal(portions, budget)
		if len(elements) > budget {
			t.Fatalf("%d elements for a budget of %d", len(elements), budget)
		}
		var got []Portion
		for i, element := range elements {
			var load int64
			for _, p := range element {
				load += p.Bytes
			}
			if len(element) == 0 || len(element) > 1 && load > 2*elementBytes {
				t.Fatalf("element %d has %d portions of %d bytes", i, len(element), load)
			}
			got = append(got, element...)
		}
		got = append(got, later...)
		order := func(a, b Portion) int {
			if a.Key != b.Key {
				return strings.Compare(a.Key, b.Key)
			}
			return slices.Compare(a.Tasks, b.Tasks)
		}
		slices.SortFunc(got, order)
		slices.SortFunc(portions, order)
		if !reflect.DeepEqual(got, portions) && len(portions) > 0 {
			t.Fatalf("dealt %v\nof %v", got, portions)
		}
		if budget > 0 && len(portions) > 0 && len(elements) == 0 {
			t.Fatal("nothing is dealt")
		}
	}
}

// TestSettleDecidesAboutEveryEnd wants the right thing to be done about an item of three tasks, of which 1 and 2 lack partials.
func TestSettleDecidesAboutEveryEnd(t *testing.T) {
	ended := func(s State, exit int) *Element {
		return &Element{State: s, Exit: exit, Node: "n", ReqMemMB: 100, TimeLimit: time.Hour}
	}
	word := func(code int) *Outcome { return &Outcome{Code: code, Error: "why"} }
	of := func(plan string, e *Element, o *Outcome, tasks ...int) *part {
		return &part{attempt: &Attempt{Elements: [][]Portion{}}, handed: &Handed{Part: TasksPart}, id: ElementID{1, 0}, element: e, outcome: o, portion: Portion{Plan: plan, Tasks: tasks, Try: 1}}
	}
	piece := func(e *Element, o *Outcome, tasks ...int) *part { return of("p", e, o, tasks...) }
	lacks, all := []int{1, 2}, []int{0, 1, 2}
	oom := ended(OutOfMemory, 0)
	for name, tt := range map[string]struct {
		parts []*part
		lacks []int
		state string
		todo  []int
		mem   int64
	}{
		"never submitted":              {nil, lacks, Waiting, lacks, 0},
		"all with Slurm":               {[]*part{piece(ended(Pending, 0), nil, all...)}, lacks, Queued, nil, 0},
		"one task with Slurm":          {[]*part{piece(ended(Running, 0), nil, 1)}, lacks, AtWork, []int{2}, 0},
		"out of memory":                {[]*part{piece(oom, nil, all...)}, lacks, Waiting, lacks, 200},
		"user error":                   {[]*part{piece(ended(Failed, 10), word(10), all...)}, lacks, Ended, nil, 0},
		"another item's user error":    {[]*part{piece(ended(Failed, 10), nil, all...)}, lacks, Waiting, lacks, 0},
		"failed for another item":      {[]*part{piece(ended(Failed, 10), word(0), all...)}, lacks, Waiting, lacks, 0},
		"temporary":                    {[]*part{piece(ended(Failed, 75), word(75), all...)}, lacks, Waiting, lacks, 0},
		"cancelled":                    {[]*part{piece(ended(Cancelled, 0), nil, all...)}, lacks, Ended, nil, 0},
		"held":                         {[]*part{piece(ended(RequeueHold, 0), nil, all...)}, lacks, Held, nil, 0},
		"damaged afterwards":           {[]*part{piece(ended(Completed, 0), word(0), all...)}, lacks, Waiting, lacks, 0},
		"reduce found a damaged one":   {[]*part{piece(ended(Failed, 11), word(11), all...)}, lacks, Waiting, lacks, 0},
		"reduce alone is left":         {[]*part{piece(oom, nil, all...)}, nil, Waiting, nil, 200},
		"reduce was refused":           {[]*part{piece(ended(Failed, 2), word(2), all...)}, nil, Ended, nil, 0},
		"the later attempt counts":     {[]*part{piece(oom, nil, 1, 2), piece(ended(NodeFail, 0), nil, 1, 2)}, lacks, Waiting, lacks, 0},
		"the earlier is at work":       {[]*part{piece(ended(Running, 0), nil, 1, 2), piece(ended(Cancelled, 0), nil, 1, 2)}, lacks, AtWork, nil, 0},
		"unknown to Slurm and no word": {[]*part{piece(nil, nil, all...)}, lacks, Waiting, lacks, 0},
		"of an earlier plan":           {[]*part{of("o", ended(Failed, 10), word(10), all...)}, lacks, Waiting, lacks, 0},
	} {
		r := settled(tt.parts, tt.lacks)
		todo, ok := r.todo(4)
		mem := r.Reduce.verdict.Mem
		for _, n := range todo {
			mem = max(mem, r.Tasks[n].verdict.Mem)
		}
		if r.State != tt.state || !slices.Equal(todo, tt.todo) || mem != tt.mem || ok != (tt.state == Waiting || len(tt.todo) > 0) {
			t.Errorf("%s: %s, to do %v (%t), memory %d; want %s, %v, %d", name, r.State, todo, ok, mem, tt.state, tt.todo, tt.mem)
		}
		if (r.State == Ended || r.State == Held) && r.Reason == "" {
			t.Errorf("%s: no reason", name)
		}
	}
	r := settled([]*part{piece(ended(Cancelled, 0), nil, all...)}, lacks)
	(&View{Items: []*Report{r}}).retry()
	if todo, ok := r.todo(1); !ok || !slices.Equal(todo, lacks) {
		t.Errorf("a person asks for another try: %v", todo)
	}
	r = settled([]*part{piece(oom, nil, all...), piece(oom, nil, all...)}, lacks)
	if r.settle(1); r.State != Ended || !strings.Contains(r.Reason, "given up after 1 attempt") {
		t.Errorf("the last try failed: %s, %s", r.State, r.Reason)
	}
}

// TestEndedByAPerson wants a job that a person ended to stop the chain also when its results were written already, until a person asks again.
func TestEndedByAPerson(t *testing.T) {
	cancelled := &Element{State: Cancelled, Node: "n"}
	for _, kind := range []Part{TasksPart, ReducePart} {
		first := &Attempt{Number: 1, Try: 1}
		r := &Report{Counts: map[string]int{}, queue: &Queue{}, view: &View{Attempts: []*Attempt{first}}, Plan: &plan.Plan{Tasks: make([]plan.Task, 1)}, deployID: "0123456789abcdef"}
		parts := []*part{{attempt: first, handed: &Handed{Part: kind}, id: ElementID{1, 0}, element: cancelled}}
		if kind == TasksPart {
			parts[0].portion.Tasks = []int{0}
		}
		r.tasks(parts, nil)
		r.followers(parts)
		if kind == ReducePart {
			if _, err := r.finished(nil); err != nil {
				t.Fatal(err)
			}
		}
		if stops := r.stops(); len(stops) != 1 || !strings.Contains(stops[0], "cancelled") {
			t.Errorf("%s: %q", kind, stops)
		}
		r.view.Attempts = append(r.view.Attempts, &Attempt{Number: 2, Try: 2}, &Attempt{Number: 3, Try: 1, Error: "refused"})
		if stops := r.stops(); len(stops) != 1 {
			t.Errorf("%s, repaired: %q", kind, stops)
		}
		r.view.Attempts = append(r.view.Attempts, &Attempt{Number: 4, Try: 1})
		if stops := r.stops(); len(stops) != 0 {
			t.Errorf("%s, asked again: %q", kind, stops)
		}
	}
}

// settled is the state of an item of a campaign with three tasks, of which some lack partials.
func settled(parts []*part, lacks []int) *Report {
	r := &Report{Counts: map[string]int{}, queue: &Queue{Name: "c"}, view: &View{}, Plan: &plan.Plan{ID: "p", Tasks: make([]plan.Task, 3)}, PlanID: "p"}
	r.history(parts)
	parts = slices.DeleteFunc(parts, func(p *part) bool { return p.portion.Plan != "p" })
	why := map[int]string{}
	for _, n := range lacks {
		why[n] = "no partial"
	}
	r.tasks(parts, why)
	r.followers(parts)
	if _, err := r.finished(fault.New(fault.Incomplete, "not there")); err != nil {
		panic(err)
	}
	r.settle(4)
	return r
}

// TestElementGoesOnAfterAFailure wants one bad run not to take the others of its element with it, and each outcome to be kept.
func TestElementGoesOnAfterAFailure(t *testing.T) {
	c := testCampaign(t, 3)
	w := &Attempt{Schema: recordSchema, Number: 1, Request: c.Request.ID(), Elements: [][]Portion{{}}}
	for _, it := range c.Items {
		w.Elements[0] = append(w.Elements[0], Portion{Key: it.Key(), Tasks: []int{0, 2}})
	}
	if err := WriteRecord(attemptPath(c.Dir, 1), w, true); err != nil {
		t.Fatal(err)
	}
	calls, code := 0, map[int]int{0: 10, 1: 75, 2: 1}
	err := c.Element(t.Context(), 1, 0, Hands{Do: func(_ context.Context, p Piece, tasks []int) error {
		if p.Work != c.Work(c.Items[calls].Key()) || !slices.Equal(tasks, []int{0, 2}) {
			t.Errorf("call %d: %+v, tasks %v", calls, p, tasks)
		}
		if calls++; calls == 3 {
			panic("a defect")
		}
		return fault.New(fault.Code(code[calls-1]), "why")
	}})
	if fault.CodeOf(err) != fault.Temporary || calls != 3 {
		t.Errorf("%v, %d calls", err, calls)
	}
	for i, it := range c.Items {
		o, err := loadOutcome(c.outcomePath(it.Key(), 1, 0))
		if err != nil || o == nil || o.Code != code[i] || o.Begin.IsZero() {
			t.Errorf("item %d: %+v, %v", i, o, err)
		}
	}
	if err := c.Element(t.Context(), 1, 1, Hands{}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("an element that is not: %v", err)
	}
}

// TestPlanAgainWhenOptionsChange wants no result of options that the file no longer has.
func TestPlanAgainWhenOptionsChange(t *testing.T) {
	c := testCampaign(t, 1)
	calls, code := 0, 0
	plan := func(it Item, again bool) {
		t.Helper()
		if err := c.PlanItem(t.Context(), it, again, Hands{Plan: func(context.Context, Item, string) error {
			if calls++; code == 0 {
				return nil
			}
			return fault.New(fault.Code(code), "e")
		}}); err != nil {
			t.Fatal(err)
		}
	}
	it := c.Items[0]
	for _, step := range []struct {
		options []string
		again   bool
		code    int
		want    int
	}{{nil, false, 10, 1}, {nil, false, 0, 2}, {nil, false, 0, 2}, {[]string{"--skip", "1"}, false, 0, 3}, {[]string{"--skip", "1"}, true, 0, 4}, {[]string{"--skip", "2"}, false, 2, 5}} {
		it.Options, code = step.options, step.code
		if plan(it, step.again); calls != step.want {
			t.Errorf("%+v: %d calls", step, calls)
		}
	}
	r := &Report{Item: it, Key: it.Key()}
	if err := c.item(r, nil); err != nil || r.State != Ended || r.Reason != "e" {
		t.Errorf("%v %+v", err, r)
	}
}
