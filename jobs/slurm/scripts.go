package slurm

import (
	"embed"
	"strings"
)

//go:embed *.sbatch
var files embed.FS

// The scripts.
const (
	Array   = "rawstatus-array.sbatch"
	Reduce  = "rawstatus-reduce.sbatch"
	Repair  = "rawstatus-repair.sbatch"
	Deploy  = "mergedeploy.sbatch"
	Post    = "rawstatus-post.sbatch"
	Element = "rawstatus-element.sbatch"
)

// Render returns a script with the path of its program and the site's lines filled in. quotedBin is one shell word.
func Render(name, quotedBin string, siteLines []string) ([]byte, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "bin="):
			line = "bin=" + quotedBin + "\n"
		case strings.HasPrefix(line, "# site: "):
			line = ""
			for _, s := range siteLines {
				line += s + "\n"
			}
		}
		out.WriteString(line)
	}
	return []byte(out.String()), nil
}
