package calib

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// SumArray returns the hash of type, shape and words, whatever a file says besides: SHA-256 of a line of text with type and shape, and of
// position and word, as 16 bytes, little-endian, of each word that is not 0. Nearly all of an array are 0. Of short words and
// numbers it is SumShaped.
func SumArray(a *Array) string {
	if a.Short != nil || a.Numbers != nil {
		return SumShaped(a, a.RawSum())
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %v\n", a.DType(), a.Shape)
	b := make([]byte, 0, 1<<12)
	for i, at := range a.Words.At {
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
		if b = binary.LittleEndian.AppendUint64(b, a.Words.Words[i]); len(b) == cap(b) {
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// SumShaped returns the hash of type, shape and values of an array of short words or numbers, whose RawSum is known.
func SumShaped(a *Array, rawSum string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %v\n%s\n", a.DType(), a.Shape, rawSum))
	return hex.EncodeToString(sum[:])
}

// SumFile returns the SHA-256 of a file's bytes.
func SumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("could not read %q: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
