package geometry

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// Geometry is the content of a file.
type Geometry struct {
	name string
	top  *object
}

// object is one thing with a place.
type object struct {
	name     string
	index    int
	at       [3]float64 // in the parent, um
	angle    [3]float64 // about z, y, x: rotation plus tilt, degrees
	segment  *segment   // nil: it has children instead
	children []*object
}

// fields is the number of words of a line.
const fields = 13

// Read reads a geometry; name is for messages.
func Read(r io.Reader, name string) (*Geometry, error) {
	type key struct {
		name  string
		index int
	}
	objects := map[key]*object{}
	var placed []*object
	var parents []key // of placed
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		text := strings.TrimSpace(s.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		o, parent, index, err := parse(strings.Fields(text))
		if err != nil {
			return nil, fault.New(fault.Input, "geometry %q line %d: %w", name, n, err)
		}
		k := key{o.name, o.index}
		if objects[k] == nil { // the first of a name is the parent of what is in it
			objects[k] = o
		}
		placed = append(placed, o)
		parents = append(parents, key{parent, index})
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fault.New(fault.Input, "%q is not a geometry: %w", name, err)
		}
		return nil, fmt.Errorf("could not read %q: %w", name, err)
	}
	g := &Geometry{name: name}
	tops := map[key]*object{}
	for i, o := range placed {
		k := parents[i]
		p := objects[k]
		if p == nil {
			if p = tops[k]; p == nil {
				p = &object{name: k.name, index: k.index}
				tops[k], g.top = p, p
			}
		}
		p.children = append(p.children, o)
	}
	if len(tops) != 1 {
		return nil, fault.New(fault.Input, "geometry %q has %d objects that nothing places, wanted one (IP)", name, len(tops))
	}
	return g, nil
}

// parse takes a line apart.
func parse(f []string) (o *object, parent string, index int, err error) {
	if len(f) != fields {
		return nil, "", 0, fmt.Errorf("%d words, wanted %d", len(f), fields)
	}
	o = &object{name: f[2]}
	if index, err = strconv.Atoi(f[1]); err == nil {
		o.index, err = strconv.Atoi(f[3])
	}
	if err != nil {
		return nil, "", 0, err
	}
	var v [9]float64
	for i := range v {
		if v[i], err = strconv.ParseFloat(f[4+i], 64); err != nil || math.IsNaN(v[i]) || math.Abs(v[i]) > 1e12 {
			return nil, "", 0, fmt.Errorf("%q is not a length or an angle", f[4+i])
		}
	}
	copy(o.at[:], v[:3])
	for i := range o.angle {
		o.angle[i] = v[3+i] + v[6+i]
	}
	o.segment, err = segmentOf(o.name)
	return o, f[0], index, err
}

// Picture says where the pixels of a detector lie: At has the index into Rows x Cols of each, segment after segment.
type Picture struct {
	Rows, Cols int
	At         []int32
}

// The largest detector and picture, in pixels.
const (
	maxDetector = 1 << 26
	maxPicture  = 1 << 27
)

// Picture places the pixels of the detector.
func (g *Geometry) Picture() (*Picture, error) {
	switch n := g.top.count(); {
	case n == 0:
		return nil, fault.New(fault.Input, "geometry %q has no segment with pixels", g.name)
	case n > maxDetector:
		return nil, fault.New(fault.Input, "geometry %q has more than %d pixels", g.name, maxDetector)
	}
	p := g.top.points()
	xmin, xmax, ymin, ymax := p.x[0], p.x[0], p.y[0], p.y[0]
	for i := range p.x {
		xmin, xmax = min(xmin, p.x[i]), max(xmax, p.x[i])
		ymin, ymax = min(ymin, p.y[i]), max(ymax, p.y[i])
	}
	xmin, ymin = xmin-p.size/2, ymin-p.size/2
	rows, cols := (xmax-xmin)/p.size+1, (ymax-ymin)/p.size+1
	if rows*cols > maxPicture {
		return nil, fault.New(fault.Input, "geometry %q makes a picture of %.0f x %.0f pixels: segments lie too far apart", g.name, rows, cols)
	}
	pic := &Picture{Rows: int((xmax-xmin)/p.size) + 1, Cols: int((ymax-ymin)/p.size) + 1, At: make([]int32, len(p.x))}
	for i := range p.x {
		pic.At[i] = int32(int((p.x[i]-xmin)/p.size)*pic.Cols + int((p.y[i]-ymin)/p.size))
	}
	return pic, nil
}

// points are the pixels of an object.
type points struct {
	x, y, z []float64
	size    float64 // of a pixel of the first segment
}

// count returns the number of pixels of an object; no more than just above maxDetector.
func (o *object) count() (n int) {
	if o.segment != nil {
		n = len(o.segment.x) * len(o.segment.y)
	}
	for _, c := range o.children {
		if n <= maxDetector {
			n += c.count()
		}
	}
	return n
}

// points returns the pixels of an object, placed in its parent.
func (o *object) points() (p points) {
	if o.segment != nil {
		p = o.segment.points()
	}
	for _, c := range o.children {
		q := c.points()
		if p.size == 0 {
			p.size = q.size
		}
		p.x, p.y, p.z = append(p.x, q.x...), append(p.y, q.y...), append(p.z, q.z...)
	}
	rotate(p.x, p.y, o.angle[0])
	rotate(p.z, p.x, o.angle[1])
	rotate(p.y, p.z, o.angle[2])
	for i := range p.x {
		p.x[i] += o.at[0]
		p.y[i] += o.at[1]
		p.z[i] += o.at[2]
	}
	return p
}

// rotate turns points of a plane by degrees: a, b = a*cos - b*sin, b*cos + a*sin. Products are rounded before they are added.
func rotate(a, b []float64, degrees float64) {
	s, c := math.Sincos(degrees * (math.Pi / 180))
	for i, x := range a {
		y := b[i]
		a[i] = float64(x*c) - float64(y*s)
		b[i] = float64(y*c) + float64(x*s)
	}
}
