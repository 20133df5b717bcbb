package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/testenv"
)

// reduced runs a job and returns its summary.
func reduced(t *testing.T, args ...string) *reduce.Summary {
	t.Helper()
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	var s reduce.Summary
	all := append([]string{"run", "--json", "-o", t.TempDir(), "--work", filepath.Join(t.TempDir(), "work")}, args...)
	if err := json.Unmarshal([]byte(must(t, fault.OK, all...)), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// caseFlags name the run of a case of the shared data.
func caseFlags(t *testing.T, folder string) []string {
	t.Helper()
	return []string{"--exp", "tstx00117", "--run", "1", "--dir", filepath.Join(testenv.Shared(t), "cases", folder)}
}

// statusWords reads a status file of one panel.
func statusWords(t *testing.T, path string) []uint64 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := calibtxt.ReadStatus(bytes.NewReader(b), int64(len(b)), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a.Dense()
}

// TestWordsTellTheGain wants the gain mode of frames to be that of their words, and steps of different gains to be
// judged apart.
func TestWordsTellTheGain(t *testing.T) {
	for folder, want := range map[string][]string{
		"11-jungfrau-wrong-gain-label/data":       {"g1"},
		"11-jungfrau-wrong-gain-label/data-mixed": {"g0", "g1", "g2"},
	} {
		s := reduced(t, append(caseFlags(t, folder), "-d", "jungfrau")...)
		var modes []string
		for _, g := range s.Groups {
			modes = append(modes, g.GainMode)
			if word := statusWords(t, g.Panels[0].File)[5*128+5]; word != 1 || g.Bad != 1 {
				t.Errorf("%s %s: %d bad pixels, the noisy one has status %d", folder, g.GainMode, g.Bad, word)
			}
		}
		if strings.Join(modes, " ") != strings.Join(want, " ") {
			t.Errorf("%s: gain modes %v, wanted %v", folder, modes, want)
		}
	}
	code, _, stderr := call(t, append(append([]string{"run", "-o", t.TempDir(), "--gain-mode", "g2", "-d", "jungfrau"}, "--work", t.TempDir()), caseFlags(t, "11-jungfrau-wrong-gain-label/data")...)...)
	if code != int(fault.Input) || !strings.Contains(stderr, "gain bits of g1") || !strings.Contains(stderr, "--gain-mode says g2") {
		t.Errorf("--gain-mode against the words: exit code %d\n%s", code, stderr)
	}
}

// TestPixelsOfAGainMapAreJudgedInTheirOwnMode wants pixels of a gain map to be judged in their own gain mode and to have no data in the others.
func TestPixelsOfAGainMapAreJudgedInTheirOwnMode(t *testing.T) {
	for _, profile := range []string{"data", "dark"} {
		s := reduced(t, append(caseFlags(t, "06-epix10ka-mixed-gain/data"), "-d", "epixquad", "--profile", profile)...)
		if len(s.Groups) != 2 || s.Groups[0].GainMode != "FH" || s.Groups[1].GainMode != "FM" {
			t.Fatalf("%s: %+v", profile, s.Groups)
		}
		fh, fm := statusWords(t, s.Groups[0].Panels[0].File), statusWords(t, s.Groups[1].Panels[0].File)
		noisy := 0
		for i := range fh {
			if (fh[i] == 1024) == (fm[i] == 1024) {
				t.Fatalf("%s: pixel %d has status %d in FH and %d in FM", profile, i, fh[i], fm[i])
			}
			if fh[i]+fm[i] != 1024 {
				noisy++
			}
		}
		if noisy != 1 {
			t.Errorf("%s: %d bad pixels, one is planted", profile, noisy)
		}
	}
	if s := reduced(t, append(caseFlags(t, "06-epix10ka-mixed-gain/data-fh"), "-d", "epixquad")...); len(s.Groups) != 1 || s.Groups[0].GainMode != "FH" || s.Groups[0].Bad != 0 {
		t.Errorf("one gain: %+v", s.Groups)
	}
}

// TestWordsOfAnotherGainAreCountedAndNotSummed wants words of another gain to be counted and not summed, and impossible gain bits to be flagged.
func TestWordsOfAnotherGainAreCountedAndNotSummed(t *testing.T) {
	flags := append(caseFlags(t, "07-gain-state-data-profile/data"), "-d", "jungfrau")
	for _, c := range []struct {
		args               []string
		switching, illegal uint64
	}{
		{nil, 0, 64}, {[]string{"--gain-rule", "impossible"}, 0, 64}, {[]string{"--gain-rule", "expected"}, 64, 64}, {[]string{"--gain-rule", "off"}, 0, 0},
		{[]string{"--profile", "dark"}, 65, 64}, {[]string{"--profile", "dark", "--gain-rule", "off"}, 1, 0},
		{[]string{"--min-frames", "96"}, 2048, 2048},
	} {
		s := reduced(t, append(flags, c.args...)...)
		p := s.Groups[0].Panels[0]
		words := statusWords(t, p.File)
		if words[10*128+10] != c.switching || words[11*128+11] != c.illegal {
			t.Errorf("%v: status %d and %d, wanted %d and %d", c.args, words[10*128+10], words[11*128+11], c.switching, c.illegal)
		}
		if p.Gain == nil || p.Gain.Others != 35 || p.Gain.Pixels != 2 || p.Gain.Impossible != 30 {
			t.Errorf("%v: words of other gains %+v", c.args, p.Gain)
		}
	}
	for _, args := range [][]string{{"-F", "2", "--gain-rule", "expected"}, {"--profile", "light", "--gain-rule", "impossible"}} {
		if code, _, stderr := call(t, append(append([]string{"plan", "--work", t.TempDir()}, flags...), args...)...); code != int(fault.Usage) || !strings.Contains(stderr, "gain rule") {
			t.Errorf("%v: exit code %d\n%s", args, code, stderr)
		}
	}
	epix := append(caseFlags(t, "06-epix10ka-mixed-gain/data-fh"), "-d", "epixquad", "--work", t.TempDir())
	if code, _, stderr := call(t, append([]string{"plan", "--gain-rule", "impossible"}, epix...)...); code != int(fault.Usage) || !strings.Contains(stderr, "all gain bits") {
		t.Errorf("impossible gain bits of an epix10ka: exit code %d\n%s", code, stderr)
	}
	// The originals' second generation objects to impossible gain bits alone.
	if s := reduced(t, append(caseFlags(t, "11-jungfrau-wrong-gain-label/data"), "-d", "jungfrau", "--step", "0", "--profile", "dark", "--compat", "lcls2", "--gain-mode", "g1")...); s.Params.GainRule != "impossible" || s.Groups[0].Panels[0].Bits["GAIN_STATE"] != 0 {
		t.Errorf("--compat lcls2: rule %q, %v", s.Params.GainRule, s.Groups[0].Panels[0].Bits)
	}
}

// TestGainModeOfTheType wants --gain-mode of another type to be refused.
func TestGainModeOfTheType(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	file := filepath.Join(t.TempDir(), "frames.npy")
	if err := npy.Write(file, []int{4, 2, 3}, make([]uint16, 24)); err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[string]string{"jungfrau": "gain modes: g0, g1, g2", "epix100": "it has one gain"} {
		code, _, stderr := call(t, "plan", "--exp", "tst", "-r", "1", "--file", file, "--det-type", typ, "--gain-mode", "FH", "--work", t.TempDir())
		if code != int(fault.Usage) || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d\n%s", typ, code, stderr)
		}
	}
}
