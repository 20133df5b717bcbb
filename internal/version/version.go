package version

import (
	"runtime/debug"
	"sync"
)

// Release is the release that this source is, or is on its way to: then it ends in -devel. The tag of a release has the
// same name.
const Release = "v1.0.0"

// stamped is set by -ldflags "-X rawstatus/internal/version.stamped=v1.2.3"; empty in a plain go build.
var stamped string

// String is the version of this build, for example "v1.2.3", "v1.2.3-4-g1a2b3c4-dirty", or where no tag names the
// commit "v1.2.3+1a2b3c4d5e6f.dirty".
var String = sync.OnceValue(func() string {
	if stamped != "" {
		return stamped
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Release
	}
	return describe(info)
})

// describe returns the version of a build that was not stamped.
func describe(info *debug.BuildInfo) string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	revision := set["vcs.revision"]
	if revision == "" {
		if info.Main.Version == "" || info.Main.Version == "(devel)" {
			return Release
		}
		return info.Main.Version
	}
	text := Release + "+" + revision[:min(12, len(revision))]
	if set["vcs.modified"] == "true" {
		text += ".dirty"
	}
	return text
}
