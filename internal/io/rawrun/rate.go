package rawrun

import (
	"math"
	"slices"
)

const (
	// longestRhythm is the longest cycle of distances that counts as a rhythm: "two of three events" is a
	// cycle of two.
	longestRhythm = 16
	// otherDistances is the share of distances that may differ from those a cycle later. Cycles of several
	// distances fit anything if they may miss as often.
	otherDistances, otherInCycles = 0.2, 0.1
	// wholeCycles is the share of stretches as long as a cycle that must be alike: losses at a distance of
	// each other are no cycle.
	wholeCycles = 0.8
)

// rhythm is how regularly something takes part in events.
type rhythm struct {
	most int     // events from one to the next, at most
	mean float64 // and on average
}

// rhythmOf finds the rhythm of distances between successive events. Without any, each event counts.
func rhythmOf(gaps []int) rhythm {
	for cycle := 1; cycle <= longestRhythm; cycle++ {
		pairs := len(gaps) - cycle
		other := 0
		for i := range max(0, pairs) {
			if gaps[i] != gaps[i+cycle] {
				other++
			}
		}
		r, share := cycleOf(gaps, cycle)
		if cycle == 1 && (pairs < 1 || float64(other) <= otherDistances*float64(pairs)) ||
			cycle > 1 && pairs >= 2*cycle && other == 0 ||
			cycle > 1 && pairs >= 3*cycle && float64(other) <= otherInCycles*float64(pairs) && share >= wholeCycles {
			return r
		}
	}
	// Losses make distances longer, never shorter: with much shorter ones the commonest is no rhythm.
	if r, share := cycleOf(gaps, 1); share >= 0.5 && 2*slices.Min(gaps) > r.most {
		return r
	}
	// A clock of its own makes neighbouring distances differ by one.
	if low, high := slices.Min(gaps), slices.Max(gaps); low >= 2 && high-low <= 1+low/8 {
		sum := 0
		for _, g := range gaps {
			sum += g
		}
		return rhythm{high, float64(sum) / float64(len(gaps))}
	}
	return rhythm{1, 1}
}

// cycleOf takes the commonest sum and largest of so many distances in a row: what they are for most, they
// are for all. It also returns the share of those that are so.
func cycleOf(gaps []int, cycle int) (rhythm, float64) {
	if len(gaps) < cycle {
		return rhythm{math.MaxInt, math.Inf(1)}, 0
	}
	type spanOfEvents struct{ sum, most int }
	count := map[spanOfEvents]int{}
	var best spanOfEvents
	for i := 0; i+cycle <= len(gaps); i++ {
		w := spanOfEvents{0, slices.Max(gaps[i : i+cycle])}
		for _, g := range gaps[i : i+cycle] {
			w.sum += g
		}
		if count[w]++; count[w] > count[best] || count[w] == count[best] && w.sum < best.sum {
			best = w
		}
	}
	return rhythm{best.most, float64(best.sum) / float64(cycle)}, float64(count[best]) / float64(len(gaps)-cycle+1)
}

// lost estimates how many events are missing in a distance.
func (r rhythm) lost(gap int) int {
	if gap <= r.most {
		return 0
	}
	return max(0, int(float64(gap)/r.mean)-1)
}

// Own returns which events of a run are a detector's: those in which it took part, and those in which it
// should have. took says of each event whether it took part; groups are the readout groups of each event,
// nil where they are not known.
//
// A detector should be in the events that have all readout groups common to those it was in. If that is
// every event, its own rhythm decides: one that is in each third event lacks none of the others. Without
// a rhythm it should be in all.
func Own(took []bool, groups []uint16) []bool {
	own := slices.Clone(took)
	common := uint16(math.MaxUint16)
	for i, t := range took {
		if t && groups != nil {
			common &= groups[i]
		}
	}
	var events, at []int // events of its groups, and positions in this list where it took part
	for i := range took {
		if groups == nil || groups[i]&common == common {
			if took[i] {
				at = append(at, len(events))
			}
			events = append(events, i)
		}
	}
	if len(at) == 0 || len(at) == len(events) {
		return own
	}
	if len(events) < len(took) { // its groups are not those of every event
		for _, i := range events {
			own[i] = true
		}
		return own
	}
	r := rhythmOf(distances(at))
	expect := func(after, before int) { // positions between which it is absent
		n := r.lost(before - after)
		for k := 1; k <= n; k++ {
			own[events[max(0, min(after+int(math.Round(float64(k)*r.mean)), before-1, len(events)-1))]] = true
		}
	}
	for k := range len(at) - 1 {
		expect(at[k], at[k+1])
	}
	// Before the first and behind the last one no event bounds the distance.
	if last := at[len(at)-1]; len(events)-1-last >= r.most {
		expect(last, len(events)-1+int(math.Ceil(r.mean)))
	}
	if at[0] >= r.most {
		expect(-int(math.Ceil(r.mean)), at[0])
	}
	return own
}

// distances are those between successive positions.
func distances(at []int) []int {
	var gaps []int
	for k := 1; k < len(at); k++ {
		gaps = append(gaps, at[k]-at[k-1])
	}
	return gaps
}
