package version

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

func TestVersionNamesReleaseAndCommit(t *testing.T) {
	setting := func(kv ...string) (list []debug.BuildSetting) {
		for i := 0; i < len(kv); i += 2 {
			list = append(list, debug.BuildSetting{Key: kv[i], Value: kv[i+1]})
		}
		return list
	}
	tests := []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"go test", debug.BuildInfo{}, Release},
		{"no control", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, Release},
		{"installed", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{"commit", debug.BuildInfo{Settings: setting("vcs.revision", "0123456789abcdef", "vcs.time", "2026-03-01T10:00:00Z", "vcs.modified", "false")},
			Release + "+0123456789ab"},
		{"modified", debug.BuildInfo{Settings: setting("vcs.revision", "0123", "vcs.modified", "true")}, Release + "+0123.dirty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := describe(&tt.info); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestReleaseNotesHaveTheRelease wants a dated section for the release in the release notes and in the list of changes.
func TestReleaseNotesHaveTheRelease(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(strings.TrimSuffix(Release, "-devel")) + ` \(\d{4}-\d\d-\d\d\)$`)
	for _, name := range []string{"docs/release-notes.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(testenv.Root(t), filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if heading.Find(text) == nil {
			t.Errorf("%s has no section of %s with its date", name, Release)
		}
	}
}
