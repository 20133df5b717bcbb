package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// poor are words that comments do without, each with the words to use.
var poor = []struct {
	word *regexp.Regexp
	use  string
}{
	{regexp.MustCompile(`\b[Gg]ives\b`), `say "returns", or what is done`},
	{regexp.MustCompile(`\b[Tt]ells\b`), `say "reports whether", "returns" or "says"`},
	{regexp.MustCompile(`\b[Ww]hoever\b`), "name the actor: the caller, the worker, the reader"},
	{regexp.MustCompile(`\b[Tt]hat which\b`), "name the thing"},
	{regexp.MustCompile(`^What\b`), "begin with the thing that the sentence is about"},
	{regexp.MustCompile(`^[A-Za-z.]+ (is|are) what\b`), "say what kind of thing it is"},
}

// Comments returns a sentence for each comment of the Go files below root that uses a word of poor. Names in comments
// that quote code do not count.
func Comments(root string) (breaches []string, err error) {
	err = eachFile(root, func(files *token.FileSet, path string, file *ast.File) {
		for _, group := range file.Comments {
			for _, c := range group.List {
				text := strings.TrimSpace(strings.TrimPrefix(c.Text, "//"))
				for _, p := range poor {
					if word := p.word.FindString(text); word != "" {
						breaches = append(breaches, fmt.Sprintf("%s: comment with %q: %s", files.Position(c.Pos()), word, p.use))
					}
				}
			}
		}
	})
	return breaches, err
}

// namedResult matches the comment of a function that says what its result is.
var namedResult = regexp.MustCompile(`^\w+ (is|are) (the|a|an|where|how) (\w+)`)

// definitions are words behind which a comment defines its function by another one.
var definitions = []string{"inverse", "definition", "usual", "whole", "outlier", "plainest", "slow"}

// Functions returns a sentence for each function of the Go files below root that returns something and whose comment says what
// it is instead.
func Functions(root string) (breaches []string, err error) {
	err = eachFile(root, func(files *token.FileSet, path string, file *ast.File) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Doc == nil || f.Type.Results == nil || strings.HasSuffix(path, "_test.go") {
				continue
			}
			if m := namedResult.FindStringSubmatch(f.Doc.Text()); m != nil && !slices.Contains(definitions, m[3]) {
				breaches = append(breaches, fmt.Sprintf("%s: function comment with %q: say \"returns\"", files.Position(f.Pos()), m[0]))
			}
		}
	})
	return breaches, err
}

// PackageComments returns a sentence for each package below root whose comment does not stand in doc.go.
func PackageComments(root string) (breaches []string, err error) {
	documented := map[string]bool{}
	err = eachFile(root, func(files *token.FileSet, path string, file *ast.File) {
		dir, name := filepath.Split(path)
		switch {
		case strings.HasSuffix(name, "_test.go"):
		case name == "doc.go" && file.Doc != nil:
			documented[dir] = true
		case name != "doc.go" && file.Doc != nil:
			breaches = append(breaches, fmt.Sprintf("%s: the comment of the package stands in doc.go", path))
			fallthrough
		default:
			documented[dir] = documented[dir] || false
		}
	})
	for dir, ok := range documented {
		if !ok {
			breaches = append(breaches, fmt.Sprintf("%s has no doc.go with the comment of the package", dir))
		}
	}
	slices.Sort(breaches)
	return breaches, err
}

// Retired are words that the glossary has replaced, as parts of exported names, each with the word to use.
var Retired = map[string]string{
	"weigh": "judge",
	"super": "superblock",
	"slab":  "superblock",
	"mar":   "reject",
	"doubt": "prediction",
}

// nameWords are the words of a name, which begin with capitals.
var nameWords = regexp.MustCompile(`[A-Z][a-z0-9]+|[A-Z]+|[a-z0-9]+`)

// Names returns a sentence for each exported name of the Go files below root that has a retired word.
func Names(root string, retired map[string]string) (breaches []string, err error) {
	err = eachFile(root, func(files *token.FileSet, path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		check := func(id *ast.Ident) {
			if !id.IsExported() {
				return
			}
			for _, word := range nameWords.FindAllString(id.Name, -1) {
				if use, ok := retired[strings.ToLower(word)]; ok {
					breaches = append(breaches, fmt.Sprintf("%s: exported name %s: the glossary of docs/internals.md says %s", files.Position(id.Pos()), id.Name, use))
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				check(n.Name)
				return false
			case *ast.TypeSpec:
				check(n.Name)
			case *ast.ValueSpec:
				for _, id := range n.Names {
					check(id)
				}
			case *ast.Field:
				for _, id := range n.Names {
					check(id)
				}
			}
			return true
		})
	})
	return breaches, err
}

// eachFile parses the Go files below root, without generated ones and folders that the go tool passes over.
func eachFile(root string, do func(files *token.FileSet, path string, file *ast.File)) error {
	files := token.NewFileSet()
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.ContainsAny(d.Name()[:1], "._") || d.Name() == "testdata") && path != root {
			return skipHidden(err)
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err == nil && !ast.IsGenerated(file) {
			do(files, path, file)
		}
		return err
	})
}
