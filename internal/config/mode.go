package config

import (
	"fmt"
	"strconv"
)

// Mode is a file mode as chmod takes it, special bits included (2775 is set-group-id, rwxrwxr-x).
type Mode uint32

// String is the octal number.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalTOML takes a text only: a TOML number loses whether it was written in octal.
func (m *Mode) UnmarshalTOML(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf(`a file mode is an octal number in quotes, such as "2775", not %v`, v)
	}
	return m.parse(text)
}

func (m *Mode) parse(text string) error {
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil || bits > 0o7777 {
		return fmt.Errorf(`a file mode is an octal number such as "2775", not %q`, text)
	}
	*m = Mode(bits)
	return nil
}
