package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
)

// readFile takes what the site file sets. Names that do not exist are noted.
func (s *Site) readFile(path, text string) error {
	if err := toml.Unmarshal([]byte(text), s); err != nil {
		return fault.New(fault.Usage, "site file %q %s", path, Mistake(err))
	}
	keys, err := keysOf([]byte(text))
	if err != nil {
		return fault.New(fault.Usage, "site file %q %s", path, Mistake(err))
	}
	known := patterns(reflect.TypeFor[Site](), nil)
	var names []string
	for _, pattern := range known {
		names = append(names, strings.Join(pattern, "."))
	}
	for _, key := range keys {
		name := strings.Join(key.parts, ".")
		here := fmt.Sprintf("site file %q line %d: ", path, key.line)
		if !slices.ContainsFunc(known, key.matches) {
			section := fileKey{parts: key.parts[:len(key.parts)-1]}
			if len(section.parts) > 0 && !slices.ContainsFunc(known, section.matches) {
				continue // its section is unknown, which is said
			}
			text := fmt.Sprintf("%sunknown setting %q", here, name)
			if near := fault.Nearest(name, names); near != "" {
				text += fmt.Sprintf(", did you mean %q?", near)
			}
			s.unknown = append(s.unknown, text)
			continue
		}
		if len(key.parts) == 2 && key.parts[0] == "limits" {
			if _, known := detector.Lookup(key.parts[1]); !known {
				s.unknown = append(s.unknown, fmt.Sprintf("%sunknown detector type %q", here, key.parts[1]))
			}
		}
		if key.kind == unstable.Integer && s.isMode(name) { // it has lost whether it was written in octal
			return fault.New(fault.Usage, `%s%s: wanted an octal number in quotes, such as "2775", not integer`, here, name)
		}
		if !key.section {
			s.origin[name] = fmt.Sprintf("%s:%d", path, key.line)
		}
	}
	return nil
}

// isMode reports whether a setting is a file mode.
func (s *Site) isMode(name string) bool {
	return slices.ContainsFunc(s.fields(), func(f field) bool {
		_, mode := f.value.Interface().(Mode)
		return mode && f.key == name
	})
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

// fileKey is a key of a site file and the line that it begins on.
type fileKey struct {
	parts   []string
	line    int
	section bool // other keys are below it
	kind    unstable.Kind
}

// matches compares the key with a pattern.
func (k fileKey) matches(pattern []string) bool {
	return slices.EqualFunc(k.parts, pattern, func(name, want string) bool {
		return name == want || want == "*" && name == strings.ToLower(name)
	})
}

// keysOf lists the keys of a text in TOML, sections before what is in them.
func keysOf(text []byte) (list []fileKey, err error) {
	var p unstable.Parser
	p.Reset(text)
	seen := map[string]bool{}
	// add adds the key below a section, and what its dots say of sections.
	add := func(section []string, key unstable.Iterator, kind unstable.Kind) (parts []string) {
		parts = slices.Clone(section)
		for key.Next() {
			parts = append(parts, string(key.Node().Data))
			if name := strings.Join(parts, "\x00"); !seen[name] {
				seen[name] = true
				list = append(list, fileKey{slices.Clone(parts), p.Shape(key.Node().Raw).Start.Line, kind == unstable.Table || !key.IsLast(), kind})
			}
		}
		return parts
	}
	var assign func(section []string, n *unstable.Node)
	assign = func(section []string, n *unstable.Node) {
		kind := n.Value().Kind
		if kind != unstable.InlineTable {
			add(section, n.Key(), kind)
		} else {
			parts := add(section, n.Key(), unstable.Table)
			for it := n.Value().Children(); it.Next(); {
				assign(parts, it.Node())
			}
		}
	}
	var section []string
	for p.NextExpression() {
		switch n := p.Expression(); n.Kind {
		case unstable.Table, unstable.ArrayTable:
			section = add(nil, n.Key(), unstable.Table)
		case unstable.KeyValue:
			assign(section, n)
		}
	}
	return list, p.Error()
}
