package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

type head struct {
	Plan string `json:"plan"`
	Task int    `json:"task"`
}

func sample(n int) []Named {
	r := rand.New(rand.NewPCG(1, 2))
	a8, a16, a32, a64 := make([]uint8, n), make([]uint16, n), make([]uint32, n), make([]uint64, n)
	i32, i64, f64 := make([]int32, n), make([]int64, n), make([]float64, n)
	for i := range n {
		x := r.Uint64()
		a8[i], a16[i], a32[i], a64[i] = uint8(x), uint16(x), uint32(x), x
		i32[i], i64[i], f64[i] = int32(x), int64(x), math.Float64frombits(x&^(1<<62))
	}
	return []Named{{"a8", 0, a8}, {"a16", 1, a16}, {"a32", 2, a32}, {"a64", 3, a64}, {"i32", 4, i32}, {"i64", 5, i64}, {"f64", 6, f64}}
}

func write(t testing.TB, arrays []Named) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, "test", head{"p", 7}, arrays); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		arrays := sample(n)
		b := write(t, arrays)
		if !bytes.Equal(b, write(t, arrays)) {
			t.Fatal("the same content gave other bytes")
		}
		r, err := NewReader("mem", bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var h head
		if err := r.Head(&h); err != nil || h != (head{"p", 7}) || r.Kind() != "test" {
			t.Fatalf("head %+v kind %q: %v", h, r.Kind(), err)
		}
		for i, a := range arrays {
			got, err := r.Load(a.Name)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, a.Data) && n > 0 {
				t.Errorf("n=%d: array %q came back different", n, a.Name)
			}
			if r.Entries()[i].Attr != a.Attr {
				t.Errorf("array %q has attr %d, wanted %d", a.Name, r.Entries()[i].Attr, a.Attr)
			}
		}
		if err := r.Verify(); err != nil {
			t.Error(err)
		}
	}
}

// load does everything a reader can do and returns the first error.
func load(b []byte) error {
	r, err := NewReader("mem", bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	var h head
	if err := r.Head(&h); err != nil {
		return err
	}
	for _, e := range r.Entries() {
		read := r.Load
		if e.Tile != 0 {
			read = func(name string) (any, error) { return r.LoadTiles(name, nil) }
		}
		if _, err := read(e.Name); err != nil {
			return err
		}
	}
	return r.Verify()
}

func TestEveryDamageIsSeen(t *testing.T) {
	everyDamage(t, write(t, sample(20)))
	var b bytes.Buffer
	w, _ := NewWriter(&b, "test")
	for _, a := range sample(20)[:6] {
		if err := w.AddTiles(a, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(head{"p", 7}); err != nil {
		t.Fatal(err)
	}
	everyDamage(t, b.Bytes())
}

func everyDamage(t *testing.T, b []byte) {
	t.Helper()
	if err := load(b); err != nil {
		t.Fatal(err)
	}
	var typed *Error
	for n := range b {
		if err := load(b[:n]); !errors.As(err, &typed) {
			t.Fatalf("cut at %d of %d: %v", n, len(b), err)
		}
		c := bytes.Clone(b)
		c[n] ^= 1 << (n % 8)
		if err := load(c); !errors.As(err, &typed) && n >= 8 {
			t.Fatalf("bit flip in byte %d of %d: %v", n, len(b), err)
		}
	}
	if err := load(append(bytes.Clone(b), 0)); !errors.As(err, &typed) {
		t.Fatalf("one byte more: %v", err)
	}
}

// tiled writes integer arrays that look like planes, random numbers and extremes, in tiles.
func tiled(t testing.TB, r *rand.Rand, n int) (file []byte, arrays []Named, predict []func(at, n int) Prediction) {
	kinds := []func() uint64{
		func() uint64 { return 7 },
		func() uint64 { return 1000 + r.Uint64N(50) },
		func() uint64 {
			return []uint64{0, 1, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxUint64}[r.IntN(9)]
		},
		func() uint64 { return r.Uint64() >> r.IntN(64) },
		func() uint64 {
			if r.IntN(100) == 0 {
				return r.Uint64()
			}
			return 60000 + r.Uint64N(300)
		},
	}
	for k, f := range kinds {
		a8, a16, a32, a64, i32, i64 := make([]uint8, n), make([]uint16, n), make([]uint32, n), make([]uint64, n), make([]int32, n), make([]int64, n)
		for i := range n {
			x := f()
			a8[i], a16[i], a32[i], a64[i], i32[i], i64[i] = uint8(x), uint16(x), uint32(x), x, int32(x), int64(x)
		}
		for j, data := range []any{a8, a16, a32, a64, i32, i64} {
			arrays = append(arrays, Named{Name: string(rune('a'+k)) + string(rune('0'+j)), Attr: k, Data: data})
		}
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, "test")
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range arrays {
		var expected func(at, n int) Prediction
		same, values := make([]uint16, n), make([]uint64, n)
		for k := range n {
			same[k], values[k] = uint16(r.Uint32()>>r.IntN(32)), uint64(k)*0x9e3779b97f4a7c15>>55
		}
		switch {
		case i%6 == 3:
			expected = func(at, n int) Prediction { return Prediction{Same: same[at : at+n]} }
		case i%2 == 1:
			expected = func(at, n int) Prediction { return Prediction{Values: values[at : at+n]} }
		}
		predict = append(predict, expected)
		if err := w.AddTiles(a, predict[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(head{"p", 7}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), arrays, predict
}

func TestTilesRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 63, 64, 65, TileSize - 1, TileSize, TileSize + 1, 3*TileSize + 100} {
		b, arrays, predict := tiled(t, rand.New(rand.NewPCG(3, uint64(n))), n)
		r, err := NewReader("mem", bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range arrays {
			got, err := r.LoadTiles(a.Name, predict[i])
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, a.Data) {
				t.Errorf("n=%d: array %q came back different", n, a.Name)
			}
			if _, err := r.Load(a.Name); err == nil {
				t.Errorf("array %q was loaded without its prediction", a.Name)
			}
		}
		if err := r.Verify(); err != nil {
			t.Error(err)
		}
	}
}

// TestTilesAreSmall: values near each other take the bytes of their differences, whatever a few pixels do.
func TestTilesAreSmall(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for span, most := range map[uint64]float64{1: 0.1, 200: 1.1, 50000: 2.1, 1 << 20: 4.1} {
		v := make([]uint64, 10*TileSize)
		for i := range v {
			if v[i] = 1e9 + r.Uint64N(span); r.IntN(1000) == 0 {
				v[i] = r.Uint64()
			}
		}
		var b bytes.Buffer
		w, _ := NewWriter(&b, "test")
		if err := w.AddTiles(Named{Name: "x", Data: v}, nil); err != nil {
			t.Fatal(err)
		}
		if got := float64(b.Len()) / float64(len(v)); got > most {
			t.Errorf("span %d: %.2f bytes for a value, wanted at most %.1f", span, got, most)
		}
	}
}

// TestSpreadIsOfTheSorted wants the bounds that are found in the sorted sample.
func TestSpreadIsOfTheSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		v := make([]uint64, 1+r.IntN(300))
		wide := r.IntN(64)
		for i := range v {
			v[i] = r.Uint64() >> wide
		}
		n := min(looked, len(v))
		some := make([]int64, n)
		for i := range n {
			some[i] = int64(v[i*(len(v)/n)] - v[0])
		}
		slices.Sort(some)
		cut := min(outliers, (n-1)/2)
		if lo, hi := spread(v, zeros[:]); lo != some[cut] || hi != some[n-1-cut] {
			t.Fatalf("%d values: %d to %d, wanted %d to %d", len(v), lo, hi, some[cut], some[n-1-cut])
		}
	}
}

// TestConstantTilesAreTiles: values that are all equal are stored as any others are.
func TestConstantTilesAreTiles(t *testing.T) {
	for _, x := range []int64{0, 1, -1, math.MinInt64, math.MaxInt64} {
		for _, n := range []int{1, 7, 8, 9, 100, TileSize} {
			v := slices.Repeat([]int64{x}, n)
			if !constant(v) {
				t.Errorf("%d times %d is not constant", n, x)
			}
			one := AppendTile(nil, "x", 3, v, Prediction{})
			other := AppendTile(nil, "x", 3, v, Prediction{Values: make([]uint64, n)})
			if !bytes.Equal(one, other) {
				t.Errorf("%d times %d: %x, wanted %x", n, x, one, other)
			}
			if n > 1 {
				if v[n-1] ^= 1 << 40; constant(v) {
					t.Errorf("%d times %d with another one is constant", n-1, x)
				}
			}
		}
	}
}

func TestTilesKnowTheirPlace(t *testing.T) {
	v := make([]uint16, 4*TileSize)
	var b bytes.Buffer
	w, _ := NewWriter(&b, "test")
	for i := range v {
		v[i] = uint16(i / TileSize)
	}
	if err := w.AddTiles(Named{Name: "x", Data: v}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(head{}); err != nil {
		t.Fatal(err)
	}
	c := bytes.Clone(b.Bytes())
	copy(c[startSize:], b.Bytes()[startSize+tileHead:][:tileHead])
	copy(c[startSize+tileHead:], b.Bytes()[startSize:][:tileHead])
	if err := load(c); err == nil {
		t.Error("two tiles changed places unseen")
	}
}

func TestUnknownTypeAndNames(t *testing.T) {
	if err := Write(&bytes.Buffer{}, "test", head{}, []Named{{Name: "x", Data: []string{"a"}}}); err == nil {
		t.Error("a []string was stored")
	}
	b := write(t, sample(3))
	r, err := NewReader("mem", bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Load("nothing"); err == nil {
		t.Error("an array that is not there was loaded")
	}
	if _, err := Get[uint8](r, "a64"); err == nil {
		t.Error("a []uint64 was delivered as []uint8")
	}
	var other struct{ Other int }
	if err := r.Head(&other); err == nil {
		t.Error("a head with unknown fields was accepted")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, sample(0)))
	f.Add(write(f, sample(5)))
	small, _, _ := tiled(f, rand.New(rand.NewPCG(1, 1)), 3)
	f.Add(small)
	f.Fuzz(func(t *testing.T, b []byte) { _ = load(b) })
}

// FuzzTile decodes any bytes with a right checksum, and encodes what it was given.
func FuzzTile(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 0, 1, 0, 9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 1, 0, 7, 7, 7, 7, 7, 7, 7, 7}, 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if len(b) < tileHead || n < 1 || n > TileSize {
			return
		}
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint32(b, tileSum(b, 5))
		v := make([]uint64, n)
		length, wrong := checkTile(b, n, 5)
		if wrong != "" || decodeTile(v, b[:length]) != "" {
			return
		}
		again := AppendTile(nil, "", 6, v, Prediction{})
		w := make([]uint64, n)
		if length, wrong := checkTile(again, n, 6); wrong != "" || length != len(again) || decodeTile(w, again) != "" || !slices.Equal(v, w) {
			t.Fatalf("%v became %v: %s", v, w, wrong)
		}
	})
}

// BenchmarkPack writes, verifies and reads planes like those of a panel.
func BenchmarkPack(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 512 * 1024
	u64, u32, u16 := make([]uint64, n), make([]uint32, n), make([]uint16, n)
	for i := range n {
		u64[i], u32[i], u16[i] = 1e9+r.Uint64N(1e6), 1000+r.Uint32N(50), uint16(1000+r.IntN(60))
	}
	arrays := []Named{{Name: "sum2", Data: u64}, {Name: "sum1", Data: u64}, {Name: "sum0", Data: u32}, {Name: "nlo", Data: u32},
		{Name: "gatelo", Data: u16}, {Name: "gatehi", Data: u16}}
	file := write(b, arrays)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(28 * n)
		for b.Loop() {
			write(b, arrays)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(28 * n)
		for b.Loop() {
			p, err := NewReader("test", bytes.NewReader(file), int64(len(file)))
			if err != nil {
				b.Fatal(err)
			}
			for _, a := range arrays {
				if _, err := p.Load(a.Name); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
