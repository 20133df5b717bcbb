package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// reference is a place of the source in a span of code: a path, or a file and a name that it declares.
var reference = regexp.MustCompile("`((?:internal|cmd|docs|jobs|bench|\\.ci)/[A-Za-z0-9_./-]+)(?::([A-Za-z_.]+))?`")

// References returns a sentence for each place of the source that a Markdown file names and that does not exist:
// `internal/io/pack`, or `internal/io/pack/file.go:WriteFile`.
func References(root, document string) (breaches []string, err error) {
	text, err := os.ReadFile(document)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(text), "\n") {
		for _, m := range reference.FindAllStringSubmatch(line, -1) {
			if err := exists(filepath.Join(root, m[1]), m[2]); err != nil {
				breaches = append(breaches, fmt.Sprintf("%s:%d: %s: %v", document, i+1, strings.Trim(m[0], "`"), err))
			}
		}
	}
	return breaches, nil
}

func exists(path, name string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no such file")
	}
	if name == "" {
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if !slices.Contains(declared(file), name) {
		return fmt.Errorf("the file does not declare %s", name)
	}
	return nil
}

// declared lists the functions, methods (as Method and Type.Method) and types of a file.
func declared(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
			if d.Recv != nil {
				of := d.Recv.List[0].Type
				if star, ok := of.(*ast.StarExpr); ok {
					of = star.X
				}
				if id, ok := of.(*ast.Ident); ok {
					names = append(names, id.Name+"."+d.Name.Name)
				}
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					names = append(names, t.Name.Name)
				}
			}
		}
	}
	return names
}
