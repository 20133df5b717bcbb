package codec

import (
	"encoding/binary"
	"testing"

	"rawstatus/internal/io/frame"
)

func TestCropTakesTheRectangle(t *testing.T) {
	p := frame.Panel{Detector: "d", Rows: 5, Cols: 7}
	var src []byte
	for i := range p.Pixels() {
		src = binary.LittleEndian.AppendUint16(src, uint16(1000+i))
	}
	q, err := p.Crop(1, 4, 2, 7)
	if err != nil || q.Rows != 3 || q.Cols != 5 {
		t.Fatalf("%+v %v", q, err)
	}
	dst := make([]uint16, q.Pixels())
	if err := Decode(q, dst, src); err != nil {
		t.Fatal(err)
	}
	for r := range 3 {
		for c := range 5 {
			if want := uint16(1000 + (r+1)*7 + c + 2); dst[r*5+c] != want {
				t.Errorf("pixel %d,%d is %d, wanted %d", r, c, dst[r*5+c], want)
			}
		}
	}
	if err := Decode(q, dst, src[2:]); err == nil {
		t.Error("a short frame was decoded")
	}
	for _, bad := range [][4]int{{-1, 4, 0, 7}, {0, 6, 0, 7}, {2, 2, 0, 7}, {0, 5, 3, 8}, {0, 5, 4, 4}} {
		if _, err := p.Crop(bad[0], bad[1], bad[2], bad[3]); err == nil {
			t.Errorf("part %v was accepted", bad)
		}
	}
	q.Codec = "crop:1:2:3"
	if err := Decode(q, dst, src); err == nil {
		t.Error("half a codec was accepted")
	}
}
