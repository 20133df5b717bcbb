package fault

import (
	"strings"

	"github.com/xrash/smetrics"
)

// Nearest returns the name that is most like a word, for "did you mean"; nothing when none is like it.
func Nearest(word string, names []string) string {
	best, near := 3, ""
	for _, name := range names {
		if len(name) < 2 || len(word) < 2 {
			continue
		}
		d := smetrics.WagnerFischer(word, name, 1, 1, 1)
		if strings.HasPrefix(name, word) && len(word) > 1 {
			d = 1
		}
		if d < best && d < len(name) {
			best, near = d, name
		}
	}
	return near
}
