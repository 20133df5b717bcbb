package main

import (
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/npy"
)

// TestDefaultUpperLimitFollowsTheBitsOfTheCamera wants the default upper limit to follow the real number of bits of a camera, by its type or by what
// its frames reach, and a limit that cannot be reached to be said.
func TestDefaultUpperLimitFollowsTheBitsOfTheCamera(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	px := make([]uint16, 20*6)
	for i := range px {
		px[i] = uint16(900 + i)
	}
	file := filepath.Join(t.TempDir(), "frames.npy")
	if err := npy.Write(file, []int{20, 2, 3}, px); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--exp", "tst", "-r", "1", "--file", file}
	for typ, want := range map[string]float64{"opal": 4094, "opal4000": 4094, "zyla": 1022, "jungfrau": 16000, "epix100": 65534} {
		p := planned(t, append(flags, "--det-type", typ, "--work", t.TempDir())...)
		if p.Params.IntHi != want || p.Params.RmsHi != want || strings.Contains(strings.Join(p.Dataset.Notes, " "), "cannot be reached") {
			t.Errorf("%s: int_hi %v, rms_hi %v, notes %q, wanted %v", typ, p.Params.IntHi, p.Params.RmsHi, p.Dataset.Notes, want)
		}
	}
	for words, want := range map[string]uint16{"": 0xffff, "--compat=lcls1": 0x3fff, "--compat=lcls2": 0x3fff, "--compat=lcls2 --databits=0xffff": 0xffff} {
		line := append(strings.Fields("--profile dark --det-type epix100 "+words), append(flags, "--work", t.TempDir())...)
		if p := planned(t, line...); p.Params.DataBits != want || want == 0x3fff && p.Params.IntHi != 16000 {
			t.Errorf("dark %s: data bits %#x, int_hi %v, wanted %#x", words, p.Params.DataBits, p.Params.IntHi, want)
		}
	}
	p := planned(t, append(flags, "--det-type", "opal", "--int-hi", "16000", "--work", t.TempDir())...)
	if len(p.Dataset.Notes) != 1 || !strings.Contains(p.Dataset.Notes[0], "int_hi = 16000 cannot be reached: words of npy are at most 4095") {
		t.Errorf("notes %q", p.Dataset.Notes)
	}
	must(t, fault.OK, append([]string{"plan", "--work", t.TempDir(), "--databits", "0xff", "--det-type", "opal"}, flags...)...)
}
