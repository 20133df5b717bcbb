package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Module is the path of this module.
const Module = "rawstatus"

// Package has the fields of `go list -json` that the rules need.
type Package struct {
	ImportPath string
	GoFiles    []string // without tests
	Imports    []string // without those of tests
}

// room is a package or a tree of packages that share one rule. Packages of one room may import each
// other.
type room struct {
	path string   // directory in the module; a tree unless it is a single package
	uses []string // rooms below it
	bans []string // imports from outside the module that it may not have, with everything below them
	why  string   // the reason, for the message
}

var (
	base  = []string{"internal/fault", "internal/detector", "internal/memory", "internal/ranges", "internal/version"}
	lower = append([]string{"internal/io", "internal/stats"}, base...)
	works = append([]string{"internal/shard", "internal/publish", "internal/compare", "internal/explain", "internal/masks", "internal/report", "internal/pages", "internal/simulate", "internal/config"}, lower...)

	logAndFlags = []string{"github.com/sirupsen/logrus", "github.com/urfave/cli", "log", "flag"}
	onlyFlags   = []string{"github.com/urfave/cli", "log", "flag"}
	world       = append([]string{"os", "io/fs", "path/filepath", "time", "net", "syscall", "math/rand"}, logAndFlags...)
)

// rooms is the table of DESIGN: every package of the module stands in one of them.
var rooms = []room{
	{"internal/fault", nil, logAndFlags, "everything imports it"},
	{"internal/detector", []string{"internal/fault"}, logAndFlags, "it is a table"},
	{"internal/memory", nil, logAndFlags, "everything may import it"},
	{"internal/ranges", nil, logAndFlags, "everything may import it"},
	{"internal/version", nil, logAndFlags, "everything imports it"},
	{"internal/config", base, logAndFlags, "it gives values; programs decide what to do with them"},
	{"internal/io", base, logAndFlags, "io and stats are strangers, and libraries return errors instead of logging"},
	{"internal/stats", base, world, "stats is arithmetic on pixels: slices in, slices out, the same everywhere and always"},
	{"internal/shard", append([]string{"internal/config", "jobs"}, lower...), onlyFlags, "workflows do not know each other nor the programs"},
	{"internal/publish", append([]string{"internal/config"}, lower...), logAndFlags, "workflows do not know each other nor the programs"},
	{"internal/explain", lower, logAndFlags, "workflows do not know each other nor the programs"},
	{"internal/compare", lower, logAndFlags, "workflows do not know each other nor the programs"},
	{"internal/masks", lower, logAndFlags, "workflows do not know each other nor the programs"},
	{"internal/report", lower, logAndFlags, "workflows do not know each other nor the programs"},
	{"internal/pages", append([]string{"internal/shard", "internal/report", "internal/config"}, lower...), logAndFlags, "workflows do not know the programs"},
	{"internal/simulate", lower, logAndFlags, "workflows do not know each other nor the programs"},
	{"internal/command", append([]string{"internal/config"}, base...), []string{"log", "flag"}, "the shell of the programs knows nothing of what they do"},
	{"internal/testenv/refstat", []string{"internal/stats"}, logAndFlags, "it is a second opinion on stats, for tests only"},
	{"internal/testenv", []string{"internal/ranges"}, nil, "it serves tests only"},
	{"internal/lint", nil, logAndFlags, "it serves tests only"},
	{"docs", nil, logAndFlags, "it holds documents and their test"},
	{"jobs", nil, logAndFlags, "it only embeds the job scripts"},
	{"bench", append([]string{"internal/command", "internal/testenv"}, works...), nil, "a program"},
	{"cmd", append([]string{"internal/command", "jobs"}, works...), []string{"log", "flag"}, "a program"},
}

// empty are directories that must hold no Go file themselves: the names io and stats mean one thing only.
var empty = []string{"internal/io", "internal/stats"}

// goroutines is the package that only fault.Group wraps.
const goroutines = "golang.org/x/sync/errgroup"

// Check returns a sentence for each breach of the rules.
func Check(packages []Package) (breaches []string) {
	for _, p := range packages {
		dir := strings.TrimPrefix(p.ImportPath, Module+"/")
		r, ok := roomOf(dir)
		if !ok {
			breaches = append(breaches, fmt.Sprintf("%s stands in no room of DESIGN: put it into one, or open a room in internal/lint", dir))
			continue
		}
		if slices.Contains(empty, dir) && len(p.GoFiles) > 0 {
			breaches = append(breaches, fmt.Sprintf("%s holds Go files: move them into a package named after what they handle", dir))
		}
		for _, imported := range p.Imports {
			if imported == goroutines && dir != "internal/fault" {
				breaches = append(breaches, fmt.Sprintf("%s must not import %s: a panic in its goroutines ends the process; use fault.Group", dir, imported))
			}
			if !r.allows(imported) {
				breaches = append(breaches, fmt.Sprintf("%s must not import %s: %s", dir, imported, r.why))
			}
		}
	}
	return breaches
}

// roomOf finds the room of a directory of the module.
func roomOf(dir string) (room, bool) {
	for _, r := range rooms {
		if within(dir, r.path) {
			return r, true
		}
	}
	return room{}, false
}

// allows reports whether a package of the room may import another package.
func (r room) allows(imported string) bool {
	dir, ours := strings.CutPrefix(imported, Module+"/")
	if !ours {
		return !slices.ContainsFunc(r.bans, func(ban string) bool { return within(imported, ban) })
	}
	if r.path == "cmd" && within(dir, "cmd") {
		return false // a program is not a library
	}
	if within(dir, "internal/testenv") || path.Base(dir) == "iotest" {
		return r.path == "internal/testenv" || r.path == "bench"
	}
	return within(dir, r.path) || slices.ContainsFunc(r.uses, func(use string) bool { return within(dir, use) })
}

// within reports whether a path is tree or lies below it.
func within(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }
