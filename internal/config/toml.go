package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// otherType is the library's message about a value whose type is not that of a Go variable.
var otherType = regexp.MustCompile(`^cannot decode TOML (.+) into .*type (\S+)$|^cannot decode TOML (.+) into (\S+)$`)

// kinds are the names of Go types for people.
var kinds = map[string]string{"string": "a text in quotes", "bool": "true or false", "int": "a whole number", "int64": "a whole number", "float64": "a number",
	"[]string": "a list of texts"}

// Mistake says what the TOML reader found wrong and where: "line 3: name: wanted a text in quotes, not integer".
func Mistake(err error) string {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		line, _ := unknown.Errors[0].Position()
		return fmt.Sprintf("line %d: unknown key %q", line, strings.Join(unknown.Errors[0].Key(), "."))
	}
	text := strings.TrimPrefix(err.Error(), "toml: ")
	var known *toml.DecodeError
	if !errors.As(err, &known) {
		return text
	}
	if m := otherType.FindStringSubmatch(text); m != nil {
		found, wanted := m[1]+m[3], strings.TrimLeft(m[2]+m[4], "*")
		if kind, ok := kinds[wanted]; ok {
			wanted = kind
		}
		text = fmt.Sprintf("%s: wanted %s, not %s", strings.Join(known.Key(), "."), wanted, found)
	}
	line, _ := known.Position()
	return fmt.Sprintf("line %d: %s", line, text)
}
