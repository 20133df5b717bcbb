package lint

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path"

	"reflect"
	"regexp"
	"slices"
	"strings"
)

// printers are the methods whose last argument is written as JSON for users.
var printers = []string{"PrintJSON"}

// Output is a value that a program prints with --json.
type Output struct {
	Where string // file:line
	Type  types.Type
}

// Outputs finds the values that the Go files of a package print as JSON. path is that of the package, exports names the file with the export data of
// each imported package.
func Outputs(path string, fileNames []string, exports map[string]string) (list []Output, err error) {
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range fileNames {
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	lookup := func(imported string) (io.ReadCloser, error) { return os.Open(exports[imported]) }
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: importer.ForCompiler(files, "gc", lookup)}
	if _, err := conf.Check(path, files, parsed, info); err != nil {
		return nil, err
	}
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(printers, f.Sel.Name) {
				list = append(list, Output{files.Position(call.Pos()).String(), info.TypeOf(call.Args[len(call.Args)-1])})
			}
			return true
		})
	}
	return list, nil
}

// JSONObject is an object of an output: its fields by name, each with its type in words.
type JSONObject struct {
	Name   string // package.Type
	Fields map[string]string
}

// Objects adds the object that an output is, or is a list of, and all objects in it to a list by name. An output without
// named fields is an error: a map cannot be documented.
func (o Output) Objects(into map[string]JSONObject) error {
	if _, named := jsonType(o.Type); named == nil {
		return fmt.Errorf("%s: %s cannot be documented: print a struct that has a name", o.Where, o.Type)
	}
	return addObjects(o.Type, into)
}

func addObjects(t types.Type, into map[string]JSONObject) error {
	_, named := jsonType(t)
	if named == nil || into[nameOf(named)].Name != "" {
		return nil
	}
	o := JSONObject{nameOf(named), map[string]string{}}
	into[o.Name] = o
	return addFields(named.Underlying().(*types.Struct), o, into)
}

// addFields adds the fields of a struct, and those of the structs that it embeds.
func addFields(s *types.Struct, o JSONObject, into map[string]JSONObject) error {
	for i := range s.NumFields() {
		f := s.Field(i)
		tag, opts, _ := strings.Cut(reflect.StructTag(s.Tag(i)).Get("json"), ",")
		if embedded, ok := structOf(f.Type()); ok && f.Embedded() && tag == "" {
			if err := addFields(embedded.Underlying().(*types.Struct), o, into); err != nil {
				return err
			}
			continue
		}
		if !f.Exported() || tag == "-" && opts == "" {
			continue
		}
		if tag == "" {
			tag = f.Name()
		}
		word, _ := jsonType(f.Type())
		if word == "" {
			return fmt.Errorf("%s, field %s: %s cannot be documented", o.Name, f.Name(), f.Type())
		}
		o.Fields[tag] = word
		if err := addObjects(f.Type(), into); err != nil {
			return err
		}
	}
	return nil
}

// structOf returns the named struct behind a type, unless that writes its JSON itself.
func structOf(t types.Type) (*types.Named, bool) {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || writesItself(named) {
		return nil, false
	}
	_, ok = named.Underlying().(*types.Struct)
	return named, ok
}

func writesItself(t types.Type) bool { return has(t, "MarshalJSON") || has(t, "MarshalText") }

func has(t types.Type, method string) bool {
	return types.NewMethodSet(types.NewPointer(t)).Lookup(nil, method) != nil
}

// written says what a type writes that has its own way to write JSON.
func written(t *types.Named) string {
	switch name := nameOf(t); {
	case name == "time.Time":
		return "time"
	case !has(t, "MarshalJSON"):
		return "string"
	case name == "json.RawMessage":
		return "value"
	default:
		return "value " + name
	}
}

// jsonType says what a value of a type looks like in JSON, and returns the struct behind it, if any.
func jsonType(t types.Type) (word string, object *types.Named) {
	t = types.Unalias(t)
	if named, ok := structOf(t); ok {
		return "object " + nameOf(named), named
	}
	if named, ok := t.(*types.Named); ok && writesItself(named) {
		return written(named), nil
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&types.IsString != 0:
			return "string", nil
		case u.Info()&types.IsBoolean != 0:
			return "boolean", nil
		case u.Info()&types.IsNumeric != 0:
			return "number", nil
		}
	case *types.Pointer:
		return jsonType(u.Elem())
	case *types.Slice:
		if b, ok := u.Elem().Underlying().(*types.Basic); ok && b.Kind() == types.Byte {
			return "string", nil
		}
		return listOf(u.Elem())
	case *types.Array:
		return listOf(u.Elem())
	case *types.Map:
		if word, object = jsonType(u.Elem()); word != "" {
			return "map of " + word, object
		}
	case *types.Interface:
		return "value", nil
	}
	return "", nil
}

func listOf(t types.Type) (string, *types.Named) {
	word, object := jsonType(t)
	if word == "" {
		return "", nil
	}
	return "list of " + word, object
}

// nameOf returns the name of a struct behind the last part of its package's path.
func nameOf(t *types.Named) string { return path.Base(t.Obj().Pkg().Path()) + "." + t.Obj().Name() }

var (
	objectHeading = regexp.MustCompile("^#+ .*`([a-z]+\\.[A-Za-z]+)`")
	fieldRow      = regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]*[^| ][^|]*) \\|$")
)

// DocumentedObjects reads the tables of a Markdown file: below a heading that ends with the name of an object, a row for
// each field with its name, its type and what it means.
func DocumentedObjects(text string) map[string]JSONObject {
	list := map[string]JSONObject{}
	var in JSONObject
	for _, line := range strings.Split(text, "\n") {
		if m := objectHeading.FindStringSubmatch(line); m != nil {
			in = JSONObject{m[1], map[string]string{}}
			list[in.Name] = in
		} else if m := fieldRow.FindStringSubmatch(line); m != nil && in.Fields != nil {
			in.Fields[m[1]] = m[2]
		}
	}
	return list
}

// Undocumented returns a sentence for each difference between the objects of the code and those of the document.
func Undocumented(code, document map[string]JSONObject) (breaches []string) {
	for name, o := range code {
		d, ok := document[name]
		if !ok {
			breaches = append(breaches, fmt.Sprintf("object %s has no table", name))
			continue
		}
		for field, word := range o.Fields {
			if got, ok := d.Fields[field]; !ok {
				breaches = append(breaches, fmt.Sprintf("object %s: field %s (%s) has no row", name, field, word))
			} else if got != word {
				breaches = append(breaches, fmt.Sprintf("object %s: field %s is %q, not %q", name, field, word, got))
			}
		}
		for field := range d.Fields {
			if _, ok := o.Fields[field]; !ok {
				breaches = append(breaches, fmt.Sprintf("object %s: there is no field %s", name, field))
			}
		}
	}
	for name := range document {
		if _, ok := code[name]; !ok {
			breaches = append(breaches, fmt.Sprintf("object %s is not printed by any command", name))
		}
	}
	slices.Sort(breaches)
	return breaches
}
