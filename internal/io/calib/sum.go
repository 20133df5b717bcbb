package calib

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// SumArray is the hash of shape and values, whatever a file says besides.
func SumArray(a *Array) string { return SumShaped(a, a.RawSum()) }

// SumShaped is SumArray of an array whose RawSum is known.
func SumShaped(a *Array, rawSum string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %v\n%s\n", a.DType(), a.Shape, rawSum))
	return hex.EncodeToString(sum[:])
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
