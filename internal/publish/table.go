package publish

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/stats/status"
)

// BitRow says how many pixels have a bit, by constants type, over all panels and gain modes.
type BitRow struct {
	Value  uint64            `json:"value"`
	Names  map[string]string `json:"names"`  // by bit family
	Counts map[string]int    `json:"pixels"` // by constants type
	Alone  map[string]int    `json:"alone"`  // of these, pixels that no other type calls so
	Merged int               `json:"merged"`
}

// tabulate adds up the per-bit source tables of all planes.
func (m *Merged) tabulate() {
	rows := map[uint64]*BitRow{}
	for i := range m.Planes {
		p := &m.Planes[i]
		for _, t := range p.table {
			row := rows[t.Value]
			if row == nil {
				row = &BitRow{Value: t.Value, Names: map[string]string{}, Counts: map[string]int{}, Alone: map[string]int{}}
				rows[t.Value] = row
			}
			row.Merged += t.Merged
			for j, ctype := range p.types {
				if t.Counts[j] == 0 {
					continue
				}
				row.Counts[ctype] += t.Counts[j]
				row.Alone[ctype] += t.Alone[j]
				for _, s := range p.Sources {
					if s.column() == ctype {
						row.Names[s.Family] = status.Names(status.Family(s.Family), t.Value)
					}
				}
			}
		}
		p.table, p.types = nil, nil
	}
	for _, row := range rows {
		m.Table = append(m.Table, *row)
	}
	slices.SortFunc(m.Table, func(a, b BitRow) int {
		if a.Value < b.Value {
			return -1
		}
		return 1
	})
}

// Text prints what was merged: which file of which type was taken for each plane and why, and the bits.
func (m *Merged) Text(w io.Writer) {
	fmt.Fprintf(w, "merge %s (%s) of %s run %d for %s, panels known from %s\n", m.Detector, m.Type, m.Run.Experiment, m.Run.Number, m.Stamp, m.Origin)
	for i := range m.Planes {
		p := &m.Planes[i]
		fmt.Fprintf(w, "  segment %d%s  panel %s: ", p.Slot, gainText(p.GainMode), p.Panel)
		switch {
		case len(p.Sources) > 0:
			fmt.Fprintf(w, "%d of %s bad\n", p.Bad, fault.Count(p.Pixels, "pixel"))
		case p.Filled != "":
			fmt.Fprintf(w, "no status file, taken as %s\n", p.Filled)
		default:
			fmt.Fprintf(w, "NO STATUS FILE\n")
		}
		for _, s := range p.Sources {
			fmt.Fprintf(w, "    %-14s %6d bad  %s  (%s)\n", s.CType, s.Bad, s.Path, s.Reason)
		}
		for _, n := range p.Notes {
			fmt.Fprintf(w, "    note: %s\n", n)
		}
	}
	if len(m.Table) > 0 {
		fmt.Fprintf(w, "bits, in pixels (alone: no other type has it)\n  %8s %10s  %s\n", "value", "merged", "from")
	}
	for _, row := range m.Table {
		var parts []string
		for ctype, n := range row.Counts {
			parts = append(parts, fmt.Sprintf("%s %d (alone %d)", ctype, n, row.Alone[ctype]))
		}
		slices.Sort(parts)
		var names []string
		for family, name := range row.Names {
			names = append(names, name+" ("+family+")")
		}
		slices.Sort(names)
		fmt.Fprintf(w, "  %8d %10d  %s: %s\n", row.Value, row.Merged, strings.Join(names, " or "), strings.Join(parts, ", "))
	}
	printList(w, "missing", m.Missing)
	printList(w, "choice", m.Choices)
	printList(w, "note", m.Notes)
	if m.Path != "" {
		fmt.Fprintf(w, "merged array %s: %s\n", calibtxt.Tuple(m.Shape, ""), m.Path)
	}
}
