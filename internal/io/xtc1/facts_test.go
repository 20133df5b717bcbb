package xtc1

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/testenv"
)

// fact is the entry of one file in XTC1_FACTS.json.
type fact struct {
	File        string
	Size        int64
	Datagrams   int
	Transitions map[string]int
	Run         *int
	Trailing    int64 `json:"trailing_bytes"`
	Leaves      map[string]int
	LeafDamage  map[string]int `json:"leaf_damage"`
	Sources     map[string]struct {
		Name     string
		Shape    []int
		Dtype    string
		SHA256   string
		PanelIDs []string `json:"panel_ids"`
		Events   []struct {
			Time     string
			Fiducial uint32
			Panels   []struct {
				Shape       []int
				SHA256      string
				Min, Max    uint16
				Sum         uint64
				Mean        float64
				First, Last []uint16
				Bits        []int `json:"bits_15_14"`
			}
		}
	}
}

func loadFacts(t testing.TB) (dir string, facts []fact) {
	t.Helper()
	shared := testenv.Shared(t)
	b, err := os.ReadFile(filepath.Join(shared, "spec", "XTC1_FACTS.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Files []fact }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(shared, "data"), all.Files
}

// openFile opens a file with the numbers of its name, and its smalldata file if small is set.
func openFile(t testing.TB, path string, small bool) *File {
	t.Helper()
	name, ok := FileNames.Parse(filepath.Base(path))
	at := FileNames.SmallPath(path)
	// Some copies of the shared data have symbolic links as files that hold the link's target.
	if st, err := os.Stat(path); err == nil && st.Size() < 100 {
		if b, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(b), ".xtc") {
			path = filepath.Join(filepath.Dir(path), string(b))
		}
	}
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	st, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f := &File{File: frame.File{Path: path, Size: st.Size(), ModTime: st.ModTime()}, R: r}
	if ok {
		f.Stream, f.Chunk = name.Stream, name.Chunk
	}
	if small {
		f.Small = openFile(t, at, false)
	}
	return f
}

// index builds the index of files, and fails the test if that is not possible.
func index(t testing.TB, opt rawrun.Options, files ...*File) *frame.Index {
	t.Helper()
	x, err := BuildIndex(context.Background(), rawrun.Request{Files: files}, opt)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// pixels reads one frame through the index.
func pixels(t testing.TB, x *frame.Index, event, panel int) []uint16 {
	t.Helper()
	e := x.At(event, panel)
	raw := make([]byte, e.Length)
	f, err := os.Open(x.Files[e.File].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(raw, e.Offset); err != nil {
		t.Fatal(err)
	}
	px := make([]uint16, x.Panels[panel].Pixels())
	if err := codec.Decode(x.Panels[panel], px, raw); err != nil {
		t.Fatalf("%v event %d: %v", x.Panels[panel], event, err)
	}
	return px
}

func hashOf(px ...[]uint16) string {
	h := sha256.New()
	for _, p := range px {
		binary.Write(h, binary.LittleEndian, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestSampleFilesAreReadAsIsKnownOfThem holds the reader to everything that is known of every sample file.
func TestSampleFilesAreReadAsIsKnownOfThem(t *testing.T) {
	dir, facts := loadFacts(t)
	for _, want := range facts {
		t.Run(filepath.Base(want.File), func(t *testing.T) {
			path := filepath.Join(dir, want.File)
			checkScan(t, path, want)
			small := strings.HasSuffix(path, ".smd.xtc")
			x := index(t, rawrun.Options{}, openFile(t, FileNames.DataPath(path), small))
			for _, n := range x.Notes {
				if strings.Contains(n, "smalldata not used") {
					t.Error(n)
				}
			}
			run := 0
			if name, ok := FileNames.Parse(filepath.Base(path)); ok {
				run = name.Run
			}
			if want.Run != nil {
				run = *want.Run
			}
			if x.Run.Number != run {
				t.Errorf("run %d, want %d", x.Run.Number, run)
			}
			checkFrames(t, x, want)
		})
	}
}

// checkScan compares the structure of a file.
func checkScan(t *testing.T, path string, want fact) {
	t.Helper()
	f := openFile(t, path, false)
	got := fact{File: want.File, Size: f.Size, Transitions: map[string]int{}, Leaves: map[string]int{}, LeafDamage: map[string]int{}}
	end := int64(0)
	err := Scan(context.Background(), f, func(d *Datagram) error {
		got.Datagrams++
		got.Transitions[d.Service]++
		end = d.Offset + d.Size
		if d.Problem != nil {
			t.Error(d.Problem)
		}
		for _, l := range d.Leaves {
			name := l.TypeName
			if l.Source == "" || l.Type == idAny || l.Type == idSmlDataProxy {
				name = fmt.Sprintf("type %d", l.Type)
			}
			from := l.Source
			if from == "" {
				from = fmt.Sprintf("level %d", l.Level)
			}
			key := fmt.Sprintf("%s %s v%d", from, name, l.Version)
			if l.Compressed {
				key += " compressed"
			}
			got.Leaves[key]++
			if l.Damage != 0 {
				got.LeafDamage[fmt.Sprintf("%#x", l.Damage)]++
			}
		}
		return nil
	})
	got.Trailing = f.Size - end
	if (err != nil) != (want.Trailing != 0) {
		t.Errorf("scan: %v", err)
	}
	got.Run, got.Sources = want.Run, want.Sources
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Errorf("structure\n got %s\nwant %s", g, w)
	}
}

// checkFrames compares sources, ids, times and pixels.
func checkFrames(t *testing.T, x *frame.Index, want fact) {
	t.Helper()
	for _, src := range want.Sources {
		y := x.Select(src.Name)
		if len(y.Panels) == 0 {
			t.Fatalf("no panels of %s, only %v", src.Name, x.Detectors())
		}
		for i, id := range src.PanelIDs {
			if y.Panels[i].ID != id {
				t.Errorf("panel %d: id %q, want %q", i, y.Panels[i].ID, id)
			}
		}
		good := 0
		for e := range y.Events {
			if y.At(e, 0).State != frame.Present {
				continue
			}
			if good == len(src.Events) {
				t.Fatalf("more than %d good events", good)
			}
			w := src.Events[good]
			good++
			ts := y.Events[e].TS
			if got := fmt.Sprintf("%d.%09d", ts>>32, ts&0xffffffff); got != w.Time {
				t.Errorf("event %d at %s, want %s", e, got, w.Time)
			}
			at := map[int]int{}
			for p := range y.Panels {
				at[y.Panels[p].Segment] = p
			}
			for seg, wp := range w.Panels {
				p, ok := at[seg]
				if !ok {
					if wp.Max != 0 || wp.Sum != 0 {
						t.Errorf("no panel for segment %d, whose pixels are not all 0", seg)
					}
					continue
				}
				px := pixels(t, y, e, p)
				if y.Panels[p].Rows != wp.Shape[0] || y.Panels[p].Cols != wp.Shape[1] {
					t.Errorf("%v: %d x %d, want %v", y.Panels[p], y.Panels[p].Rows, y.Panels[p].Cols, wp.Shape)
				}
				if got := hashOf(px); got != wp.SHA256 {
					t.Errorf("event %d %v: pixels hash %s, want %s", e, y.Panels[p], got, wp.SHA256)
				}
				sum := uint64(0)
				var bits [4]int
				for _, v := range px {
					sum += uint64(v)
					bits[v>>14]++
				}
				if sum != wp.Sum {
					t.Errorf("event %d %v: sum %d, want %d", e, y.Panels[p], sum, wp.Sum)
				}
				for i, n := range wp.Bits {
					if bits[i] != n {
						t.Errorf("event %d %v: gain bits %v, want %v", e, y.Panels[p], bits, wp.Bits)
					}
				}
			}
		}
		if good != len(src.Events) || good != src.Shape[0] {
			t.Errorf("%s: %d good events, want %d", src.Name, good, len(src.Events))
		}
	}
}
