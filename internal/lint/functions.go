package lint

import (
	"fmt"
	"go/ast"
	"go/token"
)

// MaxLines is the longest that a function may be: what fits on a screen or two can be understood.
const MaxLines = 90

// LongFunctions returns a sentence for each function below root that is longer than a number of lines.
// Generated files and folders that the go tool passes over (generators of assembly, which list instructions) are left out.
func LongFunctions(root string, lines int) (breaches []string, err error) {
	err = eachFile(root, func(files *token.FileSet, path string, file *ast.File) {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			begin, end := files.Position(f.Pos()), files.Position(f.End())
			if n := end.Line - begin.Line + 1; n > lines {
				breaches = append(breaches, fmt.Sprintf("%s:%d: function %s has %d lines, more than %d", path, begin.Line, f.Name.Name, n, lines))
			}
		}
	})
	return breaches, err
}
