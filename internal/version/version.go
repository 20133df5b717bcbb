package version

import (
	"runtime/debug"
	"strings"
	"sync"
)

// Next is the release that this source is on its way to, or is: the tag of the release has the same name.
const Next = "v0.1.0"

// stamped is set by -ldflags "-X rawstatus/internal/version.stamped=v1.2.3"; empty in a plain go build.
var stamped string

// String is the version of this build, for example "v1.2.3", "v1.2.3-4-g1a2b3c4-dirty", or before
// the first tag "v1.2.3-devel 1a2b3c4d5e6f 2026-03-01 modified".
var String = sync.OnceValue(func() string {
	if strings.HasPrefix(stamped, "v") {
		return stamped
	}
	if stamped != "" { // there is no tag yet
		return devel + " " + stamped
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return devel
	}
	return describe(info)
})

const devel = Next + "-devel"

// describe makes the version of a build that was not stamped.
func describe(info *debug.BuildInfo) string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	revision := set["vcs.revision"]
	if revision == "" {
		if info.Main.Version == "" || info.Main.Version == "(devel)" {
			return devel
		}
		return info.Main.Version
	}
	text := devel + " " + revision[:min(12, len(revision))]
	if day := set["vcs.time"]; len(day) >= len("2006-01-02") {
		text += " " + day[:len("2006-01-02")]
	}
	if set["vcs.modified"] == "true" {
		text += " modified"
	}
	return text
}
