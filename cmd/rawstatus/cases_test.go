package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
)

// TestCasesByCommand runs the commands of an operator for situations of the shared data in which a stream, a chunk or a
// piece of smalldata is not what it should be.
func TestCasesByCommand(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	for _, c := range []struct {
		folder, detector string
		code             fault.Code
		say              []string
	}{
		{"01-xtc2-chunk0-lost/data", "epix100", fault.Incomplete, []string{"stream 1: chunk 0 not found"}},
		{"03-xtc2-configure-again/data", "epix100", fault.OK, []string{"segment  0: 40 of 40 events used", "segment  1: 40 of 40 events used"}},
		{"04-xtc2-smalldata-hole/data", "epix100", fault.OK, []string{"segment  0: 100 of 100 events used", "segment  1: 100 of 100 events used"}},
		{"09-stream-ends-early/data", "cam", fault.Incomplete, []string{"stream 0: ", "ends without EndRun, which other streams have"}},
	} {
		flags := append(caseFlags(t, c.folder), "-d", c.detector)
		for _, command := range [][]string{{"run", "-o", t.TempDir(), "--work", filepath.Join(t.TempDir(), "w")}, {"inspect"}} {
			code, stdout, stderr := call(t, append(command, flags...)...)
			if code != int(c.code) {
				t.Errorf("%s %s: exit code %d, wanted %d\n%s", command[0], c.folder, code, c.code, stderr)
			}
			for _, say := range c.say {
				if (command[0] == "run" || c.code != fault.OK) && !strings.Contains(stdout+stderr, say) {
					t.Errorf("%s %s: nothing about %q in\n%s%s", command[0], c.folder, say, stdout, stderr)
				}
			}
		}
	}
}

// TestOnlyBadPixelsOfCasesAreDeployed deploys what was found: of two cameras with one placeholder for an id each keeps its own bad pixel, and
// of pixels in two gain modes only the bad one is masked.
func TestOnlyBadPixelsOfCasesAreDeployed(t *testing.T) {
	bin := programs(t)
	for _, c := range []struct {
		folder    string
		detectors []string
		flags     []string
		bad       []int // of each detector, in any plane
	}{
		{"00-same-id-two-cameras/data", []string{"atmopal", "tmoopal"}, nil, nil},
		{"06-epix10ka-mixed-gain/data", []string{"epixquad"}, []string{"--missing-gain", "good"}, []int{10*384 + 10}},
	} {
		repo, calib := t.TempDir(), t.TempDir()
		run := func(program string, args ...string) {
			cmd := exec.Command(filepath.Join(bin, program), append(args, caseFlags(t, c.folder)...)...)
			cmd.Env = append(os.Environ(), "RAWSTATUS_SITE=", "RAWSTATUS_TIMEZONE=UTC")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s %v: %v\n%s", program, args, err, out)
			}
		}
		for _, d := range c.detectors { // all are judged before the first is deployed
			run("rawstatus", "run", "-d", d, "-o", repo, "--work", filepath.Join(t.TempDir(), "w"))
		}
		for k, d := range c.detectors {
			run("mergedeploy", append(c.flags, "-d", d, "-o", repo, "--backend", "calibdir", "-c", calib, "-D")...)
			paths, err := filepath.Glob(filepath.Join(calib, "*", d, "status_extra", "0-end.data"))
			if err != nil || len(paths) != 1 {
				t.Fatalf("%s: %v %v", d, paths, err)
			}
			b, err := os.ReadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			a, err := calibtxt.ReadStatus(bytes.NewReader(b), int64(len(b)), paths[0], nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, cols := a.Shape[len(a.Shape)-2], a.Shape[len(a.Shape)-1]
			want := []int{(k+1)*cols + k + 1}
			if c.bad != nil {
				want = c.bad
			}
			var bad []int
			for i, word := range a.Dense() {
				if at := i % (rows * cols); word != 0 && !slices.Contains(bad, at) {
					bad = append(bad, at)
				}
			}
			if !slices.Equal(bad, want) {
				t.Errorf("%s %s: %d pixels are masked, wanted %v", c.folder, d, len(bad), want)
			}
		}
	}
}
