package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// field is one setting of a Site.
type field struct {
	key   string // as in the site file, with a dot for the section
	tags  reflect.StructTag
	value reflect.Value
}

// tag returns a tag of the field: sep separates a list in the environment, from and to bound a number.
func (f field) tag(name string) string { return f.tags.Get(name) }

func (f field) number(name string) float64 {
	v, err := strconv.ParseFloat(f.tag(name), 64)
	if err != nil {
		panic("config: " + f.key + ": " + err.Error())
	}
	return v
}

// variable returns the environment variable of the setting; empty: it has none.
func (f field) variable() string {
	if k := f.value.Kind(); k == reflect.Map || k == reflect.Slice && f.tag("sep") == "" {
		return ""
	}
	return "RAWSTATUS_" + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

// fields lists all settings in the order of the struct.
func (s *Site) fields() []field { return fieldsOf(reflect.ValueOf(s).Elem(), "") }

func fieldsOf(v reflect.Value, section string) (list []field) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		key, ok := tag.Lookup("toml")
		if !ok {
			continue
		}
		if v.Field(i).Kind() == reflect.Struct {
			list = append(list, fieldsOf(v.Field(i), section+key+".")...)
			continue
		}
		list = append(list, field{section + key, tag, v.Field(i)})
	}
	return list
}

// assign sets a setting from text.
func (s *Site) assign(key, text, origin string) error {
	fields := s.fields()
	f := fields[slices.IndexFunc(fields, func(f field) bool { return f.key == key })]
	var err error
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		*p = text
	case *int:
		*p, err = strconv.Atoi(text)
	case *bool:
		*p, err = strconv.ParseBool(text)
	case *Mode:
		err = p.parse(text)
	case *[]string:
		*p = strings.Split(text, f.tag("sep"))
	default:
		panic(fmt.Sprintf("config: no way to set a %T from text", p))
	}
	if err != nil {
		return fault.New(fault.Usage, "%s (%s): %w", key, origin, err)
	}
	s.origin[key] = origin
	return nil
}

// Origin says where the value of a setting comes from: "default", "/etc/rawstatus/site.toml:3",
// "environment SIT_ROOT" or "flag --repository".
func (s *Site) Origin(key string) string {
	if origin, ok := s.origin[key]; ok {
		return origin
	}
	return "default"
}

// Value is a setting as `rawstatus config` shows it.
type Value struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
}

// limits lists the limits of detector types, as far as set.
func (s *Site) limits() (list []field) {
	for _, name := range slices.Sorted(maps.Keys(s.Limits)) {
		for _, f := range fieldsOf(reflect.ValueOf(s.Limits[name]), "limits."+name+".") {
			if !f.value.IsNil() {
				list = append(list, f)
			}
		}
	}
	return list
}

// Values lists every setting with its origin. The limits of a detector type are listed as far as set.
func (s *Site) Values() (list []Value) {
	for _, f := range s.fields() {
		if f.value.Kind() != reflect.Map {
			list = append(list, Value{f.key, f.value.Interface(), s.Origin(f.key)})
		}
	}
	for _, f := range s.limits() {
		list = append(list, Value{f.key, f.value.Elem().Interface(), s.Origin(f.key)})
	}
	return list
}

// Text returns the value as it is written in a site file.
func (v Value) Text() string {
	switch x := v.Value.(type) {
	case string:
		return strconv.Quote(x)
	case Mode:
		return strconv.Quote(x.String())
	case []string:
		quoted := make([]string, len(x))
		for i, e := range x {
			quoted[i] = strconv.Quote(e)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return fmt.Sprint(v.Value)
}
