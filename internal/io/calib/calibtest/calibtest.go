package calibtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
)

// Opener makes a fresh, empty destination and returns a function that opens it, once more each time.
type Opener func(t *testing.T) (open func() calib.Destination)

// Array makes an array of one bad word among good ones; different words give different arrays.
func Array(word uint64) *calib.Array {
	return &calib.Array{Shape: []int{3, 1, 4, 5}, Words: calibtxt.SparseOf(append(make([]uint64, 59), word))}
}

// Content makes what is deployed of an array.
func Content(a *calib.Array) calib.Content {
	var b bytes.Buffer
	if err := calibtxt.WriteArray(&b, calibtxt.Header{Shape: a.Shape}, a.Words); err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return calib.Content{Path: "/repo/merged.txt", SHA256: hex.EncodeToString(sum[:]), Array: a,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }}
}

// Record makes a record to deploy an array with.
func Record(r calib.Range, run int, word uint64) calib.Record {
	a := Array(word)
	return calib.Record{Action: calib.ActionDeploy, Experiment: "xpptut15", Run: run, Detector: "det", CType: "status_extra", Range: r,
		Array: calib.SumArray(a), Shape: a.Shape, Bad: 1, Key: fmt.Sprintf("key of %v %d", r, word)}
}

// MustDeploy deploys an array for a range.
func MustDeploy(t testing.TB, p calib.Destination, validity string, run int, word uint64) calib.Record {
	t.Helper()
	r, err := calib.ParseRange(validity)
	if err != nil {
		t.Fatal(err)
	}
	rec, unchanged, err := p.Deploy(t.Context(), Record(r, run, word), Content(Array(word)))
	if err != nil || unchanged || rec.State != calib.Done || rec.ID == "" {
		t.Fatalf("deploy %s: record %+v, unchanged %v, %v", validity, rec, unchanged, err)
	}
	return rec
}

// Used returns the word that analysis would use for a run; 0 for nothing.
func Used(t testing.TB, p calib.Destination, run int) uint64 {
	t.Helper()
	items, _, err := p.Items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := calib.Pick(items, run)
	if i < 0 {
		return 0
	}
	a, _, err := p.Read(t.Context(), items[i])
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{3, 1, 4, 5}; !slices.Equal(a.Shape, want) || a.Len() != 60 {
		t.Fatalf("run %d: array of shape %v with %d values, want %v", run, a.Shape, a.Len(), want)
	}
	return a.Words.Word(59)
}

// Run holds a destination to the suite. With fallback the destination may give a run without a constant of its range
// some other one.
func Run(t *testing.T, fallback bool, fresh Opener) {
	t.Run("empty", func(t *testing.T) {
		p := fresh(t)()
		items, notes, err := p.Items(t.Context())
		if err != nil || len(items) != 0 || len(notes) != 0 {
			t.Errorf("items %v, notes %v, %v", items, notes, err)
		}
		records, err := p.Records()
		if err != nil || len(records) != 0 {
			t.Errorf("records %v, %v", records, err)
		}
		if n, err := p.Collect(t.Context()); n != 0 || err != nil {
			t.Errorf("collected %d, %v", n, err)
		}
	})
	t.Run("resolution", func(t *testing.T) { resolution(t, fallback, fresh) })
	t.Run("records", func(t *testing.T) { records(t, fresh) })
	t.Run("same again", func(t *testing.T) { sameAgain(t, fresh) })
	t.Run("old or new", func(t *testing.T) { oldOrNew(t, fresh) })
	t.Run("stale plan", func(t *testing.T) { stalePlan(t, fresh) })
	t.Run("undo", func(t *testing.T) { undo(t, fallback, fresh) })
	t.Run("undo out of order", func(t *testing.T) { undoOutOfOrder(t, fresh) })
	t.Run("at once", func(t *testing.T) { atOnce(t, fresh) })
}

// resolution deploys the sets of CALIB_REPO 7.4 and asks for runs.
func resolution(t *testing.T, fallback bool, fresh Opener) {
	sets := []struct {
		ranges []string
		uses   map[int]string
	}{
		{[]string{"0-end", "10-end", "10-20", "15-15"}, map[int]string{0: "0-end", 9: "0-end", 10: "10-20", 14: "10-20", 16: "10-20",
			20: "10-20", 15: "15-15", 21: "10-end", 9999: "10-end", 12345: "10-end"}},
		{[]string{"0-end", "5-9", "5-12"}, map[int]string{5: "5-9", 9: "5-9", 10: "5-12", 12: "5-12", 13: "0-end"}},
		{[]string{"10-20", "12-14"}, map[int]string{9: "", 15: "10-20", 21: "", 13: "12-14"}},
	}
	for _, s := range sets {
		p := fresh(t)()
		words := map[string]uint64{"": 0}
		for i, r := range s.ranges {
			words[r] = 1 << i
			MustDeploy(t, p, r, 10, words[r])
		}
		for run, r := range s.uses {
			if got := Used(t, p, run); got != words[r] && !(fallback && r == "") {
				t.Errorf("%v: run %d uses %d, want %d of %q", s.ranges, run, got, words[r], r)
			}
		}
	}
}

// records: everything that was deployed is on record and can be deployed again.
func records(t *testing.T, fresh Opener) {
	open := fresh(t)
	p := open()
	first := MustDeploy(t, p, "0-end", 7, 1)
	second := MustDeploy(t, p, "0-end", 7, 2)
	third := MustDeploy(t, p, "5-end", 7, 4)
	for i, tt := range []struct {
		rec    calib.Record
		runs   string
		before string // content
	}{{first, "0-end", ""}, {second, "0-end", first.Content}, {third, "5-end", second.Content}} {
		if c := tt.rec.Changes; len(c) != 1 || c[0].Runs.String() != tt.runs || c[0].Before.Content != tt.before {
			t.Errorf("deployment %d changes %+v, want runs %s of %q", i, c, tt.runs, tt.before)
		}
	}
	p = open()
	if got := Used(t, p, 7); got != 4 {
		t.Errorf("run 7 uses %d, want 4", got)
	}
	if got := Used(t, p, 3); got != 2 {
		t.Errorf("run 3 uses %d, want 2", got)
	}
	all, err := p.Records()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	for i, rec := range all {
		if rec.State != calib.Done || rec.ID != []string{first.ID, second.ID, third.ID}[i] || rec.Login == "" || rec.Host == "" || rec.Time.IsZero() {
			t.Errorf("record %d: %+v", i, rec)
		}
	}
	c, err := p.Kept(t.Context(), all[0])
	if err != nil || c.Array.Words.Word(59) != 1 || c.SHA256 != first.Content {
		t.Fatalf("content of the first: %v, %v", c.Array, err)
	}
	rec := Record(third.Range, 7, 1)
	rec.Action, rec.Restores, rec.Key = calib.ActionRollback, first.ID, "rollback to "+first.ID
	if _, _, err := p.Deploy(t.Context(), rec, c); err != nil {
		t.Fatal(err)
	}
	if got := Used(t, open(), 7); got != 1 {
		t.Errorf("after the rollback run 7 uses %d, want 1", got)
	}
}

// sameAgain: the same command twice is one deployment.
func sameAgain(t *testing.T, fresh Opener) {
	open := fresh(t)
	first := MustDeploy(t, open(), "0-end", 7, 1)
	again, unchanged, err := open().Deploy(t.Context(), Record(first.Range, 7, 1), Content(Array(1)))
	if err != nil || !unchanged || again.ID != first.ID {
		t.Errorf("again: %+v, unchanged %v, %v", again, unchanged, err)
	}
	MustDeploy(t, open(), "0-end", 7, 2)
	MustDeploy(t, open(), "0-end", 7, 1)
	all, err := open().Records()
	if err != nil || len(all) != 3 || Used(t, open(), 7) != 1 {
		t.Errorf("%d records, run 7 uses %d, %v", len(all), Used(t, open(), 7), err)
	}
}

// oldOrNew: what fails leaves the old constant and a sound ledger.
func oldOrNew(t *testing.T, fresh Opener) {
	open := fresh(t)
	MustDeploy(t, open(), "0-end", 7, 1)
	r := calib.Range{Begin: 0, End: calib.Last}
	wrong := Content(Array(2))
	wrong.SHA256 = Content(Array(3)).SHA256
	wrong.Array = Array(3)
	if _, _, err := open().Deploy(t.Context(), Record(r, 7, 2), wrong); fault.CodeOf(err) != fault.Temporary {
		t.Errorf("content that changed after the plan: %v", err)
	}
	gone := Content(Array(2))
	gone.Open = func() (io.ReadCloser, error) { return nil, fmt.Errorf("it is gone") }
	if _, _, err := open().Deploy(t.Context(), Record(r, 7, 2), gone); err == nil {
		t.Error("content that cannot be read was deployed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := open().Deploy(ctx, Record(r, 7, 2), Content(Array(2))); err == nil {
		t.Error("a cancelled deployment was done")
	}
	if got := Used(t, open(), 7); got != 1 {
		t.Errorf("after failed deployments run 7 uses %d, want 1", got)
	}
	MustDeploy(t, open(), "0-end", 7, 2)
	if got := Used(t, open(), 7); got != 2 {
		t.Errorf("run 7 uses %d, want 2", got)
	}
	all, err := open().Records()
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, rec := range all {
		if rec.State == calib.Intent {
			t.Errorf("an intent is left: %+v", rec)
		}
		if rec.State == calib.Done {
			done++
		}
	}
	if done != 2 {
		t.Errorf("%d completed deployments on record, want 2", done)
	}
}

// stalePlan: a plan that was compared with other constants than those in force is not deployed.
func stalePlan(t *testing.T, fresh Opener) {
	open := fresh(t)
	outlook := func(r calib.Range) []calib.Change {
		items, _, err := open().Items(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen, err := open().Outlook(t.Context(), items, r)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	all := calib.Range{Begin: 0, End: calib.Last}
	nothing := outlook(all)
	first := MustDeploy(t, open(), "0-end", 7, 1)
	old := outlook(all)
	MustDeploy(t, open(), "0-end", 7, 2)
	rec := Record(first.Range, 7, 4)
	for _, seen := range [][]calib.Change{nothing, old} {
		rec.Seen = seen
		if _, _, err := open().Deploy(t.Context(), rec, Content(Array(4))); !errors.Is(err, calib.ErrStale) || fault.CodeOf(err) != fault.Temporary {
			t.Errorf("planned when %+v was in force: %v", seen, err)
		}
	}
	if got := Used(t, open(), 7); got != 2 {
		t.Errorf("run 7 uses %d, want 2", got)
	}
	// One that shadows a part of the range changes what the plan has shown, too.
	seen := outlook(all)
	MustDeploy(t, open(), "5-end", 7, 8)
	rec.Seen = seen
	if _, _, err := open().Deploy(t.Context(), rec, Content(Array(4))); !errors.Is(err, calib.ErrStale) {
		t.Errorf("planned before a part was shadowed: %v", err)
	}
	rec.Seen = outlook(all)
	if _, _, err := open().Deploy(t.Context(), rec, Content(Array(4))); err != nil {
		t.Errorf("planned with what is in force: %v", err)
	}
	// The same check for a rollback.
	last := MustDeploy(t, open(), "3-end", 7, 16)
	u, err := open().PlanUndo(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	MustDeploy(t, open(), "4-4", 7, 32)
	if _, err := open().Undo(t.Context(), calib.Record{Action: calib.ActionRollback, Seen: u.Changes}, last.ID); !errors.Is(err, calib.ErrStale) {
		t.Errorf("rollback planned before a part was shadowed: %v", err)
	}
}

// undo: what was in force before comes back, for every stretch of runs, also where several were.
func undo(t *testing.T, fallback bool, fresh Opener) {
	for _, tt := range []struct {
		have []string
		add  string
		uses map[int]int // what runs use after the rollback: position in have from 1 on, 0 for nothing
	}{
		{[]string{"0-end", "100-end"}, "0-end", map[int]int{0: 1, 99: 1, 100: 2, 9999: 2}},
		{[]string{"0-end", "10-20"}, "15-end", map[int]int{0: 1, 10: 2, 14: 2, 15: 2, 20: 2, 21: 1, 9999: 1}},
		{[]string{"10-20"}, "0-end", map[int]int{9: 0, 10: 1, 20: 1, 21: 0}},
		{nil, "5-9", map[int]int{5: 0, 9: 0, 10: 0}},
		{[]string{"0-end", "5-9", "5-12"}, "5-7", map[int]int{4: 1, 5: 2, 9: 2, 10: 3, 13: 1}},
	} {
		open := fresh(t)
		for i, r := range tt.have {
			MustDeploy(t, open(), r, 10, uint64(i+1))
		}
		last := MustDeploy(t, open(), tt.add, 10, 100)
		for range 2 { // again, after a lost answer
			rec, err := open().Undo(t.Context(), calib.Record{Action: calib.ActionRollback, Range: last.Range}, last.ID)
			if err != nil || rec.Undoes != last.ID {
				t.Fatalf("%v, rollback of %s: %+v, %v", tt.have, tt.add, rec, err)
			}
		}
		for run, want := range tt.uses {
			if got := Used(t, open(), run); got != uint64(want) && !(fallback && want == 0 && len(tt.have) > 0) {
				t.Errorf("%v, rollback of %s: run %d uses %d, want %d", tt.have, tt.add, run, got, want)
			}
		}
		all, err := open().Records()
		if err != nil || len(all) != len(tt.have)+2 || calib.Undone(all, last.ID) == nil {
			t.Errorf("%d records, %v", len(all), err)
		}
		// The content is still there and can be deployed again.
		c, err := open().Kept(t.Context(), last)
		if err != nil || c.Array.Words.Word(59) != 100 {
			t.Errorf("content of what was taken back: %v", err)
		}
	}
}

// undoOutOfOrder: a deployment under later ones is taken back where that is exact, and else refused.
func undoOutOfOrder(t *testing.T, fresh Opener) {
	open := fresh(t)
	a := MustDeploy(t, open(), "0-end", 10, 1)
	b := MustDeploy(t, open(), "10-end", 10, 2)
	c := MustDeploy(t, open(), "20-end", 10, 3)
	undo := func(of calib.Record) error {
		_, err := open().Undo(t.Context(), calib.Record{Action: calib.ActionRollback, Range: of.Range}, of.ID)
		return err
	}
	uses := func(what string, want map[int]uint64) {
		t.Helper()
		for run, w := range want {
			if got := Used(t, open(), run); got != w {
				t.Errorf("%s: run %d uses %d, want %d", what, run, got, w)
			}
		}
	}
	if err := undo(b); err != nil {
		t.Fatal(err)
	}
	uses("the middle one", map[int]uint64{0: 1, 10: 1, 19: 1, 20: 3})
	if err := undo(c); err != nil {
		t.Fatal(err)
	}
	uses("the last one", map[int]uint64{0: 1, 15: 1, 20: 1}) // not 2, which was taken back
	if err := undo(a); err != nil {
		t.Fatal(err)
	}
	uses("all", map[int]uint64{0: 0, 15: 0, 20: 0})

	// A later one for a wider range would show where an earlier one is taken away: not what was there
	// before. In their order both can be taken back.
	a = MustDeploy(t, open(), "0-end", 10, 1)
	b = MustDeploy(t, open(), "10-end", 10, 2)
	c = MustDeploy(t, open(), "0-end", 10, 4)
	if err := undo(b); fault.CodeOf(err) != fault.Refused {
		t.Errorf("under a wider one: %v", err)
	}
	uses("under a wider one", map[int]uint64{0: 4, 9: 4, 10: 2, 9999: 2})
	if err := errors.Join(undo(c), undo(b)); err != nil {
		t.Fatal(err)
	}
	uses("in their order", map[int]uint64{0: 1, 9: 1, 10: 1, 9999: 1})
	// One of which no run uses anything changes nothing, where it is still there at all.
	MustDeploy(t, open(), "0-end", 10, 8)
	if err := undo(a); err != nil && fault.CodeOf(err) != fault.Refused {
		t.Errorf("one that is no longer used: %v", err)
	}
	uses("one that is no longer used", map[int]uint64{0: 8, 9: 8, 10: 8, 9999: 8})
}

// atOnce: many deploy at once; each is on record and the last one is in force.
func atOnce(t *testing.T, fresh Opener) {
	open := fresh(t)
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		p := open()
		wg.Go(func() {
			r := calib.Range{Begin: 0, End: calib.Last}
			if _, _, err := p.Deploy(t.Context(), Record(r, 7, uint64(i+1)), Content(Array(uint64(i+1)))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := open().Records()
	if err != nil || len(all) != n {
		t.Fatalf("%d records, want %d, %v", len(all), n, err)
	}
	last := all[n-1]
	if got := Record(last.Range, 7, Used(t, open(), 7)).Array; got != last.Array {
		t.Errorf("in force is array %s, the last record says %s", got, last.Array)
	}
	seen := map[string]bool{}
	for i, rec := range all {
		if seen[rec.Array] || rec.State != calib.Done {
			t.Errorf("record %d: %+v", i, rec)
		}
		seen[rec.Array] = true
		if i > 0 && (len(rec.Changes) != 1 || rec.Changes[0].Before.Content != all[i-1].Content) {
			t.Errorf("record %d was deployed over %+v, not over the one before it", i, rec.Changes)
		}
	}
}
