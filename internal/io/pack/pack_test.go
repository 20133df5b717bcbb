package pack

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

type head struct {
	Plan string `json:"plan"`
	Task int    `json:"task"`
}

func sample(n int) []Array {
	r := rand.New(rand.NewPCG(1, 2))
	a8, a16, a32, a64 := make([]uint8, n), make([]uint16, n), make([]uint32, n), make([]uint64, n)
	i32, i64, f64 := make([]int32, n), make([]int64, n), make([]float64, n)
	for i := range n {
		x := r.Uint64()
		a8[i], a16[i], a32[i], a64[i] = uint8(x), uint16(x), uint32(x), x
		i32[i], i64[i], f64[i] = int32(x), int64(x), math.Float64frombits(x&^(1<<62))
	}
	return []Array{{"a8", 0, a8}, {"a16", 1, a16}, {"a32", 2, a32}, {"a64", 3, a64}, {"i32", 4, i32}, {"i64", 5, i64}, {"f64", 6, f64}}
}

func write(t testing.TB, arrays []Array) []byte {
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

// load does everything a reader can do and gives the first error.
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
		if _, err := r.Load(e.Name); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryDamageIsSeen(t *testing.T) {
	b := write(t, sample(20))
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

func TestUnknownTypeAndNames(t *testing.T) {
	if err := Write(&bytes.Buffer{}, "test", head{}, []Array{{Name: "x", Data: []string{"a"}}}); err == nil {
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
	f.Fuzz(func(t *testing.T, b []byte) { _ = load(b) })
}

// BenchmarkPack writes, verifies and reads planes like those of a panel.
func BenchmarkPack(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 512 * 1024
	u64, u32, u16 := make([]uint64, n), make([]uint32, n), make([]uint16, n)
	for i := range n {
		u64[i], u32[i], u16[i] = 1e9+r.Uint64N(1e6), 1000+r.Uint32N(50), uint16(1000+r.IntN(60))
	}
	arrays := []Array{{Name: "sum2", Data: u64}, {Name: "sum1", Data: u64}, {Name: "sum0", Data: u32}, {Name: "nlo", Data: u32},
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
