package status

import (
	"math"
	"slices"
	"testing"
)

func TestSequenceOfRecordsIsThatOfTheOriginal(t *testing.T) {
	for _, c := range []struct {
		name                  string
		compat                Compat
		frames, nrecs, nrecs1 int
		want                  Sequence
	}{
		{"sane", Sane, 100, 1000, 50, Sequence{N: 100, Block: 50, Accumulate: 100}},
		{"sane, limited", Sane, 100, 30, 50, Sequence{N: 30, Block: 30, Accumulate: 30}},
		{"sane, no limits", Sane, 100, 0, 0, Sequence{N: 100, Block: 100, Accumulate: 100}},
		{"sane, nothing", Sane, 0, 1000, 50, Sequence{}},
		{"lcls1", LCLS1, 100, 1000, 50, Sequence{N: 100, Block: 50, Accumulate: 100}},
		{"lcls1, limit of all frames", LCLS1, 100, math.MaxInt, 50, Sequence{N: 100, Block: 50, Accumulate: 100}},
		{"lcls1, N = nrecs1", LCLS1, 50, 1000, 50, Sequence{N: 50, Block: 50, Accumulate: 50}},
		{"lcls1, N < nrecs1", LCLS1, 20, 1000, 50, Sequence{N: 20, Block: 20, Accumulate: 20, Zeros: 30}},
		{"lcls1, nrecs 0 takes one", LCLS1, 20, 0, 50, Sequence{N: 1, Block: 1, Accumulate: 1, Zeros: 49, NoResult: true}},
		{"lcls2", LCLS2, 100, 1000, 50, Sequence{N: 100, Block: 49, BlockZeros: 1, Accumulate: 100, Zeros: 1}},
		{"lcls2, N = nrecs1: the last is lost", LCLS2, 50, 1000, 50, Sequence{N: 50, Block: 49, BlockZeros: 1, Accumulate: 49, Zeros: 1}},
		{"lcls2, N < nrecs1", LCLS2, 20, 1000, 50, Sequence{N: 20, Block: 20, Accumulate: 20, Zeros: 30}},
		{"lcls2, stage-1 job", LCLS2, 100, 50, 50, Sequence{N: 50, Block: 49, BlockZeros: 1, Accumulate: 49, Zeros: 1, Stage1Only: true}},
		{"lcls2, gates given", LCLS2, 100, 1000, 0, Sequence{N: 100, Accumulate: 100, GatesGiven: true}},
		{"lcls2, gates given, two records", LCLS2, 2, 1000, 0, Sequence{N: 2, Accumulate: 2, GatesGiven: true, NoResult: true}},
	} {
		if got := NewSequence(c.compat, c.frames, c.nrecs, c.nrecs1); got != c.want {
			t.Errorf("%s: got %+v, wanted %+v", c.name, got, c.want)
		}
	}
}

func TestAddZeros(t *testing.T) {
	p := AbsentPanel(1, 2)
	p.GateLo, p.GateHi = []uint16{0, 5}, []uint16{9, 9}
	p.MinValue = []uint16{3, 4}
	p.GainOdd, p.GainNever, p.GainWanted = make([]uint32, 2), make([]uint32, 2), 0x4000
	p.AddZeros(0, 1, 16000)
	if p.NLo[0] != 0 || p.MinValue[0] != 3 {
		t.Errorf("no zero records: %+v", p)
	}
	p.AddZeros(7, 1, 16000)
	p.AddZeros(1, 0, -1)
	if !slices.Equal(p.NLo, []uint32{7, 7}) || !slices.Equal(p.NHi, []uint32{1, 1}) || !slices.Equal(p.Sum0, []uint32{8, 0}) ||
		!slices.Equal(p.MinValue, []uint16{0, 0}) || !slices.Equal(p.GainOdd, []uint32{8, 8}) || !slices.Equal(p.GainNever, []uint32{0, 0}) {
		t.Errorf("8 zero records: %+v", p)
	}
}
