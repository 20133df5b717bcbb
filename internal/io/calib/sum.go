package calib

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
)

// SumArray is the hash of shape and values, whatever a file says besides.
func SumArray(a *Array) string {
	h := sha256.New()
	fmt.Fprintf(h, "uint64 %v\n", a.Shape)
	b := make([]byte, 0, 1<<16)
	for chunk := range slices.Chunk(a.Values, cap(b)/8) {
		b = b[:0]
		for _, v := range chunk {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// SumFile is the SHA-256 of a file's bytes.
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
