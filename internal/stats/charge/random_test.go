package charge_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"rawstatus/internal/stats/charge"
)

var rounds = flag.Int("charge.rounds", 1000, "random steps that are compared with the model")

// model counts a step by its definition: all frames of a pixel side by side.
type model struct {
	par    charge.Params
	events []int32
	words  [][]uint16 // by frame
}

func (m *model) on(i, pixel int) bool { return m.words[i][pixel]&m.par.GainBit != 0 }

// add adds a frame to the sums of a line.
func (m *model) add(a *charge.Acc, i, pixel int, zero int32) {
	x, y := int64(m.events[i]-zero), int64(m.words[i][pixel]&m.par.DataBits)
	for k, v := range []int64{1, x, y, x * x, x * y, y * y} {
		a[k] += v
	}
}

func (m *model) full(i, pixel int) bool { return m.words[i][pixel]&m.par.DataBits >= m.par.DataBits }

// lines returns periods and sums of measure A, of certain periods and of the last unsure one.
func (m *model) lines(pixel, frames int) (periods int, certain, unsure [2]charge.Acc) {
	type group struct{ first, last int }
	var groups []group
	for i := range frames {
		if !m.on(i, pixel) {
			continue
		}
		if n := len(groups); n > 0 && int(m.events[i]-m.events[groups[n-1].last]) <= m.par.Gap {
			groups[n-1].last = i
		} else {
			groups = append(groups, group{i, i})
		}
	}
	for k := 1; k < len(groups); k++ {
		begin, swt, end := groups[k-1].last+1, groups[k].first, groups[k].last
		periods++
		if m.par.FirstPeriod && k > 1 {
			continue
		}
		zero := m.events[begin]
		var line [2]charge.Acc
		for i := begin; i < swt-m.par.NPOff; i++ {
			if k > 1 || !m.full(i, pixel) {
				m.add(&line[0], i, pixel, zero)
			}
		}
		for i := swt + m.par.NPOff; i < end; i++ {
			m.add(&line[1], i, pixel, zero)
		}
		if m.events[begin]-m.events[begin-1] > 1 && !m.par.Compat {
			unsure = line
			continue
		}
		for r := range line {
			for q := range line[r] {
				certain[r][q] += line[r][q]
			}
		}
	}
	return periods, certain, unsure
}

// resets lists the frames in which a ramp begins.
func (m *model) resets(pulsed []uint32, frames int) (out []int) {
	for i := 1; i < frames; i++ {
		had, lost := 0, 0
		for _, p := range pulsed {
			if m.on(i-1, int(p)) {
				had++
				if !m.on(i, int(p)) {
					lost++
				}
			}
		}
		if had > 0 && had*10 >= len(pulsed) && 2*lost > had {
			out = append(out, i)
		}
	}
	return out
}

// ramps returns what a pixel does in complete ramps.
func (m *model) ramps(pixel int, resets []int) (r charge.RampSum, own charge.Acc) {
	unsure := int64(-1)
	for k := 1; k < len(resets); k++ {
		begin, end := resets[k-1], resets[k]
		r.Ramps++
		rises, first, lit := 0, -1, 0
		for i := begin; i < end; i++ {
			if m.on(i, pixel) {
				lit++
				if i == begin || !m.on(i-1, pixel) {
					if rises++; rises == 1 {
						first = i
					}
				}
			}
		}
		last := end
		if first >= 0 {
			last = first - m.par.NPOff
		}
		for i := begin; i < last; i++ {
			if !m.full(i, pixel) {
				m.add(&own, i, pixel, m.events[begin])
			}
		}
		switch {
		case rises == 0:
			r.NoRise++
		case lit == end-begin:
			r.Always++
		}
		if rises > 1 {
			r.Multi++
		}
		if rises == 0 {
			continue
		}
		v := int64(m.events[first] - m.events[begin])
		if m.events[begin]-m.events[begin-1] > 1 {
			unsure = v
			continue
		}
		r.Switches++
		r.SV += v
		r.SVV += v * v
	}
	if r.Switches == 0 && unsure >= 0 {
		r.Switches, r.SV, r.SVV = 1, unsure, unsure*unsure
	}
	return r, own
}

// slope returns numerator and denominator of the slope of a pixel on the common clock.
func (m *model) slope(pixel, frames int, resets []int) (num, den int64) {
	var n, sv, svv, sy, svy int64
	begin := -1
	for i := range frames {
		for len(resets) > 0 && resets[0] == i {
			begin, resets = i, resets[1:]
		}
		if begin < 0 {
			continue
		}
		v, y := int64(m.events[i]-m.events[begin]), int64(m.words[i][pixel]&m.par.DataBits)
		n, sv, svv, sy, svy = n+1, sv+v, svv+v*v, sy+y, svy+v*y
	}
	return n*svy - sv*sy, n*svv - sv*sv
}

// randomStep makes frames in which a pulser is more or less to be seen: ramps of changing length, pixels that switch
// anywhere, flicker, are stuck, frames that were lost or are empty.
func randomStep(r *rand.Rand, rows, cols int, par charge.Params, pulsed []uint32) (frames [][]uint16, events []int32) {
	n, period := 1+r.IntN(400), 30+r.IntN(150)
	if r.IntN(10) == 0 {
		n = r.IntN(4)
	}
	flicker := []int{0, 3, 30}[r.IntN(3)]
	loss := []int{0, 1, 20}[r.IntN(3)]
	at := make([]int, rows*cols)
	for i := range at {
		at[i] = r.IntN(period + period/4)
	}
	event := int32(r.IntN(50))
	for k := range n {
		event++
		if r.IntN(100) < loss {
			event += int32(r.IntN(3 * (par.Gap + 2)))
		}
		f := make([]uint16, rows*cols)
		v := int(event) % period
		for i := range f {
			f[i] = uint16(r.IntN(1+int(par.DataBits))) & par.DataBits
			if r.IntN(12) == 0 {
				f[i] = par.DataBits
			}
		}
		for _, p := range pulsed {
			lit := v >= at[p] != (r.IntN(200) < flicker)
			if lit {
				f[p] |= par.GainBit
			}
		}
		if r.IntN(200) == 0 && k > 0 {
			clear(f)
		}
		frames, events = append(frames, f), append(events, event)
	}
	return frames, events
}

// TestAgainstModel compares random steps with their definition, frame by frame in pieces of any size.
// go test ./internal/stats/charge -run AgainstModel -charge.rounds 10000
func TestAgainstModel(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(*rounds) {
		r := rand.New(rand.NewPCG(seed, 3))
		par := charge.Params{GainBit: []uint16{0x4000, 0x8000}[r.IntN(2)], DataBits: 0x3fff, NPOff: r.IntN(14), Gap: r.IntN(14), FirstPeriod: r.IntN(4) == 0, Compat: r.IntN(2) == 0}
		rows, cols, space := 2+r.IntN(6), 2+r.IntN(6), 1+r.IntN(3)
		pulsed := charge.Grid(rows, cols, r.IntN(space*space), space)
		frames, events := randomStep(r, rows, cols, par, pulsed)
		st, err := charge.NewStep(par, rows, cols, pulsed, events)
		if err != nil {
			t.Fatal(err)
		}
		for rest := frames; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			st.Add(rest[:n])
			rest = rest[n:]
		}
		got, err := st.Sums(charge.LeastPoints)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		m := &model{par: par}
		for i, f := range frames {
			if par.Compat || !charge.Empty(f) {
				m.words, m.events = append(m.words, f), append(m.events, events[i])
			}
		}
		if bad := m.compare(got, pulsed, seen); bad != "" {
			t.Fatalf("seed %d (%+v, %d frames of %d x %d, space %d): %s", seed, par, len(frames), rows, cols, space, bad)
		}
	}
	for _, what := range []string{"periods", "ramps", "unsure", "multi", "always", "no rise", "slope"} {
		if seen[what] == 0 {
			t.Errorf("no random step has %s: the test says nothing about it", what)
		}
	}
}

// compare says what differs from the model.
func (m *model) compare(got *charge.Sums, pulsed []uint32, seen map[string]int) string {
	frames := max(0, len(m.words)-1)
	resets := m.resets(pulsed, frames)
	for i, p := range pulsed {
		periods, certain, unsure := m.lines(int(p), frames)
		want := certain
		if min(certain[0][0], certain[1][0]) < charge.LeastPoints && min(unsure[0][0], unsure[1][0]) >= charge.LeastPoints {
			want = unsure
			seen["unsure"]++
		}
		ramp, own := m.ramps(int(p), resets)
		switch {
		case int(got.Periods[i]) != periods:
			return "periods"
		case got.Line[0][i] != want[0] || got.Line[1][i] != want[1]:
			return "sums of lines"
		case got.Ramp[i] != ramp:
			return "ramps"
		case got.Own[i] != own:
			return "sums on the common clock"
		}
		seen["periods"] += periods
		seen["ramps"] += int(ramp.Ramps)
		seen["multi"] += int(ramp.Multi)
		seen["always"] += int(ramp.Always)
		seen["no rise"] += int(ramp.NoRise)
	}
	for q, p := range got.Beside {
		num, den := m.slope(int(p), frames, resets)
		if got.SlopeNum[q] != num || got.SlopeDen != den {
			return "slope beside pulsed pixels"
		}
		if num != 0 {
			seen["slope"]++
		}
	}
	return ""
}
