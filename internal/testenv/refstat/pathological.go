package refstat

// Rand is the part of math/rand/v2's generators that is needed here.
type Rand interface {
	IntN(n int) int
	Uint32() uint32
}

// Pixel makes n raw values of one pixel in one of the ways in which real pixels behave and misbehave.
func Pixel(r Rand, n int) []uint16 {
	v := make([]uint16, n)
	kind := r.IntN(12)
	base := uint16(r.IntN(16000))
	for i := range v {
		switch kind {
		case 0, 1: // dark noise
			v[i] = base + uint16(r.IntN(60))
		case 2: // stuck
			v[i] = base
		case 3: // any 16 bits, gain bits too
			v[i] = uint16(r.Uint32())
		case 4: // telegraph
			v[i] = base + uint16(r.IntN(2))*500
		case 5: // a single outlier
			v[i] = base
			if i == n/2 {
				v[i] = 65535
			}
		case 6: // extremes
			v[i] = uint16(r.IntN(2)) * 65535
		case 7: // drift
			v[i] = base + uint16(3*i)
		case 8: // a little wider than one byte
			v[i] = base + uint16(r.IntN(258))
		case 9: // dead
			v[i] = 0
		case 10: // saturated, now and then or always
			v[i] = 16383
			if base%2 == 0 && r.IntN(10) < 8 {
				v[i] = base / 2
			}
		case 11: // around the lower limit
			v[i] = uint16(r.IntN(3))
		}
	}
	return v
}

// Frames makes frames in which every pixel is a Pixel; now and then all pixels are dark noise around one
// level, so that limits are narrow, or all frames are the same.
func Frames(r Rand, frames, pixels int) [][]uint16 {
	f := make([][]uint16, frames)
	for k := range f {
		f[k] = make([]uint16, pixels)
	}
	calm := r.IntN(4) == 0
	frozen := r.IntN(12) == 0
	for i := range pixels {
		values := Pixel(r, frames)
		if calm && r.IntN(20) > 0 {
			for k := range values {
				values[k] = 2000 + uint16(r.IntN(40))
			}
		}
		for k := range f {
			f[k][i] = values[k]
			if frozen {
				f[k][i] = values[0]
			}
		}
	}
	return f
}
