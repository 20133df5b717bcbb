package report

import (
	"context"
	"runtime"

	"rawstatus/internal/fault"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// DefaultMaxSize is the size in bytes above which a page leaves details out.
const DefaultMaxSize = 12 << 20

// Page is the subject of a report.
type Page struct {
	Title     string
	Subtitle  string
	Facts     []Fact
	Panels    []PanelInfo
	Gains     []string // at least one; "" is shown as no gain mode
	Findings  []verdict.Finding
	Bits      []Bit
	Baselines []string // names of what the status is compared with; the first one is in the table
	Sections  []Section
	MaxSize   int64 // 0: DefaultMaxSize
}

// Fact is a line of the facts.
type Fact struct{ Name, Value string }

// Wide reports whether the value needs a whole line.
func (f Fact) Wide() bool { return len(f.Value) > 90 }

// Trace is how a pixel answers a pulser: a line up to where it switches, another one from there. Its numbers are
// quantities of the page, by name; where one is unknown the line is left out.
type Trace struct {
	Name    string
	Length  int                // of the ramp
	Offset  [2]string          // value of each line at the begin of the ramp
	Slope   [2]string          // of each line, per unit of the ramp
	Switch  string             // where the second line begins
	Typical map[string]float64 // the median pixel
}

// Section is a further table of the page, e.g. the stretches of runs of a deployment.
type Section struct {
	Title, Text string
	Head        []string
	Rows        [][]string
}

// PanelInfo is a panel of the detector.
type PanelInfo struct {
	Name               string // for people, e.g. "segment 3"
	ID                 string
	Rows, Cols         int
	ASICRows, ASICCols int
}

// Bit is a row of the dictionary.
type Bit struct {
	Value   uint64
	Name    string
	Meaning string
	Rules   []string // by gain: with the numbers of this run
	Class   Class
}

// Unit is one panel in one gain mode.
type Unit struct {
	Panel            int
	Expected, Frames int // 0, 0: not known
	Status           []uint64
	Baselines        [][]uint64 // as Page.Baselines; nil: nothing to compare with
	Quantities       []Quantity // the same list for all units of a page; none: status is all there is
}

// Quantity is a number that every pixel has.
type Quantity struct {
	Name, Unit string
	Map        bool // shown as map and histogram, else in the inspector only
	Value      func(pixel int) float64
	Limits     []Limit
}

// Limit is a criterion and where on the panel it holds; Rows 0: everywhere.
type Limit struct {
	status.Criterion
	Row, Col, Rows, Cols int
}

// Builder puts a page together, one gain mode after the other.
type Builder struct {
	page       Page
	quantities []Quantity // without values
	units      []*unit    // by gain*panels + panel; nil: there is none
	listed     []entry    // of all units, as far as the page has room
	lines      []Trace
	runs       []string
}

// New begins a page.
func New(page Page) *Builder {
	if page.MaxSize == 0 {
		page.MaxSize = DefaultMaxSize
	}
	return &Builder{page: page, units: make([]*unit, len(page.Gains)*len(page.Panels))}
}

// AddGain adds units of one gain mode. They are encoded at once: nothing of them is kept.
func (b *Builder) AddGain(ctx context.Context, gain int, units []Unit) error {
	spans := b.spans(units)
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, u := range units {
		g.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			b.units[gain*len(b.page.Panels)+u.Panel], err = b.encode(u, spans)
			return err
		})
	}
	return g.Wait()
}

// Units of quantities that are no measured values.
const (
	RunUnit   = "run"  // a position in the list of Builder.Runs
	CountUnit = "runs" // a number of runs
)

// Runs names the runs that quantities of RunUnit speak of.
func (b *Builder) Runs(names []string) { b.runs = names }

// Draw sets the traces that the inspector draws for a pixel.
func (b *Builder) Draw(traces []Trace) { b.lines = traces }

// Describe sets what is known only when all pixels were seen.
func (b *Builder) Describe(facts []Fact, findings []verdict.Finding) {
	b.page.Facts, b.page.Findings = facts, findings
}
