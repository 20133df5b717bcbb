package publish

import (
	"context"
	"slices"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
)

// Comparison holds the words of a plan and of what analysis uses now, to be looked at.
type Comparison struct {
	Shown  []string // constants in force whose words it has
	plan   *Plan
	arrays []calibtxt.Sparse
}

// mostShown bounds the constants that are held in memory to be looked at.
const mostShown = 3

// Look is one panel in one gain mode, proposed and as it is in each constant of [Comparison.Shown].
type Look struct {
	Proposed []uint64
	Now      [][]uint64
}

// Gains returns the gain modes of the array; "" when there is one.
func (p *Plan) Gains() []string { return p.merged.gains() }

// Compared reads the constants that the plan's stretches of runs use now, as far as they have the size of the new
// array, which must be complete.
func (p *Plan) Compared(ctx context.Context, dest calib.Destination) (*Comparison, error) {
	items, _, err := dest.Items(ctx)
	if err != nil {
		return nil, err
	}
	c := &Comparison{plan: p}
	for _, s := range p.Stretches {
		at := slices.IndexFunc(items, func(x calib.Item) bool { return x.Name == s.Now })
		if at < 0 || s.Problem != "" || slices.Contains(c.Shown, s.Now) || len(c.Shown) == mostShown {
			continue
		}
		old, _, err := dest.Read(ctx, items[at])
		if err != nil {
			return nil, err
		}
		if old.Words.Pixels == p.merged.array.Words.Pixels {
			c.Shown, c.arrays = append(c.Shown, s.Now), append(c.arrays, old.Words)
		}
	}
	return c, nil
}

// Panel returns the words of one panel, by its position in Plan.Tiles, in one gain mode.
func (c *Comparison) Panel(gain, position int) Look {
	l := c.plan.merged.layout()
	base, step := l.at(gain, position)
	take := func(a calibtxt.Sparse) []uint64 {
		out := make([]uint64, l.pixels)
		first, _ := slices.BinarySearch(a.At, uint32(base))
		for i := first; i < len(a.At) && int(a.At[i]) <= base+(l.pixels-1)*step; i++ {
			if k := int(a.At[i]) - base; k%step == 0 {
				out[k/step] = a.Words[i]
			}
		}
		return out
	}
	look := Look{Proposed: take(c.plan.merged.array.Words)}
	for _, old := range c.arrays {
		look.Now = append(look.Now, take(old))
	}
	return look
}
