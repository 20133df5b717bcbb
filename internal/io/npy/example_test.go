package npy_test

import (
	"bytes"
	"fmt"

	"rawstatus/internal/io/npy"
)

// An array written in the format of NumPy, and read back.
func Example() {
	var file bytes.Buffer
	if err := npy.Encode(&file, []int{2, 3}, []uint16{0, 1, 2, 3, 4, 5}); err != nil {
		fmt.Println(err)
		return
	}
	a, err := npy.Decode(bytes.NewReader(file.Bytes()), int64(file.Len()), "mask.npy")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Shape, a.Data)
	// A file that is cut is an error with its name.
	_, err = npy.Decode(bytes.NewReader(file.Bytes()), int64(file.Len())-1, "mask.npy")
	fmt.Println(err)
	// Output:
	// [2 3] [0 1 2 3 4 5]
	// npy: "mask.npy" byte 0x80: values: want [2 3] of type <u2, got 11 bytes to the end of the file
}
