package access

import (
	"strings"

	"rawstatus/internal/fault"
)

// MaxName is the longest name that a file system accepts, less room for temporary names.
const MaxName = 240

// CheckName refuses what must not become one name of a path: empty and overlong words, separators,
// leading points, blanks, control and shell characters. what says in the error which word it is.
func CheckName(what, s string) error {
	if Plausible(s) {
		return nil
	}
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return fault.New(fault.Input, "%s %q cannot be a part of a path", what, s).
		WithHint("allowed are letters, digits and . : - _ + = @ , (not in front: . -)")
}

// Plausible reports whether a word may become one name of a path.
func Plausible(s string) bool {
	if s == "" || len(s) > MaxName || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(".:-_+=@,", rune(c)) {
			return false
		}
	}
	return true
}
