package plan

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
)

// Prepare returns the index as a job sees it: with the gain modes of the panels, found from their words, and
// with the part of the panels that is wanted. The result shares extents with x. way says how raw files are
// read (sweep.Open).
func Prepare(ctx context.Context, x *frame.Index, par Params, way string) (*frame.Index, error) {
	y := *x
	family, _ := detector.Lookup(x.Panels[0].Type)
	if mode := par.GainMode; mode != "" && family.GainIndex(mode) < 0 {
		err := fault.New(fault.Usage, "detector type %s has no gain mode %q", x.Panels[0].Type, mode)
		if len(family.GainModes) == 0 {
			return nil, err.WithHint("it has one gain: leave --gain-mode out")
		}
		return nil, err.WithHint("gain modes: %s", strings.Join(family.GainModes, ", "))
	}
	if family.GainBits != 0 {
		if err := settleGains(ctx, &y, family, par, way); err != nil {
			return nil, err
		}
	}
	if len(par.Slice) == 4 {
		if err := crop(&y, par.Slice); err != nil {
			return nil, err
		}
	}
	return &y, nil
}

// crop cuts the panels of an index and their gain maps.
func crop(x *frame.Index, slice []int) error {
	panels, maps := x.Panels, x.GainMaps
	x.Panels, x.GainMaps, x.Steps = slices.Clone(panels), nil, slices.Clone(x.Steps)
	for i := range x.Panels {
		var err error
		if x.Panels[i], err = panels[i].Crop(slice[0], slice[1], slice[2], slice[3]); err != nil {
			return fault.New(fault.Usage, "--slice: %w", err)
		}
	}
	for i := range x.Steps {
		gains := slices.Clone(x.Steps[i].Gains)
		for p := range gains {
			if gains[p].Map == 0 {
				continue
			}
			whole := maps[gains[p].Map-1]
			var part []uint8
			for r := slice[0]; r < slice[1]; r++ {
				part = append(part, whole[r*panels[p].Cols+slice[2]:r*panels[p].Cols+slice[3]]...)
			}
			gains[p].Map = x.AddGainMap(part)
		}
		x.Steps[i].Gains = gains
	}
	return nil
}

// settleGains finds the gain modes of all panels in all steps with events. What the words say is read off some
// of the frames; --compat believes descriptions and configurations, as the originals do. Charge injection has words
// of two gains in each frame.
func settleGains(ctx context.Context, x *frame.Index, family detector.Family, par Params, way string) error {
	var words map[[2]int]census
	if par.Compat == "" && !par.Charge() {
		var err error
		if words, err = takeCensus(ctx, x, family, par, way); err != nil {
			return err
		}
	}
	x.Steps, x.Notes = slices.Clone(x.Steps), slices.Clip(x.Notes)
	told := map[string]int{}
	for i := range x.Steps {
		s := &x.Steps[i]
		if s.Events == 0 {
			continue
		}
		gains := make([]frame.Gain, len(x.Panels))
		for panel := range x.Panels {
			g := s.Gain(panel)
			var maps []uint8
			if g.Map > 0 && !par.Charge() {
				maps = x.GainMaps[g.Map-1]
			}
			err := settlePanel(&g, family, maps, words[[2]int{i, panel}], par.GainMode)
			if err != nil && (len(par.Steps) == 0 || slices.Contains(par.Steps, s.Number)) && wanted(par, x.Panels[panel]) {
				return fault.New(fault.Input, "step %d of run %d: %s: %w", s.Number, x.Run.Number, x.Panels[panel], err).
					WithHint("leave it out with --step or --segment, or say which gain mode holds with --gain-mode")
			}
			if err != nil {
				g.Map, g.Parts = 0, []frame.GainPart{{}}
			}
			if n := noteOf(g, family); n != "" && !par.Charge() {
				told[fmt.Sprintf("step %d: %s", s.Number, n)]++
			}
			gains[panel] = g
		}
		followOthers(gains)
		s.Gains = gains
	}
	for _, text := range slices.Sorted(maps.Keys(told)) {
		x.Notes = append(x.Notes, fmt.Sprintf("%s (%s)", text, fault.Count(told[text], "panel")))
	}
	return nil
}

// followOthers sets the gain mode of panels whose words are not known, as they have no frame, to that of panels of which the
// same is said.
func followOthers(gains []frame.Gain) {
	for i := range gains {
		g := &gains[i]
		if g.Map > 0 || g.Parts[0].Bits != nil {
			continue
		}
		for _, o := range gains {
			if o.Map == 0 && o.Parts[0].Bits != nil && o.Doc == g.Doc && o.Config == g.Config {
				g.Parts = []frame.GainPart{{Mode: o.Parts[0].Mode, Bits: o.Parts[0].Bits}}
				break
			}
		}
	}
}

// noteOf returns what a person should know of how a gain was found, or nothing.
func noteOf(g frame.Gain, family detector.Family) string {
	claim := g.Doc
	if claim == "" {
		claim = g.Config
	}
	switch p := g.Parts[0]; {
	case g.Map > 0:
		return fmt.Sprintf("pixels have different gain settings, each is judged in its own gain mode: %s", g)
	case p.Mode == "" && len(family.GainModes) > 0:
		return "the data do not tell the gain mode (--gain-mode does)"
	case claim != "" && p.Bits != nil && family.SettingIndex(claim) >= 0 && family.Settings[family.SettingIndex(claim)].Modes[0] != p.Mode:
		return fmt.Sprintf("the words have the gain bits of %s, with the setting %s", p.Mode, claim)
	}
	return ""
}

// census counts words of a panel in a step, by setting in the gain map (one without a map) and by gain bits.
type census map[int]*[4]int

// most returns the gain bits of most words of a setting; nil if there are no words.
func (c census) most(family detector.Family, setting int) *uint16 {
	n := c[setting]
	if n == nil || n[0]+n[1]+n[2]+n[3] == 0 {
		return nil
	}
	best := 0
	for i := range n {
		if n[i] > n[best] {
			best = i
		}
	}
	v := uint16(best) << bits.TrailingZeros16(family.GainBits)
	return &v
}

// settlePanel finds the gain modes of a panel's pixels: those that agree with the words, and among them those
// that description and configuration name.
func settlePanel(g *frame.Gain, family detector.Family, pixels []uint8, words census, forced string) error {
	if pixels == nil || forced != "" {
		known := ""
		if len(g.Parts) == 1 {
			known = g.Parts[0].Mode // by those who made the index
		}
		p := frame.GainPart{Bits: words.most(family, 0)}
		var err error
		p.Mode, err = settle(family, p.Bits, claimsOf(family, *g, forced, known))
		g.Map, g.Parts = 0, []frame.GainPart{p}
		return err
	}
	var count [256]int
	for _, s := range pixels {
		count[s]++
	}
	if g.Doc != "" {
		if _, err := settle(family, nil, claimsOf(family, *g, "", "")); err != nil {
			return err
		}
	}
	g.Parts = nil
	for i, s := range family.Settings {
		if count[i] == 0 {
			continue
		}
		p := frame.GainPart{Setting: i, Pixels: count[i], Bits: words.most(family, i)}
		var err error
		if p.Mode, err = settle(family, p.Bits, []claim{{"the configuration of their pixels says " + s.Name, s.Modes}}); err != nil {
			return err
		}
		g.Parts = append(g.Parts, p)
	}
	if g.Parts == nil {
		return fmt.Errorf("no pixel has a gain setting that is known")
	}
	return nil
}

// claim is a statement about the gain, in words, and the modes that agree with it.
type claim struct {
	text  string
	modes []string
}

// claimsOf lists what is said of a panel's gain.
func claimsOf(family detector.Family, g frame.Gain, forced, known string) (claims []claim) {
	switch {
	case forced != "":
		return []claim{{"--gain-mode says " + forced, []string{forced}}}
	case known != "":
		return []claim{{"the frames are said to be in " + known, []string{known}}}
	}
	for _, c := range []struct{ who, name string }{{"the description of the step", g.Doc}, {"the configuration", g.Config}} {
		if i := family.SettingIndex(c.name); i >= 0 {
			claims = append(claims, claim{c.who + " says " + c.name, family.Settings[i].Modes})
		}
	}
	return claims
}

// settle returns the gain mode that agrees with the gain bits of most words (nil: not known) and with all claims;
// empty where several do and no claim prefers one.
func settle(family detector.Family, words *uint16, claims []claim) (string, error) {
	if len(family.GainModes) == 0 {
		return "", nil
	}
	var all []string
	var say []string
	for i, mode := range family.GainModes {
		if words == nil || family.GainPatterns[i] == *words {
			all = append(all, mode)
		}
	}
	if words != nil {
		say = append(say, "most of the words have the gain bits of "+strings.Join(all, " or "))
	}
	if len(all) == 0 {
		return "", fmt.Errorf("most of the words have gain bits that no gain mode has (%#04x)", *words)
	}
	fit := all
	for _, c := range claims {
		var both []string
		for _, mode := range c.modes {
			if slices.Contains(fit, mode) {
				both = append(both, mode)
			}
		}
		fit, say = both, append(say, c.text)
	}
	switch {
	case len(fit) == 0:
		return "", fmt.Errorf("%s", strings.Join(say, ", but "))
	case len(claims) > 0 || len(fit) == 1:
		return fit[0], nil
	}
	return "", nil
}

// sampleFrames is how many frames of a step are looked at: of each a part, of all together every pixel once.
const sampleFrames = 16

// Reach returns the number of bits that the words of some frames need, at least 8: what stands for the real number
// of bits of a camera that does not tell it.
func Reach(ctx context.Context, x *frame.Index, way string) (int, error) {
	src, err := sweep.Open(x.Files, way, sweep.Options{Headings: x.Headings})
	if err != nil {
		return 0, err
	}
	defer src.Close()
	var all uint16
	var look []glance
	for panel := range x.Panels {
		var extents []frame.Extent
		for _, ext := range ofPanel(x, panel) {
			if ext.State == frame.Present {
				extents = append(extents, ext)
			}
		}
		look = append(look, glance{panel: x.Panels[panel], extents: extents, at: func(px []uint16, _ int) {
			for _, v := range px {
				all |= v
			}
		}})
	}
	if err := glances(ctx, src, look); err != nil {
		return 0, fmt.Errorf("could not read how far words reach: %w", err)
	}
	return max(8, bits.Len16(all)), nil
}

// glance is a look at frames that lie evenly among those given, of each at another part of the pixels.
type glance struct {
	panel   frame.Panel
	extents []frame.Extent
	at      func(px []uint16, lo int)
}

// glances takes a few frames each to those who look, one after the other.
func glances(ctx context.Context, src *sweep.Source, list []glance) error {
	sw := sweep.Sweep{Workers: 1}
	var of []int
	for i, g := range list {
		n, all := min(sampleFrames, len(g.extents)), g.panel.Pixels()
		for k := range n {
			at := k * len(g.extents) / n
			sw.Lanes = append(sw.Lanes, sweep.Lane{Panel: g.panel, Extents: g.extents[at : at+1], Bands: []sweep.Span{{Lo: k * all / n, Hi: (k + 1) * all / n}}})
			of = append(of, i)
		}
	}
	sw.Do = func(b sweep.Batch) error {
		list[of[b.Lane]].at(b.Frames[0], b.Lo)
		return nil
	}
	return src.Sweep(ctx, sw)
}

// takeCensus counts the words of some frames of every step and panel by their gain bits.
func takeCensus(ctx context.Context, x *frame.Index, family detector.Family, par Params, way string) (map[[2]int]census, error) {
	if len(x.Files) == 0 {
		return nil, nil
	}
	src, err := sweep.Open(x.Files, way, sweep.Options{Headings: x.Headings})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	events := map[int32][]int{}
	for e, event := range x.Events {
		events[event.Step] = append(events[event.Step], e)
	}
	var look []glance
	list := make([]census, len(x.Steps)*len(x.Panels))
	for i := range x.Steps {
		for panel := range x.Panels {
			c := sampler{family: family, keepZeros: par.ZerosCount(), counts: census{}}
			if m := x.Steps[i].Gain(panel).Map; m > 0 {
				c.pixels = x.GainMaps[m-1]
			}
			var extents []frame.Extent
			for _, e := range events[int32(x.Steps[i].Number)] {
				if ext := x.At(e, panel); ext.State == frame.Present {
					extents = append(extents, *ext)
				}
			}
			list[i*len(x.Panels)+panel] = c.counts
			look = append(look, glance{panel: x.Panels[panel], extents: extents, at: c.take})
		}
	}
	if err := glances(ctx, src, look); err != nil {
		return nil, fmt.Errorf("could not read the gain bits: %w", err)
	}
	words := map[[2]int]census{}
	for i, c := range list {
		words[[2]int{i / len(x.Panels), i % len(x.Panels)}] = c
	}
	return words, nil
}

// sampler counts the words of a panel.
type sampler struct {
	family    detector.Family
	pixels    []uint8 // gain map, nil: all pixels have one setting
	keepZeros bool
	counts    census
}

// take counts the words of some pixels of a frame. Parts of nothing but zeros say nothing.
func (c *sampler) take(px []uint16, lo int) {
	if c.keepZeros || slices.ContainsFunc(px, func(v uint16) bool { return v != 0 }) {
		c.count(px, lo)
	}
}

// count counts words from pixel lo on.
func (c *sampler) count(px []uint16, lo int) {
	shift := bits.TrailingZeros16(c.family.GainBits)
	if c.pixels == nil {
		n := c.of(0)
		for _, v := range px {
			n[v&c.family.GainBits>>shift&3]++
		}
		return
	}
	for i, v := range px {
		c.of(int(c.pixels[lo+i]))[v&c.family.GainBits>>shift&3]++
	}
}

// of returns the counts of a setting.
func (c *sampler) of(setting int) *[4]int {
	n := c.counts[setting]
	if n == nil {
		n = new([4]int)
		c.counts[setting] = n
	}
	return n
}
