package calib

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/disk"
)

func TestParseRange(t *testing.T) {
	good := map[string]Range{"0-end": {0, 9999}, "137-end": {137, 9999}, "10-20": {10, 20}, "15": {15, 15}, "007-9": {7, 9}, "1-9999": {1, 9999}}
	for s, want := range good {
		if got, err := ParseRange(s); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "-", "end", "10-", "-20", "20-10", "10-foo", "0-10000", "10000-end", "1-2-3", " 1-2", "+1-2", "0-end (copy)",
		"99999999999999999999-end", "0-99999999999999999999"} {
		if got, err := ParseRange(s); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q: %v, %v, want a usage error", s, got, err)
		}
	}
	for s, want := range map[string]string{"0-9999": "0-end", "5-5": "5-5", "15": "15-15"} {
		if got, _ := ParseRange(s); got.String() != want {
			t.Errorf("%q is written %q, want %q", s, got, want)
		}
	}
}

func items(names ...string) []Item {
	var list []Item
	for _, n := range names {
		r, err := ParseRange(n)
		if err != nil {
			panic(err)
		}
		list = append(list, Item{Range: r, Name: n})
	}
	return list
}

// TestPickIsThatOfPsana compares with the rule told the other way round, for all pairs of small ranges.
func TestPickIsThatOfPsana(t *testing.T) {
	var all []Item
	for b := range 5 {
		for e := b; e < 5; e++ {
			all = append(all, Item{Range: Range{b, e}, Name: Range{b, e}.String()})
		}
	}
	for i := range all {
		for j := range all {
			for k := range all {
				set := []Item{all[i], all[j], all[k]}
				for run := range 6 {
					// psana: sort by begin, for equal begin by falling end; the last that has the run.
					sorted := slices.Clone(set)
					slices.SortStableFunc(sorted, func(a, b Item) int {
						if a.Range.Begin != b.Range.Begin {
							return a.Range.Begin - b.Range.Begin
						}
						return b.Range.End - a.Range.End
					})
					want := ""
					for _, x := range sorted {
						if x.Range.Begin <= run && run <= x.Range.End {
							want = x.Name
						}
					}
					got := ""
					if n := Pick(set, run); n >= 0 {
						got = set[n].Name
					}
					if got != want {
						t.Fatalf("run %d of %v: %q, want %q", run, set, got, want)
					}
				}
			}
		}
	}
}

func TestEffectIsWhatChangesForWhichRuns(t *testing.T) {
	tests := []struct {
		have  []string
		add   string
		lines string
	}{
		{nil, "137-end", "will be used for runs 137..end|runs 137..end use nothing now"},
		{[]string{"0-end"}, "10-20", "will be used for runs 10..20|runs 10..20 use 0-end now"},
		{[]string{"10-20", "15-15"}, "0-end", "will be used for runs 0..9, 21..end|runs 0..9 use nothing now|runs 21..end use nothing now|" +
			"runs 10..14 go on using 10-20|runs 15 go on using 15-15|runs 16..20 go on using 10-20"},
		{[]string{"10-20"}, "10-20", "will be used for runs 10..20|runs 10..20 use 10-20 now"},
		{[]string{"5-8", "9-end"}, "5-end", "will be used for NO run: narrower or later ranges shadow all of it|runs 5..8 go on using 5-8|runs 9..end go on using 9-end"},
	}
	for _, tt := range tests {
		got := strings.Join(EffectOf(items(tt.have...), items(tt.add)[0].Range, items(tt.add)...).Lines(), "|")
		if got != tt.lines {
			t.Errorf("%s into %v:\n got %s\nwant %s", tt.add, tt.have, got, tt.lines)
		}
	}
}

func newLedger(t *testing.T) *Ledger {
	return &Ledger{Dir: filepath.Join(t.TempDir(), "ledger"), Disk: disk.Files{Policy: &access.Policy{DirMode: 0o2775, FileMode: 0o664}}}
}

// TestLedgerCutAnywhere cuts a ledger at every byte: whole lines stay, the cut one goes with the next line.
func TestLedgerCutAnywhere(t *testing.T) {
	l := newLedger(t)
	a := Record{ID: "a", State: Intent, Time: time.Unix(1, 0).UTC(), Range: Range{1, 2}}
	for _, err := range []error{l.Append(a), l.Mark(a, Done, ""), l.Append(Record{ID: "b", State: Intent, Range: Range{3, 4}})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(l.path())
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) + 1 {
		if err := os.WriteFile(l.path(), text[:n], 0o664); err != nil {
			t.Fatal(err)
		}
		whole := strings.Count(string(text[:n]), "\n")
		got, err := l.Load()
		if want := min(whole, 1) + whole/3; err != nil || len(got) != want {
			t.Fatalf("cut at %d: %d records, %v, want %d", n, len(got), err, want)
		}
		if whole == 2 && got[0].State != Done {
			t.Fatalf("cut at %d: state %s", n, got[0].State)
		}
		if err := l.Append(Record{ID: "c", State: Done, Range: Range{5, 6}}); err != nil {
			t.Fatal(err)
		}
		again, err := l.Load()
		if err != nil || len(again) != len(got)+1 || again[len(again)-1].ID != "c" || again[len(again)-1].Range != (Range{5, 6}) {
			t.Fatalf("cut at %d, one more: %v, %v", n, again, err)
		}
	}
}

func TestLedgerChangedByHand(t *testing.T) {
	l := newLedger(t)
	if err := l.Append(Record{ID: "a", State: Done}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"oops\n", "{}\n", "{\"id\":\"a\",\"validity\":\"9-1\"}\n"} {
		if err := os.WriteFile(l.path(), []byte(text), 0o664); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Load(); fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLedgerKeepsContentsUnderTheirHash(t *testing.T) {
	l := newLedger(t)
	text := strings.Repeat("0 ", 100000)
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	hash := sha256.Sum256([]byte(text))
	sum := hex.EncodeToString(hash[:])
	other := strings.Repeat("0", 64)
	if err := l.Keep(other, open); fault.CodeOf(err) != fault.Temporary {
		t.Errorf("kept under another hash: %v", err)
	}
	if err := l.Keep("../../x", open); fault.CodeOf(err) != fault.Input {
		t.Errorf("kept under a path: %v", err)
	}
	if _, err := l.Content(other); fault.CodeOf(err) != fault.Input {
		t.Errorf("content that was never kept: %v", err)
	}
	for range 2 {
		if err := l.Keep(sum, open); err != nil {
			t.Fatal(err)
		}
	}
	r, err := l.Content(sum)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("other content came back (%v)", err)
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte("{\"id\":\"a\",\"state\":\"intent\",\"validity\":\"1-2\"}\n{\"id\":\"a\",\"state\":\"done\",\"validity\":\"1-2\"}\n{\"id\""))
	f.Add([]byte("{\"id\":\"a\",\"steps\":[{\"db\":\"x\"}],\"validity\":\"0-end\"}\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := newLedger(t)
		if err := os.MkdirAll(l.Dir, 0o775); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.path(), text, 0o664); err != nil {
			t.Fatal(err)
		}
		records, err := l.Load()
		if err != nil {
			if fault.CodeOf(err) != fault.Input {
				t.Fatal(err)
			}
			return
		}
		if err := l.Append(Record{ID: "one more", State: Done}); err != nil {
			t.Fatal(err)
		}
		again, err := l.Load()
		if err != nil || len(again) < len(records) {
			t.Fatalf("%d records, then %d, %v", len(records), len(again), err)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add("0-end")
	f.Add("10-99999")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		again, err := ParseRange(r.String())
		if err != nil || again != r || r.Begin < 0 || r.End > Last || r.Begin > r.End {
			t.Fatalf("%q is %v, written %q", s, r, r)
		}
	})
}
