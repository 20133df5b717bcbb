package publish

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
)

// lowGains are the gain modes that no dark run shows, with the one whose amplifier they share.
var lowGains = map[string]string{"AHL-L": "AHL-H", "AML-L": "AML-M"}

// Derive adds the pedestals of gain modes that no dark run shows, from charge injection: where the repository has offsets and gains
// of both lines of a panel for the time of the run,
//
//	pedestals_L = offset_L - (offset_H - pedestals_H) * (gainci_L / gainci_H)
//
// with a quotient of 0 where gainci_H is 0, as epix10ka_pedestals_calibration of LCLS-I does. Status, rms and extremes
// are those of the mode with the same amplifier. It returns a note for each panel and mode.
func (d *DarkRun) Derive(r *repo.Repo) (notes []string, err error) {
	dirs := repo.PanelDirs(d.Panels)
	for _, low := range []string{"AHL-L", "AML-L"} {
		for i := range len(d.Units) {
			high := d.Units[i]
			if high.GainMode != lowGains[low] || high.Frames == 0 || slices.ContainsFunc(d.Units, func(u DarkUnit) bool {
				return u.Panel == high.Panel && u.GainMode == low && u.Frames > 0
			}) {
				continue
			}
			var lines [4][]float64 // offset and gain of the high line, and of the low one
			whole := true
			for k, mode := range []string{high.GainMode, high.GainMode, low, low} {
				dir, ctype := "offset", "offset"
				if k%2 == 1 {
					dir, ctype = "gain", "gainci"
				}
				path, err := lineFile(filepath.Join(r.PanelDir(d.Type, dirs[high.Panel]), dir), ctype, mode, r.Stamp(d.Run.Begin))
				if err != nil {
					return nil, err
				}
				if path == "" {
					whole = false
					break
				}
				if lines[k], err = readLine(path, len(high.Ave)); err != nil {
					return nil, err
				}
			}
			if !whole {
				continue
			}
			u := high
			u.GainMode, u.Ave = low, make([]float64, len(high.Ave))
			for p := range u.Ave {
				ratio := 0.0
				if gain := lines[1][p]; gain != 0 {
					ratio = lines[3][p] / gain
				}
				u.Ave[p] = lines[2][p] - float64((lines[0][p]-high.Ave[p])*ratio)
			}
			d.Units = append(d.Units, u)
			notes = append(notes, fmt.Sprintf("segment %d %s: pedestals by offsets and gains of charge injection, the rest as %s", d.Panels[high.Panel].Segment, low, high.GainMode))
		}
	}
	return notes, nil
}

// lineFile returns the youngest file of a gain mode in a directory of constants that is not younger than a time-stamp;
// empty: there is none.
func lineFile(dir, ctype, mode, stamp string) (path string, err error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("could not look for constants of charge injection: %w", err)
	}
	best := ""
	for _, e := range entries {
		if n, ok := repo.ParseName(e.Name(), ctype); ok && n.GainMode == mode && n.Stamp <= stamp && n.Stamp > best {
			best, path = n.Stamp, filepath.Join(dir, e.Name())
		}
	}
	return path, nil
}

// readLine reads the numbers of a panel.
func readLine(path string, pixels int) ([]float64, error) {
	a, err := calibtxt.LoadFile(path)
	if err != nil {
		return nil, err
	}
	if len(a.Floats) != pixels {
		return nil, fault.New(fault.Input, "%q has %d numbers, the panel %d pixels", path, len(a.Floats), pixels).WithHint("remove the file, or write it again with --profile ci")
	}
	return a.Floats, nil
}
