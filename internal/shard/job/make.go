package job

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
)

// Order says what job is wanted. What depends on the run and the detector is settled when they have been found.
type Order struct {
	Data       open.Dataset
	Settle     time.Duration
	MaxLost    float64 // percentage of events that may be missing at the end of a run
	AllHeaders bool
	Read       string
	// Params returns the parameters for a detector, of which one panel is passed.
	Params func(run frame.Run, panel frame.Panel) (plan.Params, error)
	// Work returns the work directory.
	Work func(run frame.Run, detector string, par plan.Params) (string, error)
	Cut  plan.Options
	// Tasks chooses the number of tasks where Cut does not say; nil: one for each unit.
	Tasks func(bytes int64, units int) int
	Log   logrus.FieldLogger // may be nil
}

// Make indexes the run of an order and plans it. Headers are predicted; once somebody has found that a prediction is
// wrong, all are read.
func (o Order) Make(ctx context.Context) (*Job, error) {
	if o.Log == nil {
		log := logrus.New()
		log.SetLevel(logrus.PanicLevel)
		o.Log = log
	}
	j, err := o.once(ctx)
	if !o.AllHeaders && errors.Is(err, frame.ErrHeading) {
		o.Log.Warnf("all headers are read: %v", err)
		o.AllHeaders = true
		j, err = o.once(ctx)
	}
	return j, err
}

// once is Make for predicted headers, or for all. It fails with frame.ErrHeading if a prediction is wrong: one that it
// looked at itself, or one that a task of this work directory found.
func (o Order) once(ctx context.Context) (*Job, error) {
	x, err := o.index(ctx)
	if err != nil {
		return nil, err
	}
	panel := x.Panels[0]
	if family, _ := detector.Lookup(panel.Type); family.IsCamera() && panel.Bits == 0 {
		if panel.Bits, err = plan.Reach(ctx, x, o.Read); err != nil {
			return nil, err
		}
		o.Log.Infof("nothing tells how many bits words of %s have; those of some frames reach %s, which the default upper limits follow", panel.Detector, fault.Count(panel.Bits, "bit"))
	}
	j := &Job{Request: Request{Settle: o.Settle, AllHeaders: o.AllHeaders, Read: o.Read, Cut: o.Cut}}
	if j.Request.Data, err = absolute(o.Data); err != nil {
		return nil, err
	}
	if j.Request.Params, err = o.Params(x.Run, panel); err != nil {
		return nil, err
	}
	if j.Work, err = o.Work(x.Run, panel.Detector, j.Request.Params); err != nil {
		return nil, err
	}
	wrong, err := plan.LoadWrongPrediction(j.Work)
	if err != nil {
		return nil, err
	}
	if wrong != nil && len(x.Headings) > 0 {
		return nil, fmt.Errorf("an earlier plan of %s could not be done: %s%w", j.Work, strings.TrimSuffix(wrong.Error, frame.ErrHeading.Error()), frame.ErrHeading)
	}
	if x, err = plan.Prepare(ctx, x, j.Request.Params, o.Read); err != nil {
		return nil, err
	}
	if o.Tasks != nil && o.Cut.Tasks == 0 {
		whole, err := plan.Build(x, plan.IndexSums{}, j.Request.Params, plan.Options{Tasks: 1})
		if err != nil {
			return nil, err
		}
		j.Request.Cut.Tasks = o.Tasks(whole.Tasks[0].Bytes, len(whole.Units))
	}
	return j, j.build(x)
}

// build makes the plan of an index, and the index as it is stored.
func (j *Job) build(x *frame.Index) error {
	index, sums, err := plan.EncodeIndex(x)
	if err != nil {
		return err
	}
	if j.Plan, err = plan.Build(x, sums, j.Request.Params, j.Request.Cut); err != nil {
		return err
	}
	j.index = index
	return reduce.CheckPedestals(j.Plan)
}

// index indexes the run for one detector.
func (o Order) index(ctx context.Context) (*frame.Index, error) {
	begin := time.Now()
	x, err := open.Index(ctx, o.Data, open.Options{Settle: o.Settle, AllHeaders: o.AllHeaders, MaxLost: o.MaxLost})
	if err != nil {
		return nil, err
	}
	switch names := x.Detectors(); len(names) {
	case 0:
		return nil, fault.New(fault.Input, "%v has no area detector", x.Run).WithHint("`rawstatus inspect --names` shows what it has")
	case 1:
	default:
		return nil, fault.New(fault.Usage, "%v has several detectors", x.Run).WithHint("pick one with -d: %s", strings.Join(names, ", "))
	}
	o.Log.Infof("indexed %s of %s in %s in %.2f s", fault.Count(len(x.Events), "event"), x.Panels[0].Detector, fault.Count(len(x.Files), "file"), time.Since(begin).Seconds())
	return x, nil
}

// absolute returns the data set with paths that hold in every folder.
func absolute(d open.Dataset) (open.Dataset, error) {
	d.Files, d.Roots = slices.Clone(d.Files), slices.Clone(d.Roots)
	var paths []*string
	if d.Dir != "" {
		paths = append(paths, &d.Dir)
	}
	for _, list := range [][]string{d.Files, d.Roots} {
		for i := range list {
			paths = append(paths, &list[i])
		}
	}
	for _, p := range paths {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return d, fmt.Errorf("could not tell where the raw data are: %w", err)
		}
		*p = abs
	}
	return d, nil
}

// Remake makes the job once more from its request, now from the headers of all frames. It stores nothing: a
// caller that has jobs at work on the old plan ends them before Save.
func (j *Job) Remake(ctx context.Context, log logrus.FieldLogger) (*Job, error) {
	r := j.Request
	return Order{Data: r.Data, Settle: r.Settle, MaxLost: r.Params.MaxLost, AllHeaders: true, Read: r.Read, Cut: r.Cut, Log: log,
		Params: func(frame.Run, frame.Panel) (plan.Params, error) { return r.Params, nil },
		Work:   func(frame.Run, string, plan.Params) (string, error) { return j.Work, nil }}.Make(ctx)
}
