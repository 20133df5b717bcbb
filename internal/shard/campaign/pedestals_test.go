package campaign

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/stats/status"
)

// darkItem is a dark run of one panel with two chips.
func darkItem(run int, first, second, rms float64) *slurm.Report {
	s := doneItem(run, "a")
	s.Profile = "dark"
	s.Summary.Groups[0].GainMode = "g1"
	s.Summary.Groups[0].Panels[0].Pedestals = []status.Chip{{Pixels: 2, Median: first, Spread: 2, RMS: rms}, {Row: 1, Pixels: 2, Median: second, Spread: 2, RMS: rms}}
	return s
}

// TestPedestalTrend follows two chips: one drifts slowly, the other makes a step, and comes back after a run that is not done.
func TestPedestalTrend(t *testing.T) {
	lost := darkItem(5, 0, 0, 1)
	lost.State = slurm.Ended
	v := &slurm.View{Items: []*slurm.Report{darkItem(7, 1003.5, 500.1, 2), darkItem(2, 1000, 500, 2), lost, darkItem(3, 1002, 530.25, 2), darkItem(9, 1004, 500.2, 0.1)}}
	trend, err := MakeTrend(v, func(string) ([]uint64, error) { return []uint64{0, 0, 0, 0}, nil })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := trend.WritePedestals(&out); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(lines) != 9 {
		t.Fatalf("%v\n%q", err, lines)
	}
	for i, want := range map[int]string{
		1: "e,d,dark,2,0,p,g1,0,0,1000.000,2.000,2.000,0.000,false",
		3: "e,d,dark,7,0,p,g1,0,0,1003.500,2.000,2.000,1.500,false",
		6: "e,d,dark,3,0,p,g1,1,0,530.250,2.000,2.000,30.250,true",
		7: "e,d,dark,7,0,p,g1,1,0,500.100,2.000,2.000,-30.150,true",
		8: "e,d,dark,9,0,p,g1,1,0,500.200,2.000,0.100,0.100,false",
	} {
		if got := strings.Join(lines[i], ","); got != want {
			t.Errorf("line %d is %s, wanted %s", i, got, want)
		}
	}
	out.Reset()
	if err := trend.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"e d dark: pedestals of 2 chips, runs 2 to 9: the largest shift is +4.000 ADU (segment 0 g1 chip at row 0 column 0), from 1000.000 to 1004.000; " +
			"0 steady drifts, 0 lasting changes of level, 2 steps\n",
		"  step in run 3: segment 0 g1 chip at row 1 column 0 by +30.250 ADU to 530.250, noise 2.000\n  step in run 7: segment 0 g1 chip at row 1 column 0 by -30.150 ADU",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
	out.Reset()
	if err := MakeTable("n", v, trend).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var table struct {
		Pedestals []struct {
			Row  int
			Runs []PedestalRun
		}
	}
	if err := json.Unmarshal(out.Bytes(), &table); err != nil || len(table.Pedestals) != 2 || len(table.Pedestals[1].Runs) != 4 || !table.Pedestals[1].Runs[1].Step {
		t.Errorf("%v: %+v", err, table)
	}
}

// TestDriftsAndLevels follows a chip that drifts and one that changes its level once, both with some scatter, while bad pixels come.
func TestDriftsAndLevels(t *testing.T) {
	v := &slurm.View{}
	for i, scatter := range []float64{0.02, -0.03, 0.01, 0.02, -0.02, 0.01, -0.03, 0.02} {
		level := 500.0
		if i >= 5 {
			level = 501
		}
		v.Items = append(v.Items, darkItem(i+1, 1000+0.5*float64(i)+scatter, level-scatter, 2))
		v.Items[i].Summary.Groups[0].Panels[0].File = strings.Repeat("x", i)
	}
	trend, err := MakeTrend(v, func(path string) ([]uint64, error) {
		status := make([]uint64, 8)
		for i := range len(path) {
			status[i] = 1
		}
		return status, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	chips := trend.Pedestals()
	if d := chips[0].Drift; d == nil || d.PerRun < 0.48 || d.PerRun > 0.52 || d.P > 1e-6 || chips[0].Level != nil {
		t.Errorf("the first chip drifts by %v, new level %v", d, chips[0].Level)
	}
	if l := chips[1].Level; l == nil || l.Run != 6 || l.Change < 0.95 || l.Change > 1.05 || l.P > 1e-6 {
		t.Errorf("the second chip has the new level %+v", l)
	}
	var out bytes.Buffer
	if err := trend.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"0 bad pixels became 7, +1 +- 0 per run (p 0);",
		"; 1 steady drift, 1 lasting change of level, 0 steps\n  fastest drift: segment 0 g1 chip at row 0 column 0 by +0.4995 +- 0.0038 ADU per run (p ",
		"\n  new level from run 6 on: segment 0 g1 chip at row 1 column 0 by +1.000 ADU (p ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &out)
		}
	}
}
