package fault

import "fmt"

// Count writes a number with its noun, which is given in the singular: "1 panel", "2 panels", "0 bad pixels".
func Count[N ~int | ~int64 | ~uint64 | ~int32 | ~uint32](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
