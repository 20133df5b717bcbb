package task

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// errZerosLead ends a sweep that cannot find the gates: one of the leading frames may be no data.
var errZerosLead = errors.New("frames of zeros among those that give the gates")

// lead makes the gates of a unit from its leading frames, a band at a time.
type lead struct {
	lo, hi    []uint16 // by pixel; nil where they are missing
	missing   bool     // they are to be found in the leading frames of the sweep that counts
	params    quantile.GateParams
	block     int  // frames that give the gates
	zeros     int  // frames of zeros that give them, too
	keepZeros bool // frames of nothing but zeros are data
	clip      bool
	twoPass   bool // by average and rms
}

// gates returns the gates of a shard: those of an earlier job, or from its unit's leading frames. Where these
// are the shard's own, and inSweep says so, they are left to the sweep that counts them.
func (w *worker) gates(shard int, inSweep bool) (*lead, error) {
	g := &lead{keepZeros: w.plan.Params.ZerosCount()}
	s := w.plan.Shards[shard]
	panel := w.plan.Panel(s.Unit)
	wordMax := uint16(0xffff)
	if panel.Codec.Bytewise() {
		wordMax = 0xff
	}
	g.params = w.plan.Params.Gates(wordMax)
	seq := w.plan.Params.Sequence(w.plan.Units[s.Unit].Selected)
	g.block, g.zeros, g.twoPass = seq.Block, seq.BlockZeros, w.plan.Params.TwoPass != nil
	// Gates of two passes are inside the limits already; the original truncates the lower one, and leaves it so.
	g.clip = !seq.Stage1Only && (!g.twoPass || w.plan.Params.Compat == "")
	if seq.GatesGiven {
		var err error
		if g.lo, g.hi, err = w.earlierGates(s.Unit); err == nil && g.clip {
			quantile.Clip(g.params, g.lo, g.hi)
		}
		return g, err
	}
	if inSweep && !seq.Stage1Only && !g.twoPass && g.block > 0 && s.Lo == 0 && s.Hi >= g.block && int64(g.block)*2*int64(panel.Pixels()) <= plan.LeadBytes {
		g.missing = true
		return g, nil
	}
	g.lo, g.hi = make([]uint16, panel.Pixels()), make([]uint16, panel.Pixels())
	return g, w.leadingGates(s.Unit, g)
}

// earlierGates reads the windows that an earlier job has left in its work directory.
func (w *worker) earlierGates(unit int) (lo, hi []uint16, err error) {
	lo, hi, sum, err := w.plan.Gates(unit)
	if err == nil && sum != w.plan.Units[unit].Gates {
		err = fault.New(fault.Input, "the gates in %q have changed since the plan was made", w.plan.Params.GatesFrom).WithHint("make the plan again with `rawstatus plan`")
	}
	return lo, hi, err
}

// zerosAmong returns which of the leading frames have nothing but zeros here, and so may be no data.
func (g *lead) zerosAmong(frames [][]uint16) (doubt []int) {
	for i := 0; i < len(frames) && !g.keepZeros; i++ {
		if allZero(frames[i]) {
			doubt = append(doubt, i)
		}
	}
	return doubt
}

// find makes the gates of some pixels from the leading frames.
func (g *lead) find(gateLo, gateHi []uint16, frames [][]uint16) {
	px := slices.Clip(frames)
	for range g.zeros {
		px = append(px, make([]uint16, len(gateLo)))
	}
	quantile.Stage1(px, g.params, gateLo, gateHi)
	if g.clip {
		quantile.Clip(g.params, gateLo, gateHi)
	}
}

// leadingGates finds the gates of a unit in sweeps of their own over its leading frames, and over others instead
// of those that are no data.
func (w *worker) leadingGates(unit int, g *lead) error {
	panel := w.plan.Panel(unit)
	frames, err := w.index.Frames(unit)
	if err != nil {
		return err
	}
	if g.block > len(frames) || g.block+g.zeros == 0 {
		return fmt.Errorf("gates from %d of %s", g.block, fault.Count(len(frames), "frame"))
	}
	lost := make([]bool, len(frames))
	for {
		var numbers []int
		var extents []frame.Extent
		for k := 0; k < len(frames) && len(extents) < g.block; k++ {
			if !lost[k] {
				numbers, extents = append(numbers, k), append(extents, frames[k])
			}
		}
		if g.block = len(extents); g.block+g.zeros == 0 {
			clear(g.lo)
			clear(g.hi)
			return nil // no frame is data
		}
		doubt, err := w.gatesOf(panel, extents, g)
		if err != nil {
			return err
		}
		var doubted []frame.Extent
		for _, i := range doubt {
			doubted = append(doubted, extents[i])
		}
		zero, err := w.zeroFrames(panel, doubted)
		if err != nil || !slices.Contains(zero, true) {
			return err
		}
		for i, z := range zero {
			lost[numbers[doubt[i]]] = z
		}
	}
}

// gatesOf finds the gates from the given frames, and returns those that have nothing but zeros in some band.
func (w *worker) gatesOf(panel frame.Panel, extents []frame.Extent, g *lead) (doubt []int, err error) {
	switch {
	case len(extents) == 0: // only frames of zeros
		g.find(g.lo, g.hi, nil)
		return nil, nil
	case g.twoPass:
		return w.twoPassGates(panel, extents, g)
	}
	return w.leadingBands(panel, extents, g, func(lo int, frames [][]uint16) {
		hi := lo + len(frames[0])
		g.find(g.lo[lo:hi], g.hi[lo:hi], frames)
	})
}

// twoPassGates finds the gates from averages and rms of the given frames.
func (w *worker) twoPassGates(panel frame.Panel, extents []frame.Extent, g *lead) (doubt []int, err error) {
	n := panel.Pixels()
	sum0, sum1, sum2 := make([]uint32, n), make([]uint64, n), make([]uint64, n)
	for i := range g.hi {
		g.lo[i], g.hi[i] = 0, math.MaxUint16
	}
	quantile.Clip(g.params, g.lo, g.hi) // of the first pass: the absolute limits
	doubt, err = w.leadingBands(panel, extents, g, func(lo int, frames [][]uint16) {
		hi := lo + len(frames[0])
		first := accum.NewGated(hi-lo, accum.Params{DataBits: g.params.DataBits, HiAbove: math.MaxUint16}, g.lo[lo:hi], g.hi[lo:hi])
		first.Add(0, frames)
		sums := first.Planes()
		copy(sum0[lo:hi], sums.Sum0)
		copy(sum1[lo:hi], sums.Sum1)
		copy(sum2[lo:hi], sums.Sum2)
	})
	w.plan.Params.TwoPass.Gates(g.lo, g.hi, sum0, sum1, sum2, g.params.IntLo, g.params.IntHi, status.Compat(w.plan.Params.Compat))
	if g.clip {
		quantile.Clip(g.params, g.lo, g.hi)
	}
	return doubt, err
}

// leadingBands calls do with the pixels of all leading frames from lo on, a band after the other, from several
// goroutines. Memory is bounded: some pixels are read at a time. It returns the frames that have nothing but zeros
// in some band.
func (w *worker) leadingBands(panel frame.Panel, extents []frame.Extent, g *lead, do func(lo int, frames [][]uint16)) (doubt []int, err error) {
	all := panel.Pixels()
	part := max(64, int(plan.LeadBytes/2/int64(len(extents)))/64*64)
	for at := 0; at < all; at += part {
		end := min(at+part, all)
		band := max(64, min(plan.GateBand(len(extents)), (end-at)/w.opt.Workers)/64*64)
		l := sweep.Lane{Panel: panel, Extents: extents}
		for lo := at; lo < end; lo += band {
			l.Bands = append(l.Bands, sweep.Span{Lo: lo, Hi: min(lo+band, end)})
		}
		var mu sync.Mutex
		err := w.sweep(sweep.Sweep{Lanes: []sweep.Lane{l}, Lead: len(extents)}, func(b sweep.Batch) error {
			do(b.Lo, b.Frames)
			zeros := g.zerosAmong(b.Frames)
			mu.Lock()
			defer mu.Unlock()
			doubt = append(doubt, zeros...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(doubt)
	return slices.Compact(doubt), nil
}
