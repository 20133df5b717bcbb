package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
)

// readFile takes what the site file sets. Names that do not exist are noted.
func (s *Site) readFile(path, text string) error {
	meta, err := toml.Decode(text, s)
	if err != nil {
		return fileError(path, err)
	}
	known := patterns(reflect.TypeFor[Site](), nil)
	where := keyLines(text)
	var names []string
	for _, pattern := range known {
		names = append(names, strings.Join(pattern, "."))
	}
	for _, key := range meta.Keys() {
		name := key.String()
		here := fmt.Sprintf("site file %q line %d: ", path, where[name])
		if !slices.ContainsFunc(known, func(pattern []string) bool { return matches(key, pattern) }) {
			if !slices.ContainsFunc(known, func(pattern []string) bool { return matches(key[:len(key)-1], pattern) }) && len(key) > 1 {
				continue // its section is unknown, which is said
			}
			text := fmt.Sprintf("%sunknown setting %q", here, name)
			if near := fault.Nearest(name, names); near != "" {
				text += fmt.Sprintf(", did you mean %q?", near)
			}
			s.unknown = append(s.unknown, text)
			continue
		}
		if len(key) == 2 && key[0] == "limits" {
			if _, known := detector.Lookup(key[1]); !known {
				s.unknown = append(s.unknown, fmt.Sprintf("%sunknown detector type %q", here, key[1]))
			}
		}
		if meta.Type(key...) != "Hash" {
			s.origin[name] = fmt.Sprintf("%s:%d", path, where[name])
		}
	}
	return nil
}

// guard refuses a site file that everybody may change: jobs execute lines of it.
func guard(path string) error {
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm()&0o002 == 0 || !st.Mode().IsRegular() {
		return err
	}
	return fault.New(fault.Usage, "site file %q may be changed by everybody (%v), and jobs execute lines of it", path, st.Mode()).
		WithHint("look at it, then: chmod o-w %s", path)
}

// patterns lists the keys that a site file may have, sections included; "*" stands for a name in lower case.
func patterns(t reflect.Type, section []string) (list [][]string) {
	for i := range t.NumField() {
		name, ok := t.Field(i).Tag.Lookup("toml")
		if !ok {
			continue
		}
		key := append(slices.Clone(section), name)
		list = append(list, key)
		switch inner := t.Field(i).Type; inner.Kind() {
		case reflect.Struct:
			list = append(list, patterns(inner, key)...)
		case reflect.Map:
			key = append(slices.Clone(key), "*")
			list = append(append(list, key), patterns(inner.Elem(), key)...)
		}
	}
	return list
}

// matches compares a key with a pattern.
func matches(key toml.Key, pattern []string) bool {
	return slices.EqualFunc(key, pattern, func(name, want string) bool {
		return name == want || want == "*" && name == strings.ToLower(name)
	})
}

// fileError reports a mistake that the TOML reader found in the site file.
func fileError(path string, err error) error {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return fault.New(fault.Usage, "site file %q: %s", path, strings.TrimPrefix(err.Error(), "toml: "))
	}
	if parse.Position.Line == 0 { // the library does not know all lines
		return fault.New(fault.Usage, "site file %q: %s", path, parse.Message)
	}
	return fault.New(fault.Usage, "site file %q line %d: %s", path, parse.Position.Line, parse.Message)
}

// keyLines returns the line of each key of a text that is valid TOML. The library knows no lines of keys that it accepts. So
// the text is read with one more line each time: a key is on the first line behind the longest valid text without it.
func keyLines(text string) map[string]int {
	lines, valid := map[string]int{}, 0 // valid: lines of the longest valid text so far
	end := 0
	for n, line := range strings.SplitAfter(text, "\n") {
		end += len(line)
		meta, err := toml.Decode(text[:end], new(map[string]any))
		if err != nil { // a value goes on in the next line
			continue
		}
		for _, key := range meta.Keys() {
			if _, known := lines[key.String()]; !known {
				lines[key.String()] = valid + 1
			}
		}
		valid = n + 1
	}
	return lines
}
