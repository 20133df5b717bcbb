package export

import (
	"bufio"
	"fmt"
	"strings"

	"rawstatus/internal/fault"
)

// heading writes the notes and counts as comment lines.
func heading(w *bufio.Writer, mark string, m *Mask, counts string) {
	fmt.Fprintf(w, "%s rawstatus: %s of %s: %s\n", mark, fault.Count(m.Masked(), "masked pixel"), m.Detector, counts)
	for _, n := range m.Notes {
		fmt.Fprintf(w, "%s %s\n", mark, strings.Join(strings.Fields(n), " "))
	}
}

// writeList writes one line per masked pixel.
func writeList(w *bufio.Writer, m *Mask, res *Result) error {
	res.Masks, res.Regions = "pixels that are listed are masked", res.Masked
	heading(w, "#", m, fmt.Sprintf("%s of %d x %s", fault.Count(len(m.Panels), "panel"), m.Rows, fault.Count(m.Cols, "pixel")))
	fmt.Fprintf(w, "# panel row column status names\n")
	for p, words := range m.Panels {
		for i, word := range words {
			if word != 0 {
				fmt.Fprintf(w, "%d %d %d %d %s\n", p, i/m.Cols, i%m.Cols, word, m.names(word))
			}
		}
	}
	return nil
}

// writeDIALS writes regions for dials.generate_mask; panels count from 0, stacked ones are one panel.
func writeDIALS(w *bufio.Writer, m *Mask, stack bool, res *Result) error {
	res.Masks = "regions that are listed are masked"
	panels, rows := m.Panels, m.Rows
	if stack {
		a := m.layout(true, nil)
		panels, rows = [][]uint64{a.words}, a.shape[0]
	}
	res.Shape = []int{len(panels), rows, m.Cols}
	var regions [][]Rect
	for _, words := range panels {
		r := Rects(rows, m.Cols, func(i int) bool { return words[i] != 0 })
		res.Regions += len(r)
		regions = append(regions, r)
	}
	heading(w, "#", m, fault.Count(res.Regions, "region"))
	for p, list := range regions {
		for _, r := range list {
			if r.Pixels() == 1 {
				fmt.Fprintf(w, "untrusted {\n  panel = %d\n  pixel = %d %d\n}\n", p, r.Y0, r.X0)
			} else {
				fmt.Fprintf(w, "untrusted {\n  panel = %d\n  rectangle = %d %d %d %d\n}\n", p, r.X0, r.X1, r.Y0, r.Y1)
			}
		}
	}
	return nil
}

// writeXDS writes one line per region: pixels count from 1 and the limits lie outside.
func writeXDS(w *bufio.Writer, m *Mask, a *array, res *Result) error {
	res.Masks = "regions that are listed are masked"
	rows, cols := a.size()
	rects := Rects(rows, cols, a.masked)
	res.Regions = len(rects)
	heading(w, "!", m, fmt.Sprintf("%s of a picture of NX= %d NY= %d", fault.Count(len(rects), "region"), cols, rows))
	for _, r := range rects {
		fmt.Fprintf(w, "UNTRUSTED_RECTANGLE= %d %d %d %d\n", r.X0, r.X1+1, r.Y0, r.Y1+1)
	}
	return nil
}

// writeAreaDetector writes the bad pixels of one image; each gets the median of its neighbours.
func writeAreaDetector(w *bufio.Writer, a *array, res *Result) error {
	res.Masks = "pixels that are listed are replaced by the median of the 3 x 3 pixels around them"
	_, cols := a.size()
	res.Regions = res.Masked
	w.WriteString("{\"Bad pixels\":[")
	separator := "\n"
	for i := range a.words {
		if a.masked(i) {
			fmt.Fprintf(w, "%s{\"Pixel\":[%d,%d],\"Median\":[1,1]}", separator, i%cols, i/cols)
			separator = ",\n"
		}
	}
	w.WriteString("\n]}\n")
	return nil
}

// writeCrystFEL writes bad regions of the panels of a geometry file. Without one, panels are called p0, p1, ... and lie one
// below the other in the data array.
func writeCrystFEL(w *bufio.Writer, m *Mask, g *Geometry, res *Result) error {
	res.Masks = "regions that are listed are masked"
	if g == nil {
		g = stacked(m)
	}
	panels, err := g.place(m)
	if err != nil {
		return err
	}
	covered := make([][]bool, len(m.Panels))
	for p := range covered {
		covered[p] = make([]bool, m.Rows*m.Cols)
	}
	type region struct {
		panel placed
		Rect
	}
	var regions []region
	for _, p := range panels {
		words, seen := m.Panels[p.at], covered[p.at]
		for _, r := range Rects(p.rows, p.cols, func(i int) bool {
			at := (p.row+i/p.cols)*m.Cols + p.col + i%p.cols
			seen[at] = true
			return words[at] != 0
		}) {
			regions = append(regions, region{p, r})
		}
	}
	for p, words := range m.Panels {
		for i, word := range words {
			if word != 0 && !covered[p][i] {
				res.Beside++
			}
		}
	}
	res.Regions = len(regions)
	heading(w, ";", m, fault.Count(len(regions), "region")+" "+g.about)
	prefix := g.free("badrs")
	for i, r := range regions {
		name := fmt.Sprintf("%s%d", prefix, i)
		fmt.Fprintf(w, "%s/min_fs = %d\n%s/max_fs = %d\n%s/min_ss = %d\n%s/max_ss = %d\n%s/panel = %s\n",
			name, r.panel.minFS+r.X0, name, r.panel.minFS+r.X1-1, name, r.panel.minSS+r.Y0, name, r.panel.minSS+r.Y1-1, name, r.panel.name)
	}
	return nil
}
