package publish

import (
	"fmt"
	"io"
)

// gainText names a gain mode, if there is one.
func gainText(mode string) string {
	if mode == "" {
		return ""
	}
	return " " + mode
}

func printList(w io.Writer, what string, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(w, "%s: %s\n", what, l)
	}
}

func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}
