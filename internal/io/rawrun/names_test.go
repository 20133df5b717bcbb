package rawrun

import "testing"

// TestFileNamesAreReadAndWritten takes file names of both formats apart and puts them together.
func TestFileNamesAreReadAndWritten(t *testing.T) {
	old, now := NewScheme(".xtc", 2), NewScheme(".xtc2", 3)
	for _, c := range []struct {
		s    Scheme
		base string
		want Name
		made bool // as Format makes it
	}{
		{old, "xppn4116-r0137-s00-c00.xtc", Name{Experiment: "xppn4116", Run: 137}, true},
		{old, "e167-r0020-s01-c12.xtc", Name{Experiment: "e167", Run: 20, Stream: 1, Chunk: 12}, true},
		{old, "a-b-r12345-s100-c100.smd.xtc", Name{Experiment: "a-b", Run: 12345, Stream: 100, Chunk: 100, Smalldata: true}, true},
		{old, "x-r0001-s80-c00.smd.xtc.inprogress", Name{Experiment: "x", Run: 1, Stream: 80, Smalldata: true, InProgress: true}, true},
		{now, "xpptut15-r0014-s000-c000.xtc2", Name{Experiment: "xpptut15", Run: 14}, true},
		{now, "mfx101332224-r0007-s001-c000.smd.xtc2", Name{Experiment: "mfx101332224", Run: 7, Stream: 1, Smalldata: true}, true},
		{now, "a-b-r12345-s07-c3.smd.xtc2.inprogress", Name{Experiment: "a-b", Run: 12345, Stream: 7, Chunk: 3, Smalldata: true, InProgress: true}, false},
		{now, "xpptut15-r0014-s000-c001-i02.xtc2", Name{Experiment: "xpptut15", Run: 14, Chunk: 1}, false},
	} {
		got, ok := c.s.Parse(c.base)
		if !ok || got != c.want || (c.s.Format(got) == c.base) != c.made {
			t.Errorf("%s: %+v %v, made %s", c.base, got, ok, c.s.Format(got))
		}
		if again, _ := c.s.Parse(c.s.Format(got)); again != got {
			t.Errorf("%s becomes %s", c.base, c.s.Format(got))
		}
	}
	for base, s := range map[string]Scheme{
		"x-r0001-s00-c00.xtc2": old, "x-r0001-s00.xtc": old, "r0001-s00-c00.xtc": old, "x-r99999999999999999999-s00-c00.xtc": old, "x-r0001-s00-c00.xtc.bak": old,
		"tst-r0001-s99999999999-c0.xtc2": now, "xpptut15-r0014-s00-c00.xtc": now, "epix.xtc2": now, "x-r0014-s000-c000.inprogress": now, "-r0014-s000-c000.xtc2": now,
	} {
		if n, ok := s.Parse(base); ok {
			t.Errorf("%s is taken for %+v", base, n)
		}
	}
	for data, small := range map[string]string{"/d/x-r0001-s00-c00.xtc": "/d/smalldata/x-r0001-s00-c00.smd.xtc"} {
		if got := old.SmallPath(data); got != small || old.SmallPath(data+".inprogress") != small || old.DataPath(small) != data || old.DataPath(data) != data {
			t.Errorf("smalldata of %s is %s, its data %s", data, got, old.DataPath(small))
		}
	}
}
