package lint

import (
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// Formats are the packages whose comments are the specification of a format, in the order of docs/formats.md.
var Formats = []struct{ Title, Dir string }{
	{"XTC2", "internal/io/xtc2"},
	{"XTC", "internal/io/xtc1"},
	{"Raw files of a run", "internal/io/rawrun"},
	{"NumPy arrays", "internal/io/npy"},
	{"Text arrays", "internal/io/calibtxt"},
	{"Packs", "internal/io/pack"},
	{"Constants repository", "internal/io/repo"},
	{"Deployments", "internal/io/calib"},
	{"Calibration directory", "internal/io/calibdir"},
	{"Calibration database", "internal/io/calibws"},
	{"HDF5 files of export", "internal/io/hdf5"},
}

// FormatsBegin is the line of docs/formats.md below which the specifications stand, as FormatTables makes them.
const FormatsBegin = "<!-- Below: the comments of the packages, written by make gen. -->\n"

// FormatTables returns the comments of the packages as Markdown.
func FormatTables(root string) (string, error) {
	var b strings.Builder
	for _, f := range Formats {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, f.Dir, "doc.go"), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		var p comment.Parser
		printer := comment.Printer{HeadingLevel: 3, HeadingID: func(*comment.Heading) string { return "" }, DocLinkURL: func(*comment.DocLink) string { return "" }}
		fmt.Fprintf(&b, "\n## %s\n\n%s", f.Title, printer.Markdown(p.Parse(file.Doc.Text())))
	}
	return b.String(), nil
}
