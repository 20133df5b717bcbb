package geometry

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/testenv"
)

// hash is that of the indices as psana's GeometryAccess.get_pixel_coord_indexes returns them, row * columns + column, int32.
func hash(p *Picture) string {
	h := sha256.New()
	if err := binary.Write(h, binary.LittleEndian, p.At); err != nil {
		panic(err)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func picture(t *testing.T, text string) (*Picture, error) {
	t.Helper()
	g, err := Read(strings.NewReader(text), "test")
	if err != nil {
		return nil, err
	}
	return g.Picture()
}

// TestSegmentsAsPsana places two rotated and tilted panels of each type; the expected numbers were computed by psana2.
func TestSegmentsAsPsana(t *testing.T) {
	const text = "# two panels\nBOX:V1 0 %[1]s 0 -31000 400.5 10 90 0 0 0.25 -0.1 0.05\n" +
		"BOX:V1 0 %[1]s 1 42000 -700 -20 270 180 0 0 0.3 0\nIP 0 BOX:V1 0 100 -200 500000 90 0 180 0.5 0 0\n"
	for _, c := range []struct {
		segment            string
		rows, cols, pixels int
		hash               string
	}{
		{"EPIX10KA:V1", 395, 1089, 270336, "2f9e93135f604a2d"},
		{"EPIXHR2X2:V1", 394, 1025, 221184, "9778271ae401c616"},
		{"EPIX100:V1", 790, 2178, 1081344, "7afa37963fc4ea93"},
		{"EPIXHR1X4:V1", 784, 881, 221184, "2b64346ec9865414"},
		{"EPIXUHR3X2:V1", 591, 1076, 387072, "932fd1354e64e563"},
		{"JUNGFRAU:V1", 1042, 1499, 1048576, "c7dd297006c55a3a"},
		{"JUNGFRAU:V2", 1042, 1499, 1048576, "eb1bb218b16fa8cd"},
		{"SENS2X1:V1", 397, 853, 143560, "f1b3f05146b0a06f"},
		{"PNCCD:V1", 1034, 1497, 524288, "e341eeac62897b1d"},
		{"EPIXMASIC:V1", 395, 1656, 147456, "b69c23b9423ea0c4"},
		{"EPIXUHRASIC:V1", 198, 900, 64512, "e7371cb6cb549910"},
		{"MTRX:30:50:40:60", 71, 1900, 3000, "e2cad394bec5ac59"},
		{"MTRX:V2:31:50:60:40", 62, 1872, 3100, "e46e5377dd4379e9"},
	} {
		p, err := picture(t, fmt.Sprintf(text, c.segment))
		if err != nil {
			t.Errorf("%s: %v", c.segment, err)
			continue
		}
		if p.Rows != c.rows || p.Cols != c.cols || len(p.At) != c.pixels || hash(p) != c.hash {
			t.Errorf("%s: %d x %d, %d pixels, hash %s; psana has %d x %d, %d, %s", c.segment, p.Rows, p.Cols, len(p.At), hash(p), c.rows, c.cols, c.pixels, c.hash)
		}
	}
}

// TestRealGeometryEqualsPsana2 reads the geometry of a real calibration directory; the expected numbers were computed by psana2.
func TestRealGeometryEqualsPsana2(t *testing.T) {
	path := filepath.Join(testenv.Shared(t), "data/calib/data_test/calib/Epix100a::CalibV1/XppGon.0:Epix100a.1/geometry/0-end.data")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := picture(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if p.Rows != 709 || p.Cols != 773 || len(p.At) != 704*768 || hash(p) != "cc6e8fa0ed591bac" {
		t.Errorf("%d x %d, %d pixels, hash %s", p.Rows, p.Cols, len(p.At), hash(p))
	}
}

// TestBadGeometryIsRefused wants a clear error for what is no geometry.
func TestBadGeometryIsRefused(t *testing.T) {
	const ip = "IP 0 EPIX100:V1 0 0 0 0 0 0 0 0 0 0\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":     {"", "0 objects that nothing places"},
		"words":     {"IP 0 EPIX100:V1 0 0 0\n", "line 1: 6 words, wanted 13"},
		"number":    {strings.Replace(ip, " 0 0\n", " x 0\n", 1), "not a length or an angle"},
		"NaN":       {strings.Replace(ip, " 0 0\n", " nan 0\n", 1), "not a length or an angle"},
		"index":     {strings.Replace(ip, "IP 0", "IP a", 1), "line 1"},
		"two tops":  {ip + strings.Replace(ip, "IP 0", "IP 1", 1), "2 objects that nothing places"},
		"circle":    {"A 0 B 0 0 0 0 0 0 0 0 0 0\nB 0 A 0 0 0 0 0 0 0 0 0 0\n", "0 objects"},
		"unknown":   {strings.Replace(ip, "EPIX100:V1", "EPIX100:V9", 1), "not known"},
		"matrix":    {strings.Replace(ip, "EPIX100:V1", "MTRX:1:2:3", 1), "MTRX:rows"},
		"huge":      {strings.Replace(ip, "EPIX100:V1", "MTRX:16384:16384:1:1", 1), "more than"},
		"apart":     {ip + strings.Replace(ip, "V1 0 0", "V1 1 1e11", 1), "too far apart"},
		"no pixels": {strings.Replace(ip, "EPIX100:V1", "BOX:V1", 1), "no segment with pixels"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := picture(t, c.text)
			if err == nil || fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzRead wants an error or a picture whose indices lie inside it.
func FuzzRead(f *testing.F) {
	f.Add("# c\nBOX 0 MTRX:3:4:10:20 0 1 2 3 4 5 6 7 8 9\nIP 0 BOX 0 0 0 0 0 0 0 0 0 0\n")
	f.Add("IP 0 MTRX:V2:2:2:75:75 0 0 0 0 90 180 0 0 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "\n") > 20 {
			return
		}
		g, err := Read(strings.NewReader(text), "fuzz")
		if err != nil || g.top.count() > 1<<20 {
			return
		}
		p, err := g.Picture()
		if err != nil {
			return
		}
		for _, at := range p.At {
			if at < 0 || int(at) >= p.Rows*p.Cols {
				t.Fatalf("index %d of %d x %d", at, p.Rows, p.Cols)
			}
		}
	})
}
