package config

import (
	"fmt"
	"strconv"
)

// Mode is a file mode as chmod takes it, special bits included (2775 is set-group-id, rwxrwxr-x).
type Mode uint32

// String returns the octal number.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error { return m.parse(string(text)) }

func (m *Mode) parse(text string) error {
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil || bits > 0o7777 {
		return fmt.Errorf(`a file mode is an octal number such as "2775", not %q`, text)
	}
	*m = Mode(bits)
	return nil
}
