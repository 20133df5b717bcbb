package export_test

import (
	"fmt"
	"os"

	"rawstatus/internal/io/export"
)

// A mask of two panels of 2 x 3 pixels; the list names each bad pixel with its reasons.
func ExampleWrite() {
	m := &export.Mask{
		Detector: "jungfrau", Rows: 2, Cols: 3,
		Panels: [][]uint64{{0, 1, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 17}},
		Bits:   []export.Bit{{Value: 1, Name: "RMS_HIGH", Kind: export.Noisy}, {Value: 16, Name: "AVE_HIGH", Kind: export.Hot}},
	}
	res, err := export.Write(os.Stdout, m, export.Options{Format: export.List})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d of %d pixels masked\n", res.Masked, res.Pixels)
	// Output:
	// # rawstatus: 2 masked pixels of jungfrau: 2 panels of 2 x 3 pixels
	// # panel row column status names
	// 0 0 1 1 RMS_HIGH
	// 1 1 2 17 RMS_HIGH|AVE_HIGH
	// 2 of 12 pixels masked
}

// Bad pixels that lie together become few rectangles, which programs test faster than single pixels.
func ExampleRects() {
	masked := []bool{
		true, true, false,
		true, true, false,
		false, false, true,
	}
	for _, r := range export.Rects(3, 3, func(i int) bool { return masked[i] }) {
		fmt.Printf("columns %d to %d, rows %d to %d\n", r.X0, r.X1-1, r.Y0, r.Y1-1)
	}
	// Output:
	// columns 0 to 1, rows 0 to 1
	// columns 2 to 2, rows 2 to 2
}
