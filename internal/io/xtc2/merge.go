package xtc2

import (
	"cmp"
	"fmt"
	"slices"
)

// member is one stream's datagram in a group.
type member struct{ scan, entry int }

// group is the datagrams of all streams that belong together: equal time-stamp and service.
type group struct {
	ts      uint64
	service Service
	members []member
}

// runGroups is one run of the merged sequence.
type runGroups struct {
	groups     []group
	events     int
	experiment string
	number     int
	hasInfo    bool   // experiment and number come from runinfo
	begin      uint64 // time-stamp of the BeginRun, else of the first datagram
	begun      bool   // there is a BeginRun
	ended      []bool // per scan: there is an EndRun
	last       bool   // nothing follows it
	outside    int    // events behind its EndRun
	missing    []string
	notes      []string
}

// merge builds the runs from the streams: the smallest time-stamp of all streams' next datagrams
// makes a group, and those streams advance. It never waits for equality, so it ends whatever the
// time-stamps are. A run begins at BeginRun, unless that repeats the present run's, and ends at EndRun; what
// lies before the first BeginRun belongs to the first run. Configure and Unconfigure neither begin nor end
// one.
func merge(scans []*scan) []*runGroups {
	m := &merger{scans: scans, next: make([]int, len(scans)), inForce: make([]int, len(scans)), lost: map[Service]int{}}
	for i, s := range scans {
		s.sort()
		m.inForce[i] = -1
		if len(s.entries) > 0 {
			m.streams++
		}
	}
	m.newRun()
	for {
		g, ok := m.nextGroup()
		if !ok {
			break
		}
		m.add(g)
	}
	m.run.last = true
	for _, r := range m.runs {
		if r.outside > 0 {
			r.missing = append(r.missing, fmt.Sprintf("%d events lie behind the EndRun of run %d and belong to no run", r.outside, r.number))
		}
	}
	for s := Service(0); s <= L1Accept; s++ {
		if m.lost[s] > 0 && s != BeginStep { // which rawrun judges
			m.run.notes = append(m.run.notes, fmt.Sprintf("%d %v not in all streams", m.lost[s], s))
		}
	}
	return m.runs
}

// merger is the state of a merge.
type merger struct {
	scans   []*scan
	next    []int // per scan: the entry to come
	inForce []int // per scan: the entry of the Configure in force, -1 before the first
	streams int   // scans with entries

	runs   []*runGroups
	run    *runGroups
	held   []group         // Configures since the last event: the next run's, if none of this one follows
	closed bool            // the run has ended, what follows belongs to the next
	lost   map[Service]int // transitions that were not in all streams
}

// newRun begins a run with the Configures in force.
func (m *merger) newRun() {
	m.run = &runGroups{ended: make([]bool, len(m.scans))}
	m.runs = append(m.runs, m.run)
	m.closed, m.held = false, nil
	for i, e := range m.inForce {
		if e >= 0 {
			m.run.groups = append(m.run.groups, group{ts: m.scans[i].entries[e].ts, service: Configure, members: []member{{i, e}}})
		}
	}
}

// add puts a group where it belongs.
func (m *merger) add(g group) {
	if !g.service.IsEvent() && len(g.members) < m.streams {
		m.lost[g.service]++
	}
	switch g.service {
	case BeginRun:
		m.beginRun(g)
	case Configure:
		for _, b := range g.members {
			m.inForce[b.scan] = b.entry
		}
	case EndRun:
		m.closed = true
		for _, b := range g.members {
			m.run.ended[b.scan] = true
		}
	}
	if m.closed {
		if g.service.IsEvent() {
			m.run.outside++
		}
		return
	}
	if len(m.run.groups) == 0 && !m.run.begun {
		m.run.begin = g.ts
	}
	if g.service.IsEvent() {
		m.run.events++
	}
	if g.service == Configure && m.run.begun {
		m.held = append(m.held, g)
		return
	}
	if g.service.IsEvent() || g.service == BeginStep {
		m.run.groups = append(m.run.groups, m.held...)
		m.held = nil
	}
	m.run.groups = append(m.run.groups, g)
}

// beginRun begins a run; a repeated BeginRun of the present run changes nothing.
func (m *merger) beginRun(g group) {
	var told *info
	for _, b := range g.members {
		if in := m.scans[b.scan].entries[b.entry].info; in != nil && in.hasRun && told == nil {
			told = in
		}
	}
	same := told != nil && m.run.hasInfo && told.run == m.run.number && told.experiment == m.run.experiment
	if m.run.begun && (same || told == nil && !m.closed) {
		m.run.notes = append(m.run.notes, fmt.Sprintf("BeginRun is repeated at time-stamp %d", g.ts))
		m.closed = false
		return
	}
	if m.run.begun {
		m.newRun()
	}
	m.run.begun, m.run.begin = true, g.ts
	if told != nil {
		m.run.experiment, m.run.number, m.run.hasInfo = told.experiment, told.run, true
	}
}

// nextGroup takes the next group from the streams and advances them.
func (m *merger) nextGroup() (g group, ok bool) {
	first, smallest := -1, uint64(0)
	for i, s := range m.scans {
		if m.next[i] < len(s.entries) {
			if k := s.key(m.next[i]); first < 0 || k < smallest {
				first, smallest = i, k
			}
		}
	}
	if first < 0 {
		return g, false
	}
	e := &m.scans[first].entries[m.next[first]]
	g.ts, g.service = e.ts, e.service
	for i, s := range m.scans {
		if m.next[i] < len(s.entries) && s.entries[m.next[i]].ts == g.ts && s.entries[m.next[i]].service == g.service {
			g.members = append(g.members, member{i, m.next[i]})
			m.next[i]++
		}
	}
	return g, true
}

// key returns the time at which an entry takes its turn: its time-stamp, but that of the next entry where a
// single time-stamp jumps ahead. Else one wrong time-stamp would hold its stream back to the end.
func (s *scan) key(i int) uint64 {
	ts := s.entries[i].ts
	if i+1 < len(s.entries) && i > 0 {
		if next := s.entries[i+1].ts; ts > next && next >= s.entries[i-1].ts {
			return next
		}
	}
	return ts
}

// sort puts the events between two transitions into the order of their time-stamps: events that were
// written in another order are the same events. SlowUpdates, which can be anywhere, say nothing of a run.
func (s *scan) sort() {
	s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return e.service == SlowUpdate })
	for from := 0; from < len(s.entries); {
		to := from
		for to < len(s.entries) && s.entries[to].service.IsEvent() {
			to++
		}
		if part := s.entries[from:to]; !slices.IsSortedFunc(part, compareTimes) {
			slices.SortStableFunc(part, compareTimes)
		}
		from = to + 1
	}
}

func compareTimes(a, b entry) int { return cmp.Compare(a.ts, b.ts) }
