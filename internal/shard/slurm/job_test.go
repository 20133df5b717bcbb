package slurm

import (
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestJobArgs(t *testing.T) {
	j := Job{Name: "rs-1", Script: "/w/a b.sbatch", Words: []string{"/w", "33"}, Array: "0-3,7%2", AfterOK: []string{"1", "2"}, AfterAny: []string{"3"}, Chdir: "/w", Log: "/w/%A.log",
		Resources: Resources{Account: "lcls:x", Partition: "milano", QOS: "q", Reservation: "r", Time: 90 * time.Second, MemMB: 100, CPUs: 4, Nodes: "n1", Exclusive: true,
			Exclude: []string{"n2", "n3"}, Extra: []string{"--comment=it's"}}}
	want := []string{"--job-name=rs-1", "--chdir=/w", "--output=/w/%A.log", "--account=lcls:x", "--partition=milano", "--qos=q", "--reservation=r", "--time=2", "--mem=100M",
		"--cpus-per-task=4", "--nodelist=n1", "--exclusive", "--exclude=n2,n3", "--array=0-3,7%2", "--dependency=afterok:1:2,afterany:3", "--kill-on-invalid-dep=yes",
		"--comment=it's", "/w/a b.sbatch", "/w", "33"}
	if got := j.Args(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := (Job{Script: "s"}).Args(); !reflect.DeepEqual(got, []string{"s"}) {
		t.Errorf("an empty job: %q", got)
	}
}

// TestLineIsWhatAShellReads types the printed command line into a shell.
func TestLineIsWhatAShellReads(t *testing.T) {
	j := Job{Script: "a b", Words: []string{"it's", "$HOME", "", "*", "x;y", "ü", "\n"}, Resources: Resources{Extra: []string{"--comment=a\\b\"c"}}}
	line, ok := strings.CutPrefix(j.Line(), "sbatch ")
	if !ok {
		t.Fatal(j.Line())
	}
	out, err := exec.Command("sh", "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !reflect.DeepEqual(got, j.Args()) {
		t.Errorf("got %q, want %q", got, j.Args())
	}
}

func TestChunksKeepToTheLimitsOfArrays(t *testing.T) {
	lim := Limits{MaxArraySize: 33, MaxArrayTask: 20}
	var tasks []int
	for i := range 70 {
		if i != 5 {
			tasks = append(tasks, i)
		}
	}
	chunks := Chunks(tasks, nil, lim)
	var specs []string
	var back []int
	for i, c := range chunks {
		specs = append(specs, c.Spec(Throttles(chunks, 10)[i]))
		for _, n := range c.Indices {
			if n >= lim.MaxArraySize || len(c.Indices) > lim.MaxArrayTask {
				t.Errorf("chunk %+v is beyond %+v", c, lim)
			}
			back = append(back, c.Offset+n)
		}
	}
	if !reflect.DeepEqual(back, tasks) {
		t.Errorf("tasks %v became %v", tasks, back)
	}
	want := []string{"0-4,6-20%2", "21-32%1", "0-19%2", "20-32%1", "0-3%1"}
	if !reflect.DeepEqual(specs, want) {
		t.Errorf("got %q, want %q", specs, want)
	}
	if got := Chunks(nil, nil, lim); got != nil {
		t.Errorf("no tasks: %v", got)
	}
	stages := Chunks([]int{0, 1, 2, 3}, func(t int) int { return t / 3 }, lim)
	if len(stages) != 2 || stages[0].Spec(0) != "0-2" || stages[1].Spec(0) != "3" || stages[1].Stage != 1 {
		t.Errorf("two stages: %+v", stages)
	}
	if got := (Chunk{Indices: []int{3}}).Spec(0); got != "3" {
		t.Errorf("no throttle: %q", got)
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]time.Duration{"10": 10 * time.Minute, "1:30": 90 * time.Second, "01:00:05": time.Hour + 5*time.Second,
		"2-0": 48 * time.Hour, "1-2:30": 26*time.Hour + 30*time.Minute, "1-00:00:01": 24*time.Hour + time.Second} {
		if got, err := ParseTime(in); err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-5", "1:2:3:4", "x", "1h", "99999999999999999999", "1-2:3:4:5"} {
		if got, err := ParseTime(in); err == nil {
			t.Errorf("%q: got %s", in, got)
		}
	}
}

func TestParseMemory(t *testing.T) {
	for in, want := range map[string]int64{"4000": 4000, "100M": 100, "8G": 8192, "8g": 8192} {
		if got, err := ParseMemory(in); err != nil || got != want {
			t.Errorf("%q: got %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0", "M", "-3G", "much", "1K"} {
		if got, err := ParseMemory(in); err == nil {
			t.Errorf("%q: got %d", in, got)
		}
	}
}
