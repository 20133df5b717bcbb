package campaign

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/stats/status"
)

// Row is one line of the table: an item and what was found.
type Row struct {
	Experiment string         `json:"exp"`
	Run        int            `json:"run"`
	Detector   string         `json:"detector"`
	Profile    string         `json:"profile"`
	Tag        string         `json:"tag,omitempty"`
	State      string         `json:"state"`
	Reason     string         `json:"reason,omitempty"`
	Panels     int            `json:"panels"`
	Events     int            `json:"events"`
	GB         float64        `json:"gb"` // raw data read, in 1e9 bytes
	Pixels     int            `json:"pixels"`
	Bad        int            `json:"bad_pixels"`
	Bits       map[string]int `json:"pixels_per_bit,omitempty"`
	Change     *Change        `json:"change,omitempty"` // to the previous run of the series that is done
	Tries      int            `json:"tries"`
	Seconds    float64        `json:"wall_seconds"`
	Rate       float64        `json:"gb_per_second"`
}

// Change compares the bad pixels of two runs.
type Change struct {
	Previous int `json:"previous_run"`
	status.Turned
}

// Table is the result of a campaign.
type Table struct {
	Name string   `json:"name"`
	Bits []string `json:"bits"` // columns, by value
	Rows []Row    `json:"rows"`
	// Pedestals of dark runs, by readout chip.
	Pedestals []*Pedestals `json:"pedestals,omitempty"`
}

// MakeTable makes the table of a view, with the changes and pedestals of its trend.
func MakeTable(name string, v *slurm.View, trend *Trend) *Table {
	t := &Table{Name: name, Rows: []Row{}, Pedestals: trend.Pedestals()}
	values := map[string]uint64{}
	for _, s := range v.Items {
		r := Row{Experiment: s.Experiment, Run: s.Run, Detector: s.Detector, Profile: s.Profile, Tag: s.Tag, State: s.State, Reason: s.Reason,
			Tries: s.Tries, Seconds: s.Seconds, Change: trend.Changes[s.Key]}
		if s.Plan != nil {
			r.Panels, r.Events = len(s.Plan.Dataset.Panels), s.Plan.Dataset.Events
			var bytes int64
			for _, t := range s.Plan.Tasks {
				bytes += t.Bytes
			}
			r.GB = float64(bytes) / 1e9
		}
		if r.Seconds > 0 {
			r.Rate = r.GB / r.Seconds
		}
		if s.State == slurm.Done {
			r.Reason, r.Bits = "", map[string]int{}
			for _, g := range s.Summary.Groups {
				r.Pixels, r.Bad = r.Pixels+g.Pixels, r.Bad+g.Bad
				for _, l := range g.Bits {
					r.Bits[l.Name] += l.Count
					values[l.Name] = l.Value
				}
			}
		}
		t.Rows = append(t.Rows, r)
	}
	for name := range values {
		t.Bits = append(t.Bits, name)
	}
	slices.SortFunc(t.Bits, func(a, b string) int { return int(values[a]) - int(values[b]) })
	return t
}

// heads are the columns before and after those of the bits.
var heads = []string{"EXP", "RUN", "DETECTOR", "PROFILE", "TAG", "STATE", "PANELS", "EVENTS", "GB", "PIXELS", "BAD"}

var tails = []string{"NEWLY_BAD", "NEWLY_GOOD", "TRIES", "WALL_S", "GB/S", "REASON"}

func (t *Table) header() []string { return slices.Concat(heads, t.Bits, tails) }

// cells returns a row in the columns of header.
func (t *Table) cells(r Row) []string {
	n := strconv.Itoa
	out := []string{r.Experiment, n(r.Run), r.Detector, r.Profile, r.Tag, r.State, n(r.Panels), n(r.Events), fmt.Sprintf("%.3f", r.GB), n(r.Pixels), n(r.Bad)}
	for _, b := range t.Bits {
		out = append(out, n(r.Bits[b]))
	}
	bad, good := "", ""
	if r.Change != nil {
		bad, good = n(r.Change.NewlyBad), n(r.Change.NewlyGood)
	}
	return append(out, bad, good, n(r.Tries), fmt.Sprintf("%.1f", r.Seconds), fmt.Sprintf("%.3f", r.Rate), r.Reason)
}

// WriteText writes the table for people. Columns in which no row has anything are left out.
func (t *Table) WriteText(w io.Writer) error {
	lines := [][]string{t.header()}
	for _, r := range t.Rows {
		lines = append(lines, t.cells(r))
	}
	used := make([]bool, len(lines[0]))
	for _, line := range lines[1:] {
		for i, cell := range line {
			used[i] = used[i] || cell != "" && cell != "0"
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		var cells []string
		for i, cell := range line {
			if used[i] {
				cells = append(cells, firstLine(cell))
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

func firstLine(s string) string {
	line, _, cut := strings.Cut(s, "\n")
	if cut {
		line += " ..."
	}
	return line
}

// WriteCSV writes the table with all columns.
func (t *Table) WriteCSV(w io.Writer) error {
	lines := [][]string{t.header()}
	for _, r := range t.Rows {
		lines = append(lines, t.cells(r))
	}
	return csv.NewWriter(w).WriteAll(lines)
}

// WriteJSON writes the table as JSON.
func (t *Table) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(t)
}

// WriteReports stores table and trend in the campaign's directory.
func WriteReports(dir string, t *Table, trend *Trend) error {
	for name, write := range map[string]func(io.Writer) error{
		"report.txt": func(w io.Writer) error { return errors.Join(t.WriteText(w), trend.WriteText(w)) },
		"report.csv": t.WriteCSV, "report.json": t.WriteJSON, "trend.csv": trend.WriteRuns, "pixels.csv": trend.WritePixels,
		"pedestals.csv": trend.WritePedestals,
	} {
		if err := atomicfile.Write(filepath.Join(dir, name), atomicfile.Options{}, write); err != nil {
			return err
		}
	}
	return nil
}
