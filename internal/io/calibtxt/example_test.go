package calibtxt_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"rawstatus/internal/io/calibtxt"
)

// A status file of one panel is plain text, one row of pixels per line.
func ExampleWritePlain() {
	words := []uint64{0, 1, 0, 0, 17, 1024}
	if err := calibtxt.WritePlain(os.Stdout, calibtxt.SparseOf(words), 3); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 0 1 0
	// 0 17 1024
}

// A deployed array has a header, from which analysis takes its shape and type.
func ExampleWriteArray() {
	h := calibtxt.Header{Host: "psana1", WorkDir: "/tmp", FileName: "7-end.data", UID: "ada", Shape: []int{2, 1, 2},
		Time: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
	var text strings.Builder
	if err := calibtxt.WriteArray(&text, h, calibtxt.SparseOf([]uint64{0, 1, 2, 3})); err != nil {
		fmt.Println(err)
	}
	fmt.Print(strings.TrimSpace(text.String()))
	// Output:
	// # HOST        psana1
	// # WORK_DIR    /tmp
	// # FILE_NAME   7-end.data
	// # DATE_TIME   2026-01-15T12:00:00
	// # UID         ada
	// # SHAPE       (2,1,2)
	// # DATATYPE    uint64
	//
	// # DTYPE       uint64
	// # NDIM        3
	// # DIM:0       2
	// # DIM:1       1
	// # DIM:2       2
	//
	// 0 1
	// 2 3
}

// ReadStatus refuses what is no status word, and says where it stands.
func ExampleReadStatus() {
	for _, text := range []string{"0 1\n17 0\n", "0 1\n17 -1\n"} {
		s, err := calibtxt.ReadStatus(strings.NewReader(text), int64(len(text)), "panel.dat", []int{2, 2})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(s.Shape, s.Dense())
	}
	// Output:
	// [2 2] [0 1 17 0]
	// calibtxt: "panel.dat" line 2: negative status word: wanted a whole number from 0 to 2^64-1, got "-1"
}
