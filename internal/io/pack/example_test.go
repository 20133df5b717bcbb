package pack_test

import (
	"bytes"
	"fmt"

	"rawstatus/internal/io/pack"
)

// A pack has a head and named arrays. A reader believes nothing before the checksums have been compared.
func Example() {
	var file bytes.Buffer
	head := map[string]int{"frames": 1000}
	if err := pack.Write(&file, "partial", head, []pack.Named{{Name: "0/sum0", Attr: 1, Data: []uint32{1000, 1000, 998}}}); err != nil {
		fmt.Println(err)
		return
	}
	r, err := pack.NewReader("task-0.pack", bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	sum0, err := pack.Get[uint32](r, "0/sum0")
	fmt.Println(r.Kind(), sum0, err)
	torn := bytes.Clone(file.Bytes())
	torn[20] ^= 1
	if r, err = pack.NewReader("task-0.pack", bytes.NewReader(torn), int64(len(torn))); err == nil {
		_, err = r.Load("0/sum0")
	}
	fmt.Println(err)
	// Output:
	// partial [1000 1000 998] <nil>
	// pack: "task-0.pack" byte 0x10: checksum of array "0/sum0" is wrong
}
