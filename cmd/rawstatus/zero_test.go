package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/npy"
)

// TestFramesOfZerosAreLostUnlessKept wants frames of nothing but zeros to be lost, unless flag or site file say that the detector reads
// zero, and those and stuck frames to be told.
func TestFramesOfZerosAreLostUnlessKept(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	const frames, pixels = 40, 48 * 64
	r := rand.New(rand.NewPCG(1, 2))
	px := make([]uint16, frames*pixels)
	for i := range px {
		switch k := i / pixels; {
		case k == 0 || k == 1 || k == 17: // a dead link
		case k == 30:
			px[i] = px[i-pixels] // stuck
		case i%pixels < 640: // a dead chip
		default:
			px[i] = 1000 + uint16(r.IntN(30))
		}
	}
	file := filepath.Join(t.TempDir(), "frames.npy")
	if err := npy.Write(file, []int{frames, 48, 64}, px); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--exp", "tst", "-r", "1", "--file", file, "--det-type", "jungfrau"}
	code, _, stderr := call(t, append([]string{"run", "-o", t.TempDir(), "--work", t.TempDir()}, flags...)...)
	if code != int(fault.Incomplete) || !strings.Contains(stderr, "lost 3 of 40 events, 3 of them are nothing but zeros") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	for _, profile := range []string{"data", "dark"} {
		for _, tasks := range []string{"1", "5"} {
			args := append(slices.Clone(flags), "--max-lost", "10", "--profile", profile, "--tasks", tasks)
			if profile == "dark" {
				args = append(args, "--gate-frames", "10")
			}
			s := reduced(t, args...)
			p := s.Groups[0].Panels[0]
			if p.Frames != 37 || p.Lost["all zero"] != 3 || p.Stuck != 1 || p.Bad != 640 {
				t.Errorf("%s: %+v", profile, p)
			}
		}
	}
	stdout := must(t, fault.OK, append([]string{"run", "-o", t.TempDir(), "--work", t.TempDir(), "--max-lost", "10"}, flags...)...)
	if !strings.Contains(stdout, "37 of 40 events used, 1 stuck (equal to the one before), lost: 3 all zero") {
		t.Errorf("the table: %s", stdout)
	}
	site := filepath.Join(t.TempDir(), "site.toml")
	for word, want := range map[string]fault.Code{"keep": fault.OK, "lost": fault.Incomplete, "burn": fault.Usage} {
		if err := os.WriteFile(site, []byte("[limits.jungfrau]\nzero_frames = \""+word+"\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		must(t, want, append([]string{"run", "--site", site, "-o", t.TempDir(), "--work", t.TempDir()}, flags...)...)
	}
	if s := reduced(t, append(flags, "--zero-frames", "keep")...); s.Groups[0].Panels[0].Frames != frames || len(s.Groups[0].Panels[0].Lost) > 0 {
		t.Errorf("kept: %+v", s.Groups[0].Panels[0])
	}
	if s := reduced(t, append(flags, "--profile", "dark", "--compat", "lcls1")...); s.Groups[0].Panels[0].Frames != frames {
		t.Errorf("as the original: %+v", s.Groups[0].Panels[0])
	}
	s := reduced(t, append(flags, "--max-lost", "0", "--allow-incomplete")...)
	if len(s.Incomplete) != 1 || !strings.Contains(s.Incomplete[0], "nothing but zeros") {
		t.Errorf("allowed: %q", s.Incomplete)
	}
}
