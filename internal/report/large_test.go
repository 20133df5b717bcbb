package report

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/browser"
)

// largeUnit is a panel of a jungfrau 16M with one pixel in a hundred bad, among them the planted ones.
func largeUnit(gain, panel int, planted []int) Unit {
	const n = 512 * 1024
	r := rand.New(rand.NewPCG(uint64(gain), uint64(panel)))
	u := Unit{Panel: panel, Expected: 1000, Frames: 1000, Status: make([]uint64, n)}
	for range n / 100 {
		u.Status[r.IntN(n)] = someWords[r.IntN(8)]
	}
	old := slices.Clone(u.Status)
	for range n / 1000 {
		old[r.IntN(n)] = status.RmsHigh
	}
	for _, i := range planted {
		u.Status[i] = status.RmsHigh | status.AveHigh
		old[i] = 0
	}
	u.Baselines = [][]uint64{old}
	// Gaussian noise out of a table, by pixel: nothing of the size of the detector is kept.
	var table [4096]float64
	for i := range table {
		table[i] = math.Sqrt2 * math.Erfinv((2*float64(i)+1)/4096-1)
	}
	noise := func(i, k int) float64 {
		z := uint64(i+1)*0x9e3779b97f4a7c15 + uint64(k+gain*64+panel)*0xbf58476d1ce4e5b9
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return table[(z^z>>31)&4095]
	}
	far := func(i int) bool { return u.Status[i]&status.RmsHigh != 0 }
	u.Quantities = []Quantity{
		{Name: "average", Unit: "ADU", Map: true, Value: func(i int) float64 { return 1000 + 30*noise(i, 1) + float64(i%1024)/20 }, Limits: []Limit{
			{Criterion: status.Criterion{Bit: status.AveLow, Limit: 800, Spread: 33}}, {Criterion: status.Criterion{Bit: status.AveHigh, High: true, Limit: 1250, Spread: 33}}}},
		{Name: "rms", Unit: "ADU", Map: true, Value: func(i int) float64 {
			if far(i) {
				return 60 + 10*noise(i, 2)
			}
			return 15 + noise(i, 2)
		}, Limits: []Limit{
			{Criterion: status.Criterion{Bit: status.RmsLow, Limit: 9, Spread: 1}}, {Criterion: status.Criterion{Bit: status.RmsHigh, High: true, Limit: 21, Spread: 1}}}},
		{Name: "n_hi", Unit: "frames", Value: func(i int) float64 { return float64(i % 5) }},
		{Name: "n_lo", Unit: "frames", Value: func(int) float64 { return 0 }},
		{Name: "min", Unit: "ADU", Value: func(i int) float64 { return math.Floor(900 + 20*noise(i, 3)) }},
		{Name: "max", Unit: "ADU", Value: func(i int) float64 { return math.Floor(1100 + 20*noise(i, 4)) }},
	}
	// As from the planes of a run: in memory.
	for q := range u.Quantities {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(u.Quantities[q].Value(i))
		}
		u.Quantities[q].Value = func(i int) float64 { return float64(values[i]) }
	}
	return u
}

// largePage makes the page of a jungfrau 16M in three gain modes.
func largePage(t testing.TB, planted []int) (m *made, took, cpu time.Duration) {
	t.Helper()
	m = &made{shape: shape{panels: 32, rows: 512, cols: 1024, gains: []string{"g0", "g1", "g2"}, baselines: 1}}
	p := Page{Title: "tst run 1 jungfrau", Gains: m.gains, Bits: Dictionary(status.Dark), Baselines: []string{"0-end.data"}}
	for i := range m.panels {
		p.Panels = append(p.Panels, PanelInfo{Name: fmt.Sprintf("segment %d", i), Rows: m.rows, Cols: m.cols, ASICRows: 256, ASICCols: 256})
	}
	m.b = New(p)
	for g := range m.gains {
		var units []Unit
		for k := range m.panels {
			units = append(units, largeUnit(g, k, planted))
		}
		begin, used := time.Now(), processorTime(t)
		if err := m.b.AddGain(context.Background(), g, units); err != nil {
			t.Fatal(err)
		}
		took, cpu = took+time.Since(begin), cpu+processorTime(t)-used
		if g == 0 {
			m.units = [][]Unit{units[17:18]} // for comparison
		}
	}
	begin, used := time.Now(), processorTime(t)
	var out bytes.Buffer
	var err error
	if m.Made, err = m.b.Write(&out); err != nil {
		t.Fatal(err)
	}
	m.html = out.Bytes()
	return m, took + time.Since(begin), cpu + processorTime(t) - used
}

// processorTime returns what this process has used of all cores.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestPageOfTheLargestDetectorKeepsItsSize wants the page of the largest detector to keep its size, and to show planted pixels as they are.
func TestPageOfTheLargestDetectorKeepsItsSize(t *testing.T) {
	if testing.Short() {
		t.Skip("50 million pixels")
	}
	planted := []int{0, 1023, 300*1024 + 777, 511*1024 + 1023, 256*1024 + 256}
	for r := rand.New(rand.NewPCG(1, 7)); len(planted) < 20; {
		planted = append(planted, r.IntN(512*1024))
	}
	m, took, _ := largePage(t, planted)
	t.Logf("%d bytes, %d pixels listed, left out %q, made in %v", m.Size, m.Listed, m.LeftOut, took)
	if m.Size > DefaultMaxSize {
		t.Errorf("the page has %d bytes, wanted at most %d", m.Size, DefaultMaxSize)
	}
	tab := m.open(t, browser.Start(t), "#p=17&g=0&r=300&c=777&z=8")
	for _, i := range planted {
		tab.Eval(fmt.Sprintf("report.show({p: 17, g: 0, r: %d, c: %d, z: 8, jump: 1}).then(() => 1)", i/m.cols, i%m.cols), nil)
		m.checkInspector(t, tab, 17, i, "planted pixel")
		tab.Eval(fmt.Sprintf("report.show({p: 17, g: 0, r: -1, x: %d, y: %d, z: 1}).then(() => 1)", i%m.cols, i/m.cols), nil)
		var colour []byte
		var got []int
		tab.Eval(fmt.Sprintf("(() => { const [x, y] = report.origin; return [...document.getElementById('map').getContext('2d').getImageData(x + %d, y + %d, 1, 1).data.slice(0, 3)]; })()", i%m.cols, i/m.cols), &got)
		for _, v := range got {
			colour = append(colour, byte(v))
		}
		if want := classes[Several].rgb; !bytes.Equal(colour, want[:]) {
			t.Errorf("planted pixel %d has the colour %v, wanted %v", i, colour, want)
		}
	}
	for _, u := range []int{17, 0, 95} {
		u0 := largeUnit(u/32, u%32, planted)
		want := map[string]int{}
		for _, w := range u0.Status {
			want[fmt.Sprint(w)]++
		}
		var got map[string]int
		tab.Eval(fmt.Sprintf("report.load(%d).then(d => { const n = {}; for (const i of d.status) { const w = String(d.words[i]); n[w] = (n[w] || 0) + 1; } return n; })", u), &got)
		for w, n := range want {
			if got[w] != n {
				t.Errorf("unit %d: %d pixels of word %s, wanted %d", u, got[w], w, n)
			}
		}
	}
}

// BenchmarkSixteenMegapixels measures the page of the largest detector: seconds to make it, its size, the first
// paint and the switch to another panel in a browser.
func BenchmarkSixteenMegapixels(b *testing.B) {
	for range b.N {
		m, took, cpu := largePage(b, nil)
		b.Logf("left out: %q", m.LeftOut)
		b.ReportMetric(took.Seconds(), "s/make")
		b.ReportMetric(cpu.Seconds(), "cpu-s/make")
		b.ReportMetric(float64(m.Size)/(1<<20), "MiB")
		tab := browser.Start(b).Open(1400, 900)
		tab.Load(m.url(b))
		tab.Until("window.report && (report.ready || report.error)")
		tab.Until("performance.getEntriesByName('first-contentful-paint').length")
		var paint float64
		tab.Eval("performance.getEntriesByName('first-contentful-paint')[0].startTime", &paint)
		b.ReportMetric(paint, "ms/first-paint")
		var all []float64
		for p := range 8 {
			var ms float64
			tab.Eval(fmt.Sprintf("report.show({p: %d, g: 1, r: -1}).then(() => report.switched)", 5+p), &ms)
			all = append(all, ms)
		}
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], "ms/switch")
	}
}
