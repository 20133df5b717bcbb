package hdf5

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

// TestLookup3HasThePublishedValues compares with the values that Bob Jenkins published beside lookup3.c.
func TestLookup3HasThePublishedValues(t *testing.T) {
	for text, want := range map[string]uint32{"": 0xdeadbeef, "Four score and seven years ago": 0x17770551} {
		if got := lookup3([]byte(text)); got != want {
			t.Errorf("%q: %#x, want %#x", text, got, want)
		}
	}
}

// tree has every kind of dataset, groups in groups, attributes and names of many lengths.
func tree() *Group {
	sub := &Group{Name: "entry", Attributes: []Attribute{{"NX_class", "NXentry"}, {"empty", ""}},
		Datasets: []*Dataset{
			{Name: "u1", Shape: []int{3}, Data: []uint8{0, 1, 255}},
			{Name: "u2", Shape: []int{1, 2}, Data: []uint16{7, 65535}},
			{Name: "u4", Shape: []int{2, 1, 1}, Data: []uint32{1, 1 << 31}, Attributes: []Attribute{{"unit", "ADU µ"}}},
			{Name: "u8", Shape: []int{1}, Data: []uint64{1<<64 - 1}},
			{Name: "i4", Shape: []int{2, 2}, Data: []int32{-1, 2, -2147483648, 4}},
			{Name: "i8", Shape: []int{1}, Data: []int64{-1 << 63}},
			{Name: "none", Shape: []int{0, 4}, Data: []uint8{}},
		}}
	root := &Group{Groups: []*Group{sub}}
	for n := 1; n < 40; n++ {
		root.Groups = append(root.Groups, &Group{Name: strings.Repeat("g", n), Groups: []*Group{{Name: "inner"}}})
	}
	return root
}

// TestReadByH5py wants h5py to find in a file what was put into it, and no more.
func TestReadByH5py(t *testing.T) {
	python := testenv.Python(t, "h5py")
	var b bytes.Buffer
	if err := Write(&b, tree()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tree.h5")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	script := `
import h5py, sys
f = h5py.File(sys.argv[1], "r")
def show(name, o):
    attrs = ",".join("%s=%s" % (k, o.attrs[k].decode()) for k in sorted(o.attrs))
    if isinstance(o, h5py.Dataset):
        print(name, o.dtype.str, o.shape, [int(x) for x in o[()].ravel()], attrs)
    else:
        print(name, attrs)
f["entry"].visititems(show)
show("entry", f["entry"])
print(len(f), len(f["g" * 39]))
`
	out, err := exec.Command(python, "-c", script, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := `i4 <i4 (2, 2) [-1, 2, -2147483648, 4] 
i8 <i8 (1,) [-9223372036854775808] 
none |u1 (0, 4) [] 
u1 |u1 (3,) [0, 1, 255] 
u2 <u2 (1, 2) [7, 65535] 
u4 <u4 (2, 1, 1) [1, 2147483648] unit=ADU µ
u8 <u8 (1,) [18446744073709551615] 
entry NX_class=NXentry,empty=
40 1
`
	if string(out) != want {
		t.Errorf("h5py reads\n%s\nwant\n%s", out, want)
	}
}

// TestSameTreeMakesTheSameFile wants the same tree to make the same file.
func TestSameTreeMakesTheSameFile(t *testing.T) {
	var a, b bytes.Buffer
	if err := Write(&a, tree()); err != nil {
		t.Fatal(err)
	}
	if err := Write(&b, tree()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two files of one tree differ")
	}
}

// TestWhatNoFileCanHoldPanics wants what no file can hold to panic.
func TestWhatNoFileCanHoldPanics(t *testing.T) {
	for name, d := range map[string]*Dataset{
		"too few values": {Name: "a", Shape: []int{2}, Data: []uint8{1}},
		"no name":        {Shape: []int{1}, Data: []uint8{1}},
		"slash":          {Name: "a/b", Shape: []int{1}, Data: []uint8{1}},
		"float":          {Name: "a", Shape: []int{1}, Data: []float64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = Write(&bytes.Buffer{}, &Group{Datasets: []*Dataset{d}})
		})
	}
}
