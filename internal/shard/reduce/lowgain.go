package reduce

import (
	"fmt"
	"os"
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
)

// lowGains are the gain modes that no dark run shows, by the one whose amplifier they share.
var lowGains = map[string]string{"AHL-H": "AHL-L", "AML-M": "AML-L"}

// lowPedestals returns the pedestals of a panel in a gain mode that no dark run shows, from those of the mode with the same
// amplifier and from charge injection: where the repository has offsets and gains of both lines for the time of the run,
//
//	pedestals_L = offset_L - (offset_H - pedestals_H) * (gainci_L / gainci_H)
//
// with a quotient of 0 where gainci_H is 0, as epix10ka_pedestals_calibration of LCLS-I does; else nil.
func lowPedestals(r *repo.Repo, p *plan.Plan, panel int, mode string, ave []float64) ([]float64, error) {
	dir := r.PanelDir(p.Dataset.Type, repo.PanelDirs(p.Dataset.Panels)[panel])
	var lines [4][]float64 // offset and gain of the high line, and of the low one
	for k, mode := range []string{mode, mode, lowGains[mode], lowGains[mode]} {
		sub, ctype := "offset", "offset"
		if k%2 == 1 {
			sub, ctype = "gain", "gainci"
		}
		path, err := lineFile(filepath.Join(dir, sub), ctype, mode, r.Stamp(p.Dataset.Run.Begin))
		if err != nil || path == "" {
			return nil, err
		}
		if lines[k], err = readLine(path, len(ave)); err != nil {
			return nil, err
		}
	}
	low := make([]float64, len(ave))
	for i := range low {
		ratio := 0.0
		if gain := lines[1][i]; gain != 0 {
			ratio = lines[3][i] / gain
		}
		low[i] = lines[2][i] - float64((lines[0][i]-ave[i])*ratio)
	}
	return low, nil
}

// lowNote says where the constants of such a gain mode come from.
func lowNote(p *plan.Plan, panel int, mode string) string {
	return fmt.Sprintf("segment %d %s: pedestals by offsets and gains of charge injection, the rest as %s", p.Dataset.Panels[panel].Segment, lowGains[mode], mode)
}

// measured reports whether the plan has frames of a panel in a gain mode.
func measured(p *plan.Plan, panel int, mode string) bool {
	for _, u := range p.Units {
		if u.Panel == panel && p.Groups[u.Group].GainMode == mode && u.Selected > 0 {
			return true
		}
	}
	return false
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
