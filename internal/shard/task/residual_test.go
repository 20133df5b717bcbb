package task

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
)

// flatRun is a run of one panel of 480 x 160 pixels, and a plan with feature 6 for it. Coded frames are blocks that
// are expanded as a whole.
func flatRun(t *testing.T, frames int, coded bool, crop []int) (work string, p *plan.Plan) {
	t.Helper()
	panel := frame.Panel{Detector: "cam", Type: "cam", ID: "id", Rows: 480, Cols: 160}
	if coded {
		panel.Codec = codec.Unpack(0)
	}
	x := &frame.Index{Format: "test", Run: frame.Run{Experiment: "tstx00117", Number: 3, Begin: time.Unix(1.6e9, 0).UTC()},
		Steps: []frame.Step{{Events: frames}}}
	var raw []byte
	for k := range frames {
		var px []byte
		for i := range panel.Pixels() {
			px = binary.LittleEndian.AppendUint16(px, uint16(1000+(i*i+k*7919)%61))
		}
		if coded { // no header, method 0: stored
			for _, v := range []uint32{0, 0, 0, uint32(len(px)), uint32(len(px))} {
				raw = binary.LittleEndian.AppendUint32(raw, v)
			}
		}
		e := frame.Extent{Offset: int64(len(raw)), Length: uint32(len(px))}
		if coded {
			e.Offset, e.Length = e.Offset-20, e.Length+20
		}
		raw = append(raw, px...)
		x.Events, x.Extents = append(x.Events, frame.Event{TS: uint64(k)}), append(x.Extents, e)
	}
	path := filepath.Join(t.TempDir(), "raw.bin")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	x.Files = []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime().UTC()}}
	if crop != nil {
		if panel, err = panel.Crop(crop[0], crop[1], crop[2], crop[3]); err != nil {
			t.Fatal(err)
		}
	}
	x.Panels = []frame.Panel{panel}
	index, sums, err := plan.EncodeIndex(x)
	if err != nil {
		t.Fatal(err)
	}
	par := plan.Params{Profile: plan.ProfileFeatures, CType: "status_light", Features: []int{2, 6},
		Selection: plan.Selection{GateFrames: 20, DataBits: 0x3fff, IntLo: 1, IntHi: 16000, FracLo: 0.05, FracHi: 0.95, MaxLost: 1, Window: []int{15, 15}}, Rules: plan.Rules{IntNLo: 6, IntNHi: 6, RmsLo: 0.001, RmsHi: 16000, RmsNLo: 6, RmsNHi: 6, FracLm: 0.1, LimitsPer: "detector", Limits: "mean", MinFrames: 3, SNRMax: 8}}
	if p, err = plan.Build(x, sums, par, plan.Options{Tasks: 1, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	work = t.TempDir()
	if err := plan.Save(work, p, index, 0o644); err != nil {
		t.Fatal(err)
	}
	return work, p
}

// counted is a file whose bytes are counted as they are read.
type counted struct {
	*os.File
	bytes *atomic.Int64
}

func (f counted) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	f.bytes.Add(int64(n))
	return n, err
}

// TestFeatureSixTakesFramesOnce counts what is read, and so decoded: of coded frames each byte once, of others the
// rows that windows share once more, and of a part of a panel no other rows.
func TestFeatureSixTakesFramesOnce(t *testing.T) {
	const frames = 60
	for name, c := range map[string]struct {
		coded bool
		crop  []int
		want  int64
	}{
		"plain":       {want: frames * 480 * 160 * 2},
		"coded":       {coded: true, want: frames * (480*160*2 + 20)},
		"part":        {crop: []int{40, 80, 10, 90}, want: frames * 40 * 160 * 2 * 5 / 4},
		"coded, part": {coded: true, crop: []int{40, 80, 10, 90}, want: frames * (480*160*2 + 20)},
	} {
		work, p := flatRun(t, frames, c.coded, c.crop)
		r := NewRunner(work, p, Options{Workers: 2})
		var bytes atomic.Int64
		r.once.Do(func() {
			if r.index, r.opened = p.OpenIndex(work); r.opened != nil {
				return
			}
			r.src, r.opened = sweep.Open(p.Dataset.Files, "", sweep.Options{Open: func(path string) (sweep.Reader, error) {
				f, err := os.Open(path)
				return counted{f, &bytes}, err
			}})
		})
		if _, err := r.Run(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		const looks = 64 * 512 // at what is in the page cache
		if got := bytes.Load(); got > c.want+looks || got < c.want/2 {
			t.Errorf("%s: %d bytes read, want %d", name, got, c.want)
		}
		r.Close()
	}
}

// TestFilesThatChangeUnderFeatureSix wants a task to end with an error that names the file, and no partial.
func TestFilesThatChangeUnderFeatureSix(t *testing.T) {
	for what, change := range map[string]func(path string) error{
		"byte": func(path string) error { return os.Truncate(path, 1000) }, // either word: it is too short, or was found changed
		"changed since it was indexed": func(path string) error {
			later := time.Now().Add(time.Hour)
			return os.Chtimes(path, later, later)
		},
	} {
		for _, coded := range []bool{false, true} {
			work, p := flatRun(t, 100, coded, nil)
			var once sync.Once
			r := NewRunner(work, p, Options{Workers: 1, Progress: func(int64) {
				once.Do(func() {
					if err := change(p.Dataset.Files[0].Path); err != nil {
						t.Error(err)
					}
				})
			}})
			_, err := r.Run(context.Background(), 0)
			if fault.CodeOf(err) != fault.Input || err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "raw.bin") {
				t.Errorf("%s, coded %v: %v", what, coded, err)
			}
			if _, err := os.Stat(plan.TaskFile(work, 0)); err == nil {
				t.Errorf("%s, coded %v: there is a partial", what, coded)
			}
			r.Close()
		}
	}
}

// TestRoundsKeepThePlan wants every window of a shard once, from left to right, and no more memory for residuals than
// the plan has, for any number of frames: a round that needs more is of one window alone.
func TestRoundsKeepThePlan(t *testing.T) {
	flat, err := feature.NewFlatness(512, 1024, 15, 15, 0x3fff)
	if err != nil {
		t.Fatal(err)
	}
	for _, frames := range []int{0, 1, 60, 300, 5000, 100_000, 400_000} {
		for _, workers := range []int{1, 2, 64} {
			f := flattening{worker: &worker{opt: Options{Workers: workers}}, flat: flat, bands: flat.Bands(), most: frames}
			next := make([]int, len(f.bands))
			for n, round := range f.rounds() {
				var bytes int64
				seen := map[int]bool{}
				for _, x := range round {
					if x.first != next[x.band] || x.last <= x.first || seen[x.band] {
						t.Fatalf("%d frames, %d workers: windows %+v in round %d", frames, workers, x, n)
					}
					next[x.band], seen[x.band] = x.last, true
					bytes += flat.Bytes(f.bands[x.band], x.first, x.last, frames)
				}
				alone := len(round) == 1 && round[0].last == round[0].first+1 // then the plan counts its bytes
				if bytes > plan.ResidualBytes && !alone {
					t.Errorf("%d frames, %d workers: round %d needs %d bytes", frames, workers, n, bytes)
				}
			}
			for b, n := range next {
				if n != flat.WindowCols() {
					t.Errorf("%d frames, %d workers: band %d ends at window %d", frames, workers, b, n)
				}
			}
		}
	}
}
