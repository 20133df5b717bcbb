package calibtxt

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// digits holds the four digits of 0..9999.
var digits = func() (d [10000][4]byte) {
	for i := range d {
		d[i] = [4]byte{byte('0' + i/1000), byte('0' + i/100%10), byte('0' + i/10%10), byte('0' + i%10)}
	}
	return d
}()

// largestFixed bounds the values that AppendFixed writes by integer arithmetic: three decimals of a smaller
// value leave bits below one half in a float64.
const largestFixed = 1 << 32

// wholeNumber rounds smaller positive numbers to whole ones when it is added, half to even.
const wholeNumber = 1 << 52

// thousandths returns v in thousandths: its exact value rounded, half to even. v is not negative and below
// largestFixed.
func thousandths(v float64) uint64 {
	t := float64(v * 1000)
	k := uint64(t)
	switch half := t - float64(k) - 0.5; {
	case half > 0:
		k++
	case half == 0:
		// t may be rounded: what it lost decides, and on a true tie the even digit.
		if lost := math.FMA(v, 1000, -t); lost > 0 || lost == 0 && k&1 == 1 {
			k++
		}
	}
	return k
}

// Fixed returns the number that stands in the text of AppendFixed.
func Fixed(v float64) float64 {
	if v >= 0 && v < largestFixed {
		return float64(thousandths(v)) / 1000
	}
	w, err := strconv.ParseFloat(string(AppendFixed(nil, v)), 64)
	if err != nil {
		panic("io/calibtxt: " + err.Error())
	}
	return w
}

// FixedAll sets dst to Fixed of v, as float32.
func FixedAll(dst []float32, v []float64) {
	dst = dst[:len(v)]
	for i, x := range v {
		t := float64(x * 1000)
		k := float64(t+wholeNumber) - wholeNumber
		if !(x >= 0 && x < largestFixed) || math.Abs(t-k) == 0.5 { // or a tie, which t may only seem to be
			dst[i] = float32(Fixed(x))
			continue
		}
		dst[i] = float32(k / 1000)
	}
}

// AppendFixed appends v as C's %.3f does: the exact value of v rounded to three decimals, half to even. NaN and
// infinities are nan, inf and -inf.
func AppendFixed(b []byte, v float64) []byte {
	if !(v >= 0 && v < largestFixed) || v == 0 && math.Signbit(v) {
		switch {
		case math.IsNaN(v):
			return append(b, "nan"...)
		case math.IsInf(v, 1):
			return append(b, "inf"...)
		case math.IsInf(v, -1):
			return append(b, "-inf"...)
		}
		return strconv.AppendFloat(b, v, 'f', 3, 64)
	}
	k := thousandths(v)
	whole, frac := k/1000, k%1000
	if whole >= 10000 {
		d := &digits[frac]
		return append(strconv.AppendUint(b, whole, 10), '.', d[1], d[2], d[3])
	}
	// All eight characters at once; leading zeros are shifted out.
	skip := 4 - decimals(whole)
	low, high := binary.LittleEndian.Uint32(digits[whole][:]), binary.LittleEndian.Uint32(digits[frac][:])
	text := (uint64(high)&^0xff|'.')<<32 | uint64(low)
	n := len(b)
	b = binary.LittleEndian.AppendUint64(b, text>>(8*skip))
	return b[:n+8-skip]
}

// AppendFixedRows appends rows of cols values, each as %.3f, as numpy.savetxt writes them. len(a) is a multiple of
// cols.
func AppendFixedRows[T float32 | float64](b []byte, a []T, cols int) []byte {
	checkRows(len(a), cols)
	for len(a) > 0 {
		for _, v := range a[:cols] {
			// Eight characters at once, leading zeros are shifted out; one more before them. What is 0 may have a sign.
			t := float64(float64(v) * 1000)
			k := float64(t+wholeNumber) - wholeNumber
			if !(k > 0 && k < 1e8) || math.Abs(t-k) == 0.5 {
				b = append(AppendFixed(b, float64(v)), ' ')
				continue
			}
			whole, frac := uint32(k)/1000, uint32(k)%1000
			first := whole / 10000
			low, high := binary.LittleEndian.Uint32(digits[whole-first*10000][:]), binary.LittleEndian.Uint32(digits[frac][:])
			skip := bits.TrailingZeros32(low^'0'*0x01010101|1<<24) / 8
			if first > 0 {
				b, skip = append(b, byte('0'+first)), 0
			}
			n := len(b)
			b = append(binary.LittleEndian.AppendUint64(b, ((uint64(high)&^0xff|'.')<<32|uint64(low))>>(8*skip))[:n+8-skip], ' ')
		}
		b[len(b)-1] = '\n'
		a = a[cols:]
	}
	return b
}

// AppendIntRows appends rows of cols values, each as %<width>i, as numpy.savetxt writes them.
func AppendIntRows[T uint16 | uint64](b []byte, a []T, cols, width int) []byte {
	checkRows(len(a), cols)
	least := min(width, 7)
	for len(a) > 0 {
		for _, v := range a[:cols] {
			if width > 7 || v >= 10000 {
				b = appendWide(b, uint64(v), width)
				continue
			}
			// Up to eight characters at once, the blank behind them is the last; those in front that are not wanted are shifted out.
			four := binary.LittleEndian.Uint32(padded[v][:])
			text := uint64(four)<<24 | blanks
			skip := 7 - max(4-bits.TrailingZeros32(four^' '*0x01010101)/8, least)
			n := len(b)
			b = binary.LittleEndian.AppendUint64(b, text>>(8*skip))[:n+8-skip]
		}
		b[len(b)-1] = '\n'
		a = a[cols:]
	}
	return b
}

// blanks are those in front of and behind four digits of eight characters.
const blanks = ' ' | ' '<<8 | ' '<<16 | ' '<<56

// padded holds 0..9999 in four characters, blanks in front.
var padded = func() (d [10000][4]byte) {
	for i := range d {
		copy(d[i][:], fmt.Sprintf("%4d", i))
	}
	return d
}()

// appendWide appends any number in a width, and a blank.
func appendWide(b []byte, v uint64, width int) []byte {
	for w := decimals(v); w < width; w++ {
		b = append(b, ' ')
	}
	if v >= 10000 && v < 100000 { // raw values
		d := &digits[v%10000]
		return append(b, byte('0'+v/10000), d[0], d[1], d[2], d[3], ' ')
	}
	return append(strconv.AppendUint(b, v, 10), ' ')
}

// decimals returns the number of digits of v.
func decimals(v uint64) int {
	switch {
	case v < 10:
		return 1
	case v < 100:
		return 2
	case v < 1000:
		return 3
	case v < 10000:
		return 4
	}
	return 4 + decimals(v/10000)
}

func checkRows(values, cols int) {
	if cols <= 0 || values%cols != 0 {
		panic(fmt.Sprintf("io/calibtxt: %d values do not make rows of %d", values, cols))
	}
}

// Text returns the header of an array of a type as numpy names it, with the empty line that ends it.
func (h Header) Text(dtype string) []byte { return h.append(nil, dtype) }
