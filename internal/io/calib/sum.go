package calib

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// SumArray is the hash of shape and values, whatever a file says besides.
func SumArray(a *Array) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %v\n", a.DType(), a.Shape)
	if err := a.Raw(h); err != nil {
		panic("calib: a hash does not take what is written: " + err.Error())
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
