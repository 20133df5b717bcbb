package xtc2_test

import (
	"bytes"
	"context"
	"fmt"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/xtc2"
)

// A file with a Configure, which describes a panel of 2 x 2 pixels, and one event.
func ExampleLook() {
	panel := &xtc2.Names{ID: xtc2.ID(1, 2), DetType: "epix100", DetName: "epix", DetID: "serial-1", Alg: "raw", Version: xtc2.NewVersion(2, 0, 1),
		NumArrays: 1, Fields: []xtc2.Field{{Name: "raw", Type: xtc2.UInt16, Rank: 2}}}
	var file bytes.Buffer
	var d xtc2.Draft
	d.Begin(xtc2.Configure, 1<<32, 1, 1)
	d.Names(panel)
	file.Write(d.Bytes())
	d.Begin(xtc2.L1Accept, 2<<32, 1, 1)
	d.Values(panel, 0, xtc2.FieldValue{Dims: []int{2, 2}, Fill: func(dst []byte) { copy(dst, []byte{1, 0, 2, 0, 3, 0, 4, 0}) }})
	file.Write(d.Bytes())

	f := &xtc2.File{File: frame.File{Path: "r0007-s000-c000.xtc2", Size: int64(file.Len())}, R: bytes.NewReader(file.Bytes())}
	s, err := xtc2.Look(context.Background(), f, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for service, n := range s.Services {
		if n > 0 {
			fmt.Println(n, xtc2.Service(service))
		}
	}
	for _, n := range s.InForce.List {
		fmt.Println(n.DetType, n.DetName, "segment", n.Segment, "field", n.Fields[0].Name)
	}
	// Output:
	// 1 Configure
	// 1 L1Accept
	// epix100 epix segment 0 field raw
}
