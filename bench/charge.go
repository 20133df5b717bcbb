package main

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"rawstatus/internal/simulate"
	"rawstatus/internal/stats/charge"
)

//go:embed charge.py
var chargeScript []byte

// injected is a step of a charge-injection scan in memory.
type injected struct {
	name   string
	p      simulate.Pulser
	step   int
	frames [][]uint16
	events []int32
}

// chargeSteps returns the data that charge injection is timed on: a step of the golden set c, and a whole epixHR panel.
func chargeSteps() []*injected {
	c := simulate.NewPulser(303, 24, 32, 5, 1024)
	c.Frames, c.Phase = 2300, 500
	hr := simulate.NewPulser(303, 288, 384, 5, 1024)
	hr.Frames, hr.Phase = 400, 900 // the end of a ramp and the begin of the next
	list := []*injected{{name: "24 x 32 pixels", p: c, step: 3}, {name: "288 x 384 pixels", p: hr, step: 3}}
	for _, s := range list {
		sim := simulate.NewInjection(s.p)
		for k := range s.p.Frames {
			f := make([]uint16, s.p.Rows*s.p.Cols)
			sim.Frame(f, s.step, k)
			s.frames, s.events = append(s.frames, f), append(s.events, int32(k))
		}
	}
	return list
}

// count counts the step once.
func (s *injected) count() error {
	par := charge.Params{GainBit: s.p.GainBit, DataBits: s.p.DataBits, NPOff: 10, Gap: 10}
	st, err := charge.NewStep(par, s.p.Rows, s.p.Cols, charge.Grid(s.p.Rows, s.p.Cols, s.step, s.p.Space), s.events)
	if err != nil {
		return err
	}
	st.Add(s.frames)
	sums, err := st.Sums(charge.LeastPoints)
	if err == nil {
		sink.Add(uint64(sums.Ramps))
	}
	return err
}

// transcription times the reference's counting of the first n frames of the step.
func (s *injected) transcription(b *bench, reference string, n int) (seconds float64, err error) {
	dir, err := os.MkdirTemp("", "charge-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	raw, script := filepath.Join(dir, "frames"), filepath.Join(dir, "charge.py")
	var buf bytes.Buffer
	for _, f := range s.frames[:n] {
		if err := binary.Write(&buf, binary.LittleEndian, f); err != nil {
			return 0, err
		}
	}
	if err := os.WriteFile(raw, buf.Bytes(), 0o600); err != nil {
		return 0, err
	}
	if err := os.WriteFile(script, chargeScript, 0o600); err != nil {
		return 0, err
	}
	row, col := charge.Phase(s.step, s.p.Space)
	args := []string{script, reference, raw}
	for _, v := range []int{s.p.Rows, s.p.Cols, row, col, s.p.Space, int(s.p.GainBit), int(s.p.DataBits)} {
		args = append(args, strconv.Itoa(v))
	}
	c := exec.CommandContext(b.ctx, b.o.python, args...)
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil {
		return 0, fmt.Errorf("charge.py: %w: %s", err, complaints.String())
	}
	return strconv.ParseFloat(strings.TrimSpace(out.String()), 64)
}

// chargeInjection compares the counting of charge injection with the transcription of the original, and with reading
// the frames from memory.
func chargeInjection(b *bench) error {
	reference := filepath.Join(os.Getenv("RAWSTATUS_SHARED"), "golden_ci")
	if os.Getenv("RAWSTATUS_SHARED") == "" {
		reference = filepath.Join("..", "shared", "golden_ci")
	}
	_, err := os.Stat(filepath.Join(reference, "ci_stream.py"))
	compare := err == nil && b.numpyHere()
	if err != nil {
		b.say("no %s, so no comparison with it", filepath.Join(reference, "ci_stream.py"))
	}
	for _, s := range chargeSteps() {
		group, pixels := "charge injection, one step of "+s.name+", space 5, ramp 1024", s.p.Rows*s.p.Cols
		bytes := int64(s.p.Frames) * 2 * int64(pixels)
		repeat := max(1, 1<<22/pixels/s.p.Frames*8)
		list := []variant{
			{name: "measures A and B", bytes: bytes * int64(repeat), cores: 1, run: func() error {
				for range repeat {
					if err := s.count(); err != nil {
						return err
					}
				}
				return nil
			}},
			{name: "AVX read", bytes: bytes * int64(repeat), cores: 1, run: func() error {
				for range repeat {
					for _, f := range s.frames {
						readAll(f)
					}
				}
				return nil
			}},
		}
		n := min(s.p.Frames, 4<<20/pixels+200)
		if compare {
			list = append(list, variant{name: "transcription in numpy", bytes: int64(n) * 2 * int64(pixels), cores: 1,
				clock: func() (float64, error) { return s.transcription(b, reference, n) }})
		}
		if err := b.group(group, min(3, b.o.reps), list); err != nil {
			return err
		}
		if compare {
			ratio, _ := b.r.ratio(group, "measures A and B", "transcription in numpy")
			b.r.value("charge injection / transcription, "+s.name, ratio, "times", "same frames, same repetition, one core")
		}
		ratio, _ := b.r.ratio(group, "measures A and B", "AVX read")
		b.r.value("charge injection / AVX read, "+s.name, ratio, "times", "one core")
	}
	return nil
}
