package xtc2_test

import (
	"bytes"
	"fmt"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/xtc2"
)

// A file with a Configure, which describes a panel of 2 x 2 pixels, and one event.
func ExampleScan() {
	panel := &xtc2.Names{ID: xtc2.ID(1, 2), DetType: "epix100", DetName: "epix", DetID: "serial-1", Alg: "raw", Version: xtc2.NewVersion(2, 0, 1),
		NumArrays: 1, Fields: []xtc2.Field{{Name: "raw", Type: xtc2.UInt16, Rank: 2}}}
	var file bytes.Buffer
	var d xtc2.Draft
	d.Begin(xtc2.Configure, 1<<32, 1, 1)
	d.Names(panel)
	file.Write(d.Bytes())
	d.Begin(xtc2.L1Accept, 2<<32, 1, 1)
	d.Values(panel, 0, xtc2.Array{Dims: []int{2, 2}, Fill: func(dst []byte) { copy(dst, []byte{1, 0, 2, 0, 3, 0, 4, 0}) }})
	file.Write(d.Bytes())

	f := &xtc2.File{File: frame.File{Path: "r0007-s000-c000.xtc2", Size: int64(file.Len())}, R: bytes.NewReader(file.Bytes())}
	_, err := xtc2.Scan(f, nil, func(d *xtc2.Datagram) error {
		fmt.Println(d.Service(), "at byte", d.Offset)
		for _, n := range d.Names {
			fmt.Println(" ", n.DetType, n.DetName, "segment", n.Segment, n.Fields[0].Name)
		}
		if b, ok := d.Find("epix"); ok {
			fmt.Println(" ", b.Describe(0))
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// Configure at byte 0
	//   epix100 epix segment 0 raw
	// L1Accept at byte 1596
	//   [2 2]
}
