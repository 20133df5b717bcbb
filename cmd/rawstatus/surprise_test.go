package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
)

// calls are calls that people make, right and wrong: the exit code, and what the last line but hints must say. D, J and N
// stand for folders with a run of epix100, of jungfrau in three gain modes, and for an array; W is a work directory that
// was reduced into the repository R.
const calls = `
0 inspect D/tstx00417-r0007-s000-c000.xtc2 | 40 L1Accept
0 inspect D/tstx00417-r0007-s000-c000.xtc2 --json | "format"
0 --quiet inspect --names J/tstx00417-r0008-s000-c000.xtc2 | jungfrau
11 inspect D/tstx00417-r0007-s000-c000.xtc2 J/tstx00417-r0008-s000-c000.xtc2 | are both chunk 0
10 inspect D | there is tstx00417 runs 7
0 inspect D -e tstx00417 -r 7 | 40 L1Accept
10 inspect D/none.xtc2 | check the path
2 inspect | or files
2 run | no constants repository
2 run --dir D -r 7 -e tstx00417 -o R -C pedestals | not a type of status constants
2 run --dir D -r 7 -e tstx00417 -o R -C gain | not a type of status constants
2 run --dir D -r 7 -e tstx00417 -o R -C status_extra | made by mergedeploy
2 run --dir D -r 7 -e tstx00417 -o R -C status_merged | made by mergedeploy
2 run --dir D -r 7 -e tstx00417 -o R -C Status_Data | lower case
2 run --dir D -r 7 -e tstx00417 -o R -C status_x/../y | is not a name
2 run --dir D -r 7 -e tstx00417 -o R -F 11 --work W11 | feature 11 needs pedestals
10 run --dir D -r 7 -e tstx00417 -o R -F 11 --work W11 --pedestals D/none | D/none
10 run --dir D -r 7 -e tstx00417 -o R -F 11 --work W11 --pedestals D | D
10 run --dir D -r 7 -e tstx00417 -o R -F 11 --work W11 --pedestals N | int
2 run --dir D -r 7 -e tstx00417 -o R --work W11 --pedestals D/none | --pedestals has no effect on a job of profile data: it is for feature 11
2 run --dir D -r 7 -e tstx00417 -o R --work W11 -F 1,2 --pedestals D | a job of features 1,2
2 plan --dir D -r 7 -e tstx00417 --work W11 --gates-from D/none | it is for profile dark
2 plan --dir D -r 7 -e tstx00417 --work W11 --gate-frames 20 | it is for profile dark
2 plan --dir D -r 7 -e tstx00417 --work W11 --fraclo 0.1 | it is for profile dark
2 plan --dir D -r 7 -e tstx00417 --work W11 --window 7,7 | it is for feature 6
2 plan --dir D -r 7 -e tstx00417 --work W11 --profile light --rms-hi 50 | it is for profiles data and dark
2 plan --dir D -r 7 -e tstx00417 --work W11 --profile dark --snrmax 5 | it is for features
2 plan --dir D -r 7 -e tstx00417 --work W11 --ci-flips 0.5 | it is for profile ci
2 plan --dir D -r 7 -e tstx00417 --work W11 --first-period | it is for profile ci
2 plan --dir D -r 7 -e tstx00417 --work W11 --space 0 | --space 0: wanted a value from 1 to 64
2 run --dir D -r 7 -e tstx00417 -o R -F 4 | there is no feature 4
2 run --dir D -r 7 -e tstx00417 -o R -F 1,2 --profile dark | profile dark has its own features
2 run --dir D -r 7 -e tstx00417 -o R --profile drak | wanted one of data, dark
2 run --dir D -r 7 -e tstx00417 -o R -n -5 | --events -5: wanted at least 0
2 run --dir D -r 7 -e tstx00417 -o R --max-lost 101 | from 0 to 100
2 run --dir D -r 7 -e tstx00417 -o R --max-lost NaN | from 0 to 100
2 run --dir D -r 7 -e tstx00417 -o R --snrmax Inf | wanted a finite number
2 run --dir D -r 7 -e tstx00417 -o R --int-hi NaN | wanted a finite number
2 run --dir D -r 7 -e tstx00417 -o R --tasks 0 | --tasks 0: wanted at least 1
2 run --dir D -r 7 -e tstx00417 -o R --workers -2 | --workers -2: wanted at least 1
2 run --dir D -r 7 -e tstx00417 -o R --fraclm 1.2 | from 0 to 1
2 run --dir D -r 7 -e tstx00417 -o R --profile dark --fraclo 0.9 --frachi 0.1 | 0 <= low <= high <= 1
2 run --dir D -r 7 -e tstx00417 -o R --int-lo 100 --int-hi 50 | wanted low <= high
2 run --dir D -r 7 -e tstx00417 -o R --neighbours 3 | wanted 0, 4 or 8
2 run --dir D -r 7 -e tstx00417 -o R --slice 0:10 | wanted R0:R1,C0:C1
2 run --dir D -r 7 -e tstx00417 -o R --slice 5:2,0:4 | wanted R0:R1,C0:C1
2 run --dir D -r 7 -e tstx00417 -o R --slice 0:100,0:100 | 32 x 48 pixels
2 run --dir D -r 7 -e tstx00417 -o R --gain-mode g1 | has one gain
2 run --dir D -r 7 -e tstx00417 -o R --gain-mode G9 | gain modes: FH
2 run --dir D -r 7 -e tstx00417 -o R -d épix | is not a name
2 run --dir D -r 7 -e tstxé -o R | is not a name
2 run --dir D -r 7 -e tst/x -o R | is not a name
10 run --dir D -r 7 -e tstx00417 -o R -d nosuch | the run has epix100
10 run --dir D -r 7 -e tstx00999 -o R | there is tstx00417
2 run --dir D -r seven -e tstx00417 -o R | "seven" is not a number
2 run --dir D -r 7-9 -e tstx00417 -o R | one run is wanted
10 run --dir D -r 9 -e tstx00417 -o R | runs of tstx00417 there: 7
10 run --dir D/none -r 7 -e tstx00417 -o R | no raw files are there
2 run -k exp=tstx00417,run=7,dri=D -o R | key "dri" is not known
10 run --dir D -r 7 -e tstx00417 -o N/x | not a directory
10 run --dir D -r 7 -e tstx00417 -o R --work /proc/w | /proc/w
2 run --dir D -r 7 -e tstx00417 -o R --work= | --work is empty
2 run --dir D -r 7 -e tstx00417 -o R extra | does not know what to do with "extra"
2 run extra --dir D -r 7 -e tstx00417 -o R | does not know what to do with "extra"
2 run --dir D -r 7 -r 8 -e tstx00417 -o R | --run is given twice
2 run --dir D -r 7 -e tstx00417 -o R --settle -1s | wanted at least 0
10 run --dir D -r 7 -e tstx00417 -o R --step 9 | has no step 9
2 run --dir D -r 7 -e tstx00417 -o R --step 3-1 | "3-1" is no number or range
2 run --dir D -r 7 -e tstx00417 -o R -i -1 | "-1" is no number or range from 0
10 run --dir D -r 7 -e tstx00417 -o R -i 9 | has no segment 9
2 run --dir D -r 7 -e tstx00417 -o R --databits 0 | 0x3fff
2 run --dir D -r 7 -e tstx00417 -o R --compat lcls3 | wanted one of lcls1, lcls2
2 run --dir D -r 7 -e tstx00417 -o R --window 0,5 -F 6 | each at least 1
2 run --dir D -r 7 -e tstx00417 -o R --det-type jungfrua | there is no detector type
2 run --dir D -r 7 -e tstx00417 -o R --det-type jungfrau | raw data say their type
2 run --dir D --run 7 --exp tstx00417 --repositroy R | did you mean --repository?
2 run --dir D --run 7 --exp tstx00417 -o R --read fast | wanted one of cached, direct
2 run --io-depth 0 | from 1 to 4096
2 run --min-frames 0 | at least 1
2 run --site D/none.toml | could not read the site file
2 run --log-level loud | wanted one of error, warn, info, debug
2 rnu | did you mean "run"?
2 help nothing | unknown command
0 help run | --help-all shows all
0 run -h | Usage: rawstatus run
0 help --all run | --io-depth
0 version | rawstatus version
0 --version | rawstatus version
0 task W --task 0-31 | nothing to do for task 2 and above
0 task --task 0-31 W --workers 1 | 2 tasks of plan
2 task --work W --task x | wanted a list like 0,3-5, or all
2 task --work W --task -1 | wanted a list like 0,3-5, or all
2 task --work D/none --task 0 | no plan in work directory
2 status | needs a work directory
2 reduce W | no constants repository
0 reduce W -o R | 10 of 3072 pixels bad
2 reduce W R -o R | takes one work directory, not 2
2 reduce --work W -o R D | the work directory is
2 reduce W -o R --set rms_hi | wanted KEY=VALUE
2 reduce W -o R --set nosuch=3 | there is no rule "nosuch"
2 reduce W -o R --set rms_hi=x | wanted a number
2 reduce W -o R --set limits=robustt | wanted mean or robust
0 reeval W --set rms_hi=50 | the rules start from those of the plan, with rms_hi = 50 (plan: 65534)
0 reduce W -o R --set limits=robust | 3072 pixels bad
0 reeval W | the last reduction had limits = robust (plan: mean)
2 reeval W --set int_hi=100 | raw data must be read again
2 scan W | needs --rule
0 scan W --rule rms_max | 19.8
0 scan W --rule rms-max --steps 3 | the rules start from those of the plan
0 scan W --rule line_fraction --steps 2 | 0.95
2 scan W --rule rms_maxx | no such rule to vary
2 scan W --rule rms_max --steps 0 | from 1 to 1000
2 scan W --rule rms_max --from 10 --to 5 | give --from and --to
2 diff a b c | compares two files
10 diff D/a D/b | check the path
2 diff -o R -e tstx00417 -r 7 | --run
2 diff -o R --det-type epix1000 --at 20260101000000 | there is no detector type
2 diff -o R --det-type epix100 --at 2026 | YYYYmmddHHMMSS
2 save -o R | one file
10 save D/none -o R -e tstx00417 -r 7 | check the path
2 save N -o R -e tstx00417 -r 7 -C pedestals | not a type of status constants
2 bits extra | does not know what to do
2 config extra | does not know what to do
2 simulate | needs --out
2 simulate --out S --panels -1 | at least 1
2 simulate --out S --det-type nosuch | there is no detector type
2 simulate --out S --panels 0 | at least 1
2 simulate --out S --rows 0 | at least 1
2 simulate --out S --steps 0 | at least 1
2 simulate --out S --space 5 | --space has no effect without --scan
2 simulate --out S --space 0 | at least 1
2 simulate --out S --events 0 | at least 1
2 simulate --out S --gain-modes g0,g9 | there is no gain mode "g9"
2 simulate --out S --dead 100000000 | take fewer
2 simulate --out S -r 10000 | from 0 to 9999
2 demo --work D | name a new directory
0 plan --dir D -r 7 -e tstx00417 --work WP --tasks 32 | 2 tasks, next
2 campaign | needs FILE.toml
2 campaign D/none.toml | no campaign file
10 campaign D | could not read the campaign file
10 campaign N/x.toml | not a directory
0 report -o R -e tstx00417 -r 7 --det-type epix100 --out D/page.html | page.html
10 report -o R -e tstx00417 -r 7 --det-type jungfrau --out D/page.html | jungfrau
2 report W --det-type epix100 | --work names a run already
0 report W --segment 0 | report.html
0 report --work W --max-size 1 W | report.html
2 report W D | takes one work directory, not 2
2 report D/none | no plan in work directory
10 report W --out D | is a directory
2 report -o R -e tstx00417 | or -e and -r
2 report W --segment 99 | not among the segments
2 report W --segment -1 | is no number or range
2 report W --max-size 0 | from 0.1 to 1000
2 explain -o R 0 -1 0 | "-1" is not a row or column
2 explain -o R 0 -1 0 -d épix | is not a name
10 explain -o R 9 0 0 | there is no panel "9"
10 explain -o R -d nosuch 0 1 1 | but of epix100
10 explain -o R --det-type jungfrau 0 1 1 | but of epix100
2 explain -o R --det-type nosuch 0 1 1 | there is no detector type
0 plan --dir D -r 7 -e tstx00417 | 2 tasks, next
0 explain 0 1 1 -o R -C status_data | cannot be used
0 plan --dir D -r 7 -e tstx00417 --work rawstatus-work/other | 2 tasks, next
11 explain 0 1 1 -o R -C status_data --work rawstatus-work/other | partials of plan
0 explain 0 1 1 -o R --det-type epix100 | row 1, column 1
0 explain 0 1 1 -o R --work W -d epix100 | row 1, column 1
10 export -o R -e tstx00417 -r 7 --format npy --out D | is a directory
0 export -o R -e tstx00417 -r 7 --format npy -C status_data --det-type epix100 --out D/mask.npy | pixels of epix100
10 export -o R -e tstx00417 -r 7 --format npy --det-type jungfrau --out D/mask.npy | but of epix100
2 export -o R -e tstx00417 -r 7 --format nmpy --out X | wanted one of npy
2 export -o R -e tstx00417 -r 7 --format npy --good 2 --out X | wanted one of 0, 1
2 export -o R -e tstx00417 -r 7 --format npy --bits nosuch --out X | nosuch
2 post D | no plan in work directory
2 post W --elog-url nonsense | it is not an address
2 post W --elog-url http://me:secret@host/ | without user and password
2 post W --elog-auth maybe | is not none, basic
2 post W --report D | it is not a file
2 post --retry D/none | no work directories
2 simulate --out S --scan chargeinj --det-type jungfrau | epix
2 simulate --out S --scan chargeinj --det-type epixhr2x2 --space 0 | at least 1
2 simulate --out S --scan pulser | wanted one of chargeinj
2 run --dir D -r 7 -e tstx00417 -o R --profile ci | charge injection is judged for types
2 run --dir D -r 7 -e tstx00417 -o R --ci-flips 1.5 | from 0 to 1
2 run --dir D -r 7 -e tstx00417 -o R --ci-nsigm -1 | at least 0
2 completion tcsh | one of bash, zsh, fish
2 rerun --tasks x W | is not a number
2 submit --mem lots | 8G
2 submit --cpus-per-task 0 | at least 1
2 submit --max-time soon | HH:MM:SS
`

// TestSurprisingCallsAreDoneOrRefusedBeforeAnyWork makes each of the calls. One that is refused for its words has not begun any work.
func TestSurprisingCallsAreDoneOrRefusedBeforeAnyWork(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_GROUP", "root")
	dir := t.TempDir()
	t.Chdir(dir) // some calls would make a work directory here
	text := filepath.Join(dir, "array.txt")
	if err := os.WriteFile(text, []byte("# DTYPE int\n1 2 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	places := strings.NewReplacer(" D ", " "+dir+"/d ", " D/", " "+dir+"/d/", "=D ", "="+dir+"/d ", " J/", " "+dir+"/j/", " N ", " "+text+" ", " N/", " "+text+"/",
		" R ", " "+dir+"/r ", " W ", " "+dir+"/w ", " W11 ", " "+dir+"/w11 ", " WP ", " "+dir+"/wp ", " S ", " "+dir+"/s ")
	words := func(line string) []string {
		return strings.Fields(places.Replace(strings.ReplaceAll(" "+line+" ", " ", "  ")))
	}
	for _, line := range []string{
		"simulate --out D -e tstx00417 -r 7 --det-type epix100 --rows 32 --cols 48 --panels 2 --events 40 --hot 3 --noisy 2",
		"simulate --out " + dir + "/j -e tstx00417 -r 8 --panels 1 --rows 32 --cols 64 --gain-modes g0,g1,g2 --events 5",
		"run --dir D -r 7 -e tstx00417 -o R --work W",
	} {
		if code, _, stderr := call(t, words(line)...); code != 0 {
			t.Fatalf("%s: %s", line, stderr)
		}
	}
	for line := range strings.Lines(strings.TrimSpace(calls)) {
		want, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		typed, says, _ := strings.Cut(rest, " | ")
		code, stdout, stderr := call(t, words(typed)...)
		says = strings.TrimSpace(places.Replace(" " + says + " "))
		if want != exitCode(code) || !strings.Contains(stdout+stderr, says) {
			t.Errorf("rawstatus %s: exit code %d, wanted %s and %q:\n%s%s", typed, code, want, says, stderr, stdout)
		}
		if code == int(fault.Unexpected) {
			t.Errorf("rawstatus %s: a defect of the program?", typed)
		}
	}
	for _, nothing := range []string{"w11", "s"} {
		if _, err := os.Stat(filepath.Join(dir, nothing)); err == nil {
			t.Errorf("%s was written by calls that are refused", nothing)
		}
	}
}

func exitCode(code int) string {
	return map[int]string{0: "0", 2: "2", 10: "10", 11: "11", 13: "13"}[code]
}

// TestEveryFlagOfAJobHasAnEffectInIt wants every flag of a job to be known as one that all jobs heed, or as one of some.
func TestEveryFlagOfAJobHasAnEffectInIt(t *testing.T) {
	known := []string{"profile", "features", "ctype", "compat", "events", "skip", "step", "segment", "zero-frames", "databits", "max-lost", "allow-incomplete",
		"all-headers", "line-fraction", "asic-fraction", "neighbours"}
	for _, x := range effects {
		known = append(known, x.flags...)
	}
	var defined []string
	for _, f := range jobFlags() {
		defined = append(defined, f.Names()[0])
	}
	slices.Sort(known)
	slices.Sort(defined)
	if !slices.Equal(known, defined) {
		t.Errorf("flags of jobs:\n%s\nwhose effect is known:\n%s", defined, known)
	}
}
