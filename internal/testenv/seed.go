package testenv

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// SeedVariable names the environment variable that sets the seed of random tests: a number, or "random".
const SeedVariable = "RAWSTATUS_TEST_SEED"

// Seed returns the seed of a random test: 1 unless the environment says otherwise, so that tests are
// repeatable. When the test fails, the command that repeats it is printed.
func Seed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(1)
	switch text := os.Getenv(SeedVariable); text {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s=%q is not a number", SeedVariable, text)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to repeat: %s=%d go test -run '^%s$' . (in the directory of the package)", SeedVariable, seed, t.Name())
		}
	})
	return seed
}
