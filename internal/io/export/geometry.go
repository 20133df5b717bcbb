package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// Geometry holds the part of a CrystFEL geometry file that regions need: where each panel lies in the data array.
type Geometry struct {
	panels []geomPanel
	names  []string // of panels and bad regions
	about  string   // for the comment
}

// geomPanel is one panel of a geometry file; corners are inclusive.
type geomPanel struct {
	name                       string
	minFS, maxFS, minSS, maxSS int
	dims                       map[int]string
	given                      int // corners that the file has
}

// placed is a panel of the geometry over part of a panel of the detector.
type placed struct {
	name         string
	minFS, minSS int
	at           int // panel of the detector
	row, col     int // first pixel in it
	rows, cols   int
}

// stacked returns the geometry of panels one below the other.
func stacked(m *Mask) *Geometry {
	g := &Geometry{about: "in an array of panels p0, p1, ... one below the other"}
	for i := range m.Panels {
		name := fmt.Sprintf("p%d", i)
		g.names = append(g.names, name)
		g.panels = append(g.panels, geomPanel{name: name, maxFS: m.Cols - 1, minSS: i * m.Rows, maxSS: (i+1)*m.Rows - 1, given: 4})
	}
	return g
}

// ReadGeometry reads the panels of a CrystFEL geometry file; name is for messages.
func ReadGeometry(r io.Reader, name string) (*Geometry, error) {
	g := &Geometry{about: fmt.Sprintf("for the panels of %q", name)}
	defaults := geomPanel{dims: map[int]string{}}
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		text, _, _ := strings.Cut(s.Text(), ";")
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		panel, item, ofPanel := strings.Cut(key, "/")
		if !ofPanel {
			if err := defaults.set(key, value); err != nil {
				return nil, fault.New(fault.Input, "%q line %d: %w", name, n, err)
			}
			continue
		}
		if !slices.Contains(g.names, panel) {
			g.names = append(g.names, panel)
		}
		if strings.HasPrefix(panel, "bad") {
			continue
		}
		i := slices.IndexFunc(g.panels, func(p geomPanel) bool { return p.name == panel })
		if i < 0 {
			p := defaults
			p.name, p.dims = panel, map[int]string{}
			for k, v := range defaults.dims {
				p.dims[k] = v
			}
			i, g.panels = len(g.panels), append(g.panels, p)
		}
		if err := g.panels[i].set(item, value); err != nil {
			return nil, fault.New(fault.Input, "%q line %d: panel %s: %w", name, n, panel, err)
		}
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fault.New(fault.Input, "%q is not a CrystFEL geometry file: %w", name, err)
		}
		return nil, fmt.Errorf("could not read %q: %w", name, err)
	}
	if len(g.panels) == 0 {
		return nil, fault.New(fault.Input, "%q has no panels", name).WithHint("a CrystFEL geometry file has lines like p0/min_fs = 0")
	}
	return g, nil
}

// set takes up one line of a panel; lines about other things are passed over.
func (p *geomPanel) set(key, value string) error {
	if dim, ok := strings.CutPrefix(key, "dim"); ok {
		if n, err := strconv.Atoi(dim); err == nil {
			p.dims[n] = value
		}
		return nil
	}
	corners := map[string]*int{"min_fs": &p.minFS, "max_fs": &p.maxFS, "min_ss": &p.minSS, "max_ss": &p.maxSS}
	to := corners[key]
	if to == nil {
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 1<<30 {
		return fmt.Errorf("%s = %q: wanted a whole number from 0", key, value)
	}
	*to = n
	p.given++
	return nil
}

// place finds for each panel of the geometry the part of the detector that it covers: by its number in the array's
// dimension of panels if it has one, else by its rows, panels of the detector being one below the other.
func (g *Geometry) place(m *Mask) ([]placed, error) {
	var out []placed
	for _, p := range g.panels {
		if p.given < 4 || p.maxFS < p.minFS || p.maxSS < p.minSS {
			return nil, fault.New(fault.Input, "geometry: panel %s has corners fs %d..%d, ss %d..%d", p.name, p.minFS, p.maxFS, p.minSS, p.maxSS).
				WithHint("a panel needs min_fs, max_fs, min_ss and max_ss")
		}
		q := placed{name: p.name, minFS: p.minFS, minSS: p.minSS, row: p.minSS, col: p.minFS, rows: p.maxSS - p.minSS + 1, cols: p.maxFS - p.minFS + 1}
		number, numbered, err := p.number()
		if err != nil {
			return nil, err
		}
		if q.at = number; !numbered {
			q.at, q.row = p.minSS/m.Rows, p.minSS%m.Rows
		}
		if q.at >= len(m.Panels) || q.row+q.rows > m.Rows || q.col+q.cols > m.Cols {
			return nil, fault.New(fault.Input, "geometry: panel %s (fs %d..%d, ss %d..%d) is not inside one of the %s of %d x %s",
				p.name, p.minFS, p.maxFS, p.minSS, p.maxSS, fault.Count(len(m.Panels), "panel"), m.Rows, fault.Count(m.Cols, "pixel")).
				WithHint("the geometry is of another detector, or of an array in another layout")
		}
		out = append(out, q)
	}
	return out, nil
}

// number returns the panel's place in the array's dimension of panels, if the array has one.
func (p *geomPanel) number() (n int, ok bool, err error) {
	for _, value := range p.dims {
		v, err := strconv.Atoi(value)
		if err != nil {
			continue // ss, fs or %
		}
		if ok || v < 0 {
			return 0, false, fault.New(fault.Input, "geometry: panel %s has several numbered dimensions, or a negative one: which is that of panels is not known", p.name)
		}
		n, ok = v, true
	}
	return n, ok, nil
}

// free returns a prefix that begins no name of the geometry.
func (g *Geometry) free(prefix string) string {
	for slices.ContainsFunc(g.names, func(s string) bool { return strings.HasPrefix(s, prefix) }) {
		prefix += "x"
	}
	return prefix
}
