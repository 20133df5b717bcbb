package publish

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

// header is that of the files written here.
func header(loc *time.Location) calibtxt.Header {
	return calibtxt.Header{Host: access.Host(), WorkDir: access.WorkDir(), UID: access.Login(), Time: time.Now().In(loc)}
}

// writePlanes writes status_merged of every plane that has sources.
func (m *Merged) writePlanes(ctx context.Context, r *repo.Repo, opt MergeOptions) error {
	group, ctx := fault.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range m.Planes {
		p := &m.Planes[i]
		if p.merged == nil {
			continue
		}
		group.Go(func() error {
			j := slices.IndexFunc(m.Panels, func(q Slot) bool { return q.Dir == p.Panel })
			panel := m.Panels[j]
			sf := repo.StatusFile{DetType: m.Type, DetName: m.Detector, Panel: p.Panel, Segment: panel.Segment, Sub: panel.Sub,
				Run:   frame.Run{Experiment: m.Run.Experiment, Number: m.Run.Number, Begin: m.At},
				CType: "status_merged", GainMode: p.GainMode, Rows: panel.Rows, Cols: panel.Cols}
			p.header = header(r.Loc)
			err := r.WriteMerged(ctx, sf, calibtxt.Sparse(*p.merged), m.sidecar(p), &p.header)
			if opt.tolerates(err) {
				p.Notes = append(p.Notes, "status_merged is not written: "+err.Error())
				return nil
			}
			p.File = p.header.FileName
			return err
		})
	}
	return group.Wait()
}

// sidecar says what a merged plane is made of.
func (m *Merged) sidecar(p *Plane) repo.Sidecar {
	sc := repo.Sidecar{Profile: "merged", Version: version.String(), Notes: p.Notes}
	families := map[string]bool{}
	for _, s := range p.Sources {
		families[s.Family] = true
		sc.GainMap = append(sc.GainMap, s.gainMap...)
		sc.Inputs = append(sc.Inputs, repo.Input{Path: s.Path, SHA256: s.SHA256})
		if s.Partial != "" {
			sc.Incomplete = append(sc.Incomplete, s.CType+": "+s.Partial)
		}
	}
	slices.Sort(sc.GainMap)
	sc.GainMap = slices.Compact(sc.GainMap)
	sc.Family = strings.ReplaceAll(list(families), ", ", "+")
	counts := p.merged.Count()
	for _, b := range status.Table {
		if n := counts.Of(b.Value); n > 0 && (b.Family == "" || families[string(b.Family)]) {
			sc.Bits = append(sc.Bits, repo.Bit{Value: b.Value, Name: b.Name, Rule: b.Rule, Pixels: n})
		}
	}
	return sc
}

// tolerates reports whether an error only says that the repository may not be written to, and that this is
// good enough for looking at a plan.
func (o MergeOptions) tolerates(err error) bool {
	return o.LookOnly && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS))
}

// inputs lists the status files that went in, each once.
func (m *Merged) inputs() []calib.Input {
	var inputs []calib.Input
	for i := range m.Planes {
		p := &m.Planes[i]
		for _, s := range p.Sources {
			inputs = append(inputs, calib.Input{Path: s.Path, SHA256: s.SHA256, CType: s.CType, Panel: p.Panel, GainMode: p.GainMode,
				PlanID: s.PlanID, Version: s.Version})
		}
	}
	return inputs
}
