package post

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/elog"
)

var (
	seeds = flag.Int("post.seeds", 60, "random nights of TestLaterCallSendsWhatIsMissingOnce")
	seed  = flag.Uint64("post.seed", 0, "one night of TestLaterCallSendsWhatIsMissingOnce")
)

// stored is an entry of a model logbook; it is visible from a time on.
type stored struct {
	elog.Entry
	id      string
	visible time.Time
}

// model is a logbook with faults. Each call is done or not, and answered or not.
type model struct {
	rng     *rand.Rand
	now     time.Time
	away    bool // no faults when false
	entries []stored
	calls   []string
	params  map[string]any
	killed  bool
}

// kill is the panic that stands for SIGKILL.
type kill struct{}

// fate draws what becomes of a request.
func (m *model) fate() (done, slow bool, err error) {
	if m.killed {
		panic("a killed process goes on")
	}
	if !m.away {
		return true, false, nil
	}
	unknown := fault.New(fault.Temporary, "no answer: %w", elog.ErrUnknown)
	switch m.rng.IntN(8) {
	case 0:
		return false, false, fault.New(fault.Temporary, "nobody there")
	case 1:
		return false, false, fault.New(fault.Refused, "refused")
	case 2:
		return false, false, unknown
	case 3:
		return true, false, unknown
	case 4:
		return true, true, unknown // arrives later, within Late
	case 5:
		m.killed = true
		return m.rng.IntN(2) == 0, false, nil
	}
	return true, false, nil
}

// answer ends a call; a killed process does not see the answer.
func (m *model) answer(err error) error {
	if m.killed {
		panic(kill{})
	}
	return err
}

func (m *model) RunParams(_ context.Context, _ string, _ int, params map[string]any) error {
	done, _, err := m.fate()
	if done {
		for k, v := range params {
			m.params[k] = v
		}
		m.calls = append(m.calls, fmt.Sprint("params ", len(params)))
	}
	return m.answer(err)
}

func (m *model) NewEntry(_ context.Context, _ string, e elog.Entry) (string, error) {
	done, slow, err := m.fate()
	id := fmt.Sprint("id", len(m.entries)+1)
	if done {
		visible := m.now
		if slow {
			visible = m.now.Add(time.Duration(m.rng.Int64N(int64(Late))))
		}
		m.entries = append(m.entries, stored{e, id, visible})
		m.calls = append(m.calls, "entry")
	}
	return id, m.answer(err)
}

func (m *model) Entries(context.Context, string, int) ([]elog.Found, error) {
	_, _, err := m.fate()
	if err := m.answer(err); err != nil {
		return nil, err
	}
	var found []elog.Found
	for _, e := range m.entries {
		if !e.visible.After(m.now) {
			found = append(found, elog.Found{ID: e.id, Content: e.HTML})
		}
	}
	return found, nil
}

func outcome(t *testing.T, detector string, bad int) *Outcome {
	t.Helper()
	o := &Outcome{Experiment: "mfxlx0001", Run: 7, Detector: detector, State: Done, HTML: fmt.Sprintf("<p>%d bad</p>", bad), Params: map[string]any{"n": bad}}
	if err := o.seal(); err != nil {
		t.Fatal(err)
	}
	return o
}

// night posts outcomes to a logbook that is away, then to one that is back.
func night(t *testing.T, rng *rand.Rand, work string) error {
	m := &model{rng: rng, now: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC), params: map[string]any{}}
	s := &Sender{Logbook: m, Policy: &access.Policy{DirMode: 0o755, FileMode: 0o644}, AttachMax: 1 << 20, Now: func() time.Time { return m.now }}
	send := func() (o *Outcome, err error) {
		defer func() {
			if r := recover(); r != nil {
				if _, killed := r.(kill); !killed {
					panic(r)
				}
				err, m.killed = errors.New("killed"), false
			}
		}()
		return s.Send(t.Context(), work)
	}
	var tokens []string
	for range 1 + rng.IntN(3) {
		o := outcome(t, "jungfrau", rng.IntN(3))
		kept, err := s.Keep(t.Context(), work, o)
		if err != nil {
			return err
		}
		if n := len(tokens); n == 0 || tokens[n-1] != kept.Token {
			tokens = append(tokens, kept.Token)
		}
		for range rng.IntN(6) {
			m.away = rng.IntN(4) > 0
			if _, err := send(); err != nil && fault.CodeOf(err) != fault.Unposted && err.Error() != "killed" {
				return fmt.Errorf("class of %w", err)
			}
			m.now = m.now.Add(time.Duration(rng.Int64N(int64([]time.Duration{time.Minute, 2 * Late}[rng.IntN(2)]))))
		}
	}
	m.away, m.now = false, m.now.Add(Late)
	m.calls = nil
	was, err := Load(work)
	if err != nil {
		return err
	}
	o, err := send()
	if err != nil || !o.Complete() {
		return fmt.Errorf("the logbook is back: %w", err)
	}
	if !was.Complete() && m.calls[len(m.calls)-1] != "params 1" || m.params["rawstatus"] != Done || m.params["n"] == nil {
		return fmt.Errorf("calls %v, parameters %v", m.calls, m.params)
	}
	m.calls = nil
	if _, err := send(); err != nil || len(m.calls) > 0 {
		return fmt.Errorf("sent again: %v, %w", m.calls, err)
	}
	// Every outcome is at most once in the logbook between its changes, and the last one is there.
	count := map[string]int{}
	for _, e := range m.entries {
		count[e.HTML]++
	}
	said := map[string]int{}
	for _, token := range tokens {
		said[token]++
	}
	for html, n := range count {
		for token, most := range said {
			if strings.Contains(html, token) && n > most {
				return fmt.Errorf("outcome %s is %d times in the logbook, was said %d times", token, n, most)
			}
		}
	}
	if last := tokens[len(tokens)-1]; !strings.Contains(m.entries[len(m.entries)-1].HTML, last) && !reflect.DeepEqual(tokens, []string{last}) {
		for _, e := range m.entries {
			if strings.Contains(e.HTML, last) {
				return nil
			}
		}
		return errors.New("the last outcome is not in the logbook")
	}
	return nil
}

// TestLaterCallSendsWhatIsMissingOnce: whatever happens to requests and processes, a later call sends what is missing, and nothing twice.
func TestLaterCallSendsWhatIsMissingOnce(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for n := first; n <= last; n++ {
		if err := night(t, rand.New(rand.NewPCG(n, 20)), filepath.Join(t.TempDir(), fmt.Sprint(n))); err != nil {
			t.Fatalf("night %d: %v\nagain: go test ./internal/shard/post -run TestLaterCallSendsWhatIsMissingOnce -post.seed %d", n, err, n)
		}
	}
}

// TestChangedOutcomesAnswerTheirEntry: an outcome that says something else answers the entry of the one before.
func TestChangedOutcomesAnswerTheirEntry(t *testing.T) {
	work := t.TempDir()
	m := &model{params: map[string]any{}}
	s := &Sender{Logbook: m, Policy: &access.Policy{DirMode: 0o755, FileMode: 0o644}}
	report := filepath.Join(work, "report.html")
	if err := os.WriteFile(report, []byte("<html>large</html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, wanted := range []string{"", "id1", "id2"} {
		o := outcome(t, "epix", i)
		o.Report = report
		if _, err := s.Keep(t.Context(), work, o); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(t.Context(), work); err != nil {
			t.Fatal(err)
		}
		if got := m.entries[i]; got.Parent != wanted || len(got.Files) != 0 || !strings.Contains(got.HTML, "elog.attach_max") {
			t.Errorf("entry %d: %+v", i, got)
		}
		s.AttachMax = 0
	}
	s.AttachMax = 100
	o := outcome(t, "epix", 9)
	o.Report = report
	if _, err := s.Keep(t.Context(), work, o); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	if got := m.entries[3]; len(got.Files) != 1 || string(got.Files[0].Content) != "<html>large</html>" {
		t.Errorf("attached: %+v", got.Files)
	}
}

// TestFilesThatAreNoOutcomeAreLeftAlone: a file that is not an outcome is named and left alone.
func TestFilesThatAreNoOutcomeAreLeftAlone(t *testing.T) {
	work := t.TempDir()
	s := &Sender{Logbook: &model{}, Policy: &access.Policy{DirMode: 0o755, FileMode: 0o644}}
	if _, err := s.Send(t.Context(), work); fault.CodeOf(err) != fault.Incomplete {
		t.Errorf("nothing there: %v", err)
	}
	for _, text := range []string{"", "{", `{"schema": 9}`, `{"schema": 1, "parts": []}`, `{"schema":1,"parts":[{"name":"params","state":"new"},{"name":"entry","state":"sent"},{"name":"state","state":"sent"}]}`} {
		if err := os.WriteFile(Path(work), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(t.Context(), work); fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), Path(work)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
