package xtc2

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"slices"
	"testing"

	"rawstatus/internal/testenv"
)

// valuesOf returns all datagrams of a file of the shared data.
func valuesOf(t *testing.T, name string) []*Datagram {
	t.Helper()
	var list []*Datagram
	if _, err := Scan(mustRead(t, filepath.Join(testenv.Shared(t), "data", "xtc2", name)), nil, func(d *Datagram) error {
		list = append(list, d)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// described returns a field for people, of the block with that NamesId.
func described(t *testing.T, d *Datagram, id uint32, field string) string {
	t.Helper()
	for i := range d.Blocks {
		b := &d.Blocks[i]
		for k, f := range b.Names.Fields {
			if b.Names.ID == id && f.Base() == field && f.Type != EnumDict {
				return b.Describe(k)
			}
		}
	}
	t.Fatalf("no %s in NamesId %#x", field, id)
	return ""
}

// TestFactsOfValues compares values that the facts mention in words.
func TestFactsOfValues(t *testing.T) {
	jf := valuesOf(t, "jf05m.xtc2")
	for field, want := range map[string]string{
		"user.gainMode": "0 DYNAMIC", "user.gain0": "0 normal", "user.speedLevel": "1 HALF_SPEED", "user.exposure_time_s": "1e-05", "user.exposure_period": "0.2",
		"user.bias_voltage_v": "200", "user.trigger_delay_s": "0.00021", "firmwareVersion": "50397184",
	} {
		if got := described(t, jf[0], 0x100, field); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
	equal(t, "update", described(t, jf[3], 0x114, "user.gainMode"), "0")
	equal(t, "experiment", described(t, jf[1], 0x1ff, "expt"), `"mfx101332224"`)
	for i, want := range []map[string]string{
		{"frame_cnt": "7665", "timestamp": "2794694212", "hotPixelThresh": "15000", "numHotPixels": "258", "maxHotPixels": "3400", "raw": "[1 512 1024]"},
		{"frame_cnt": "7666", "timestamp": "2794777511", "numHotPixels": "258"},
	} {
		for field, w := range want {
			equal(t, field, described(t, jf[6+i], 0x10a, field), w)
		}
	}
	epix := valuesOf(t, "epix.xtc2")
	for field, want := range map[string]string{"user.gain_mode": "2 Low", "user.gate_ns": "100000", "user.start_ns": "107749", "user.pixel_map": "[16 178 192]"} {
		equal(t, field, described(t, epix[0], 0, field), want)
	}
	for id := uint32(1); id <= 4; id++ {
		i := slices.IndexFunc(epix[0].Blocks, func(b Block) bool { return b.Names.ID == id })
		pixels, _ := epix[0].Blocks[i].Find("asicPixelConfig")
		trbit, _ := epix[0].Blocks[i].Find("trbit")
		equal(t, "asicPixelConfig", pixels.Bytes, bytes.Repeat([]byte{8}, 4*176*192))
		equal(t, "trbit", trbit.Bytes, make([]byte, 4))
	}
}

// TestValuesOfStreams follows a slow variable, and values of detectors of different rates.
func TestValuesOfStreams(t *testing.T) {
	slow := 0
	for _, d := range valuesOf(t, "mixed_rate/xpptut15-r0014-s000-c000.xtc2") {
		if b, ok := d.Find("epics"); ok && d.Service() == SlowUpdate {
			for i, f := range b.Names.Fields {
				if v, ok := b.Value(i); ok && f.Type == Double {
					x, _ := v.Float()
					equal(t, f.Name, x, 41.0)
					slow++
				}
			}
		}
	}
	if slow == 0 {
		t.Error("no slow variables")
	}
}

// TestIntegersAreReadWithTheirSign reads each integer type with its sign.
func TestIntegersAreReadWithTheirSign(t *testing.T) {
	for typ, want := range map[ValueType]string{UInt8: "255", UInt16: "65535", UInt32: "4294967295", UInt64: "18446744073709551615",
		Int8: "-1", Int16: "-1", Int32: "-1", Int64: "-1", EnumVal: "-1", Float: "NaN"} {
		b := &Block{Names: &Names{Fields: []Field{{Name: "before", Type: UInt8}, {Name: "x", Type: typ}}}, data: bytes.Repeat([]byte{0xff}, 1+typ.Size())}
		equal(t, typ.String(), b.Describe(1), want)
		b.data = b.data[:typ.Size()]
		equal(t, typ.String()+" cut", b.Describe(1), "not readable")
	}
}

// TestFieldsOfImpossibleSizeAreMissing wants fields of impossible size, and all behind them, to be missing.
func TestFieldsOfImpossibleSizeAreMissing(t *testing.T) {
	n := &Names{Fields: []Field{{Name: "a", Type: UInt64, Rank: 5}, {Name: "b", Type: UInt8}}}
	for _, dims := range [][]uint32{{1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31}, {0xffffffff, 0xffffffff, 1, 1, 1}, {2, 1, 1, 1, 1}, {1 << 29, 1, 1, 1, 1}, {1 << 31, 1 << 30, 1, 1, 1}} {
		shapes := make([]byte, shapeSize)
		for i, d := range dims {
			binary.LittleEndian.PutUint32(shapes[4*i:], d)
		}
		b := &Block{Names: n, shapes: shapes, data: make([]byte, 15)}
		if _, ok := b.Value(0); ok {
			t.Errorf("%v: found", dims)
		}
		if _, ok := b.Value(1); ok {
			t.Errorf("%v: the field behind is found", dims)
		}
	}
	empty := &Block{Names: n, shapes: make([]byte, shapeSize), data: []byte{7}}
	equal(t, "behind an empty array", empty.Describe(0)+" "+empty.Describe(1), "[0 0 0 0 0] 7")
	none := &Block{Names: n, data: []byte{7}}
	equal(t, "without Shapes", none.Describe(0), "not readable")
}
