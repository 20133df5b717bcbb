package report

import (
	"math"
	"testing"
)

// visions are kinds of colour vision as matrices on linear light (Machado, Oliveira, Fernandes 2009, severity 1).
var visions = map[string][3][3]float64{
	"normal": {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protan": {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deutan": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritan": {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// lab returns CIE L*a*b* of a colour as an eye sees it.
func lab(rgb [3]byte, eye [3][3]float64) (out [3]float64) {
	var lin, seen [3]float64
	for i, v := range rgb {
		if c := float64(v) / 255; c <= 0.04045 {
			lin[i] = c / 12.92
		} else {
			lin[i] = math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	for i := range seen {
		for k := range lin {
			seen[i] += eye[i][k] * lin[k]
		}
		seen[i] = min(max(seen[i], 0), 1)
	}
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x := f((0.4124564*seen[0] + 0.3575761*seen[1] + 0.1804375*seen[2]) / 0.95047)
	y := f(0.2126729*seen[0] + 0.7151522*seen[1] + 0.0721750*seen[2])
	z := f((0.0193339*seen[0] + 0.1191920*seen[1] + 0.9503041*seen[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// TestColoursForAllEyes wants every pair of classes, and each of them and the paper, to be told apart with any kind of colour
// blindness: CIE76 differences of at least 15.
func TestColoursForAllEyes(t *testing.T) {
	for name, eye := range visions {
		least, of := math.Inf(1), ""
		for a := Noise; a <= Several; a++ {
			for b := a + 1; b <= Several; b++ {
				if a == Unjudged || b == Unjudged { // hatched
					continue
				}
				p, q := lab(classes[a].rgb, eye), lab(classes[b].rgb, eye)
				if d := math.Sqrt((p[0]-q[0])*(p[0]-q[0]) + (p[1]-q[1])*(p[1]-q[1]) + (p[2]-q[2])*(p[2]-q[2])); d < least {
					least, of = d, classes[a].name+" and "+classes[b].name
				}
			}
		}
		t.Logf("%s: %.1f between %s", name, least, of)
		if least < 15 {
			t.Errorf("%s: %s differ by %.1f, wanted 15", name, of, least)
		}
	}
}
