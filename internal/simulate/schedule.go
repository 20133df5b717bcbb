package simulate

import (
	"slices"
	"time"

	"rawstatus/internal/io/xtc2"
)

// Times of a run relative to its begin.
const (
	configureAt = -10 * time.Second
	eventGap    = 8333333 * time.Nanosecond // 120 Hz
	stepGap     = time.Second               // between the last event of a step and the next BeginStep
	lead        = 100 * time.Millisecond    // from BeginStep to Enable, and from there to the first event
	slowEvery   = 120                       // events from one SlowUpdate to the next
)

// action is one datagram of every stream.
type action struct {
	service xtc2.Service
	ts      uint64
	step    int
	event   int  // of the run; for L1Accept
	chunk   bool // an Enable that starts the next file
}

// schedule lists the datagrams of a run in order.
func (c Config) schedule() []action {
	var list []action
	add := func(service xtc2.Service, t time.Time, a action) {
		a.service, a.ts = service, c.timeStamp(t)
		list = append(list, a)
	}
	if c.lcls1() { // such a run begins with its Configure
		add(xtc2.Configure, c.Begin, action{})
		add(xtc2.BeginRun, c.Begin.Add(lead), action{})
	} else {
		add(xtc2.Configure, c.Begin.Add(configureAt), action{})
		add(xtc2.BeginRun, c.Begin, action{})
	}
	length := time.Duration(c.Events)*eventGap + stepGap
	var t time.Time
	for step := range c.Steps {
		t = c.Begin.Add(stepGap + time.Duration(step)*length)
		first := step * c.Events
		add(xtc2.BeginStep, t, action{step: step})
		add(xtc2.Enable, t.Add(lead), action{step: step, chunk: c.startsChunk(first)})
		for i := range c.Events {
			t := t.Add(2*lead + time.Duration(i)*eventGap)
			if i > 0 && c.startsChunk(first+i) {
				add(xtc2.Disable, t.Add(-eventGap/2), action{step: step})
				add(xtc2.Enable, t.Add(-eventGap/4), action{step: step, chunk: true})
			}
			add(xtc2.L1Accept, t, action{step: step, event: first + i})
			if i%slowEvery == slowEvery-1 {
				add(xtc2.SlowUpdate, t.Add(eventGap/8), action{step: step})
			}
		}
		t = t.Add(length - stepGap/2)
		add(xtc2.Disable, t, action{step: step})
		add(xtc2.EndStep, t.Add(lead), action{step: step})
	}
	if !c.NoEndRun {
		add(xtc2.EndRun, t.Add(stepGap), action{})
	}
	return list
}

// startsChunk reports whether an event is the first of a chunk other than the first.
func (c Config) startsChunk(event int) bool {
	for k := 1; k < c.Chunks; k++ {
		if k*c.total()/c.Chunks == event {
			return true
		}
	}
	return false
}

// losses are the events that are not as they should be.
type losses struct {
	stream map[int]int // lost event -> the stream that has not got it
	panel  map[int]int // damaged event -> segment
}

// losses draws lost and damaged events; they depend on seed and run.
func (c Config) losses() losses {
	l := losses{map[int]int{}, map[int]int{}}
	r := sequence(c.Seed, forLosses, uint64(c.Run))
	events := c.draw(&r, c.LostEvents+c.DamagedEvents)
	sent := c.sentSegments()
	for i, e := range events {
		if len(sent) == 0 {
			break
		}
		segment := sent[r.below(len(sent))]
		if i < c.LostEvents {
			l.stream[e] = c.streamOf(segment)
			if c.lcls1() {
				l.stream[e] = c.recorderOf(e)
			}
		} else {
			l.panel[e] = segment
		}
	}
	return l
}

// draw returns n different events.
func (c Config) draw(r *rng, n int) []int {
	taken := map[int]bool{}
	var events []int
	for len(events) < n {
		if e := r.below(c.total()); !taken[e] {
			taken[e] = true
			events = append(events, e)
		}
	}
	return events
}

// sentSegments lists the segments that send data.
func (c Config) sentSegments() []int {
	var sent []int
	for p := range c.Panels {
		if !slices.Contains(c.MissingPanels, p) {
			sent = append(sent, p)
		}
	}
	return sent
}
