package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/testenv"
)

// environ is an environment for Load, of names and values in turn.
func environ(kv ...string) (list []string) {
	for i := 0; i < len(kv); i += 2 {
		list = append(list, kv[i]+"="+kv[i+1])
	}
	return list
}

func siteFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "site.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// find returns one setting of a site.
func find(t *testing.T, s *Site, key string) Value {
	t.Helper()
	for _, v := range s.Values() {
		if v.Key == key {
			return v
		}
	}
	t.Fatalf("no setting %q", key)
	return Value{}
}

func TestSourcesOfSettingsHaveTheirRank(t *testing.T) {
	path := siteFile(t, "repository = \"/file\"\n[slurm]\npartition = \"milano\"\n")
	tests := []struct {
		name          string
		path          string
		env           []string
		flag          string
		key           string
		value, origin string
	}{
		{name: "default", path: siteFile(t, ""), key: "timezone", value: `"America/Los_Angeles"`, origin: "default"},
		{name: "file", path: path, key: "repository", value: `"/file"`, origin: path + ":1"},
		{name: "section", path: path, key: "slurm.partition", value: `"milano"`, origin: path + ":3"},
		{name: "file named by environment", env: []string{"RAWSTATUS_SITE", path}, key: "repository", value: `"/file"`, origin: path + ":1"},
		{name: "original variable", env: []string{"SIT_ROOT", "/sit"}, key: "repository",
			value: `"/sit/detector/calib/constants"`, origin: "environment SIT_ROOT"},
		{name: "file over original variable", env: []string{"RAWSTATUS_SITE", path, "SIT_ROOT", "/sit"}, key: "repository", value: `"/file"`, origin: path + ":1"},
		{name: "our variable over original", env: []string{"SIT_ROOT", "/sit", "RAWSTATUS_REPOSITORY", "/env"}, key: "repository",
			value: `"/env"`, origin: "environment RAWSTATUS_REPOSITORY"},
		{name: "our variable over file by environment", env: []string{"RAWSTATUS_SITE", path, "RAWSTATUS_REPOSITORY", "/env"}, key: "repository",
			value: `"/env"`, origin: "environment RAWSTATUS_REPOSITORY"},
		{name: "file by flag over our variable", path: path, env: []string{"RAWSTATUS_REPOSITORY", "/env", "SIT_ROOT", "/sit"}, key: "repository",
			value: `"/file"`, origin: path + ":1"},
		{name: "our variable where the file by flag is silent", path: path, env: []string{"RAWSTATUS_GROUP", "xyz"}, key: "group",
			value: `"xyz"`, origin: "environment RAWSTATUS_GROUP"},
		{name: "empty variable", path: siteFile(t, ""), env: []string{"RAWSTATUS_GROUP", ""}, key: "group", value: `"ps-users"`, origin: "default"},
		{name: "file by flag over file by environment", path: siteFile(t, "group = \"a\"\n"), env: []string{"RAWSTATUS_SITE", path}, key: "repository", value: `""`, origin: "default"},
		{name: "off site", env: []string{"LCLS_CALIB_HTTP", "http://x", "SIT_PSDM_OFFSITE", "1"}, key: "calibws.read_url",
			value: `"https://psextapi.slac.stanford.edu/calib_ws/"`, origin: "environment SIT_PSDM_OFFSITE"},
		{name: "flag", path: path, env: []string{"RAWSTATUS_REPOSITORY", "/env"}, flag: "/flag", key: "repository",
			value: `"/flag"`, origin: "flag --repository"},
		{name: "list", path: path, env: []string{"RAWSTATUS_DATA_ROOTS", "/a:/b"}, key: "data_roots", value: `["/a", "/b"]`,
			origin: "environment RAWSTATUS_DATA_ROOTS"},
		{name: "data root", path: path, env: []string{"SIT_PSDM_DATA", "/d"}, key: "data_roots", value: `["/d"]`, origin: "environment SIT_PSDM_DATA"},
		{name: "section by environment", path: path, env: []string{"RAWSTATUS_SLURM_MAX_JOBS", "7"}, key: "slurm.max_jobs", value: "7",
			origin: "environment RAWSTATUS_SLURM_MAX_JOBS"},
		{name: "mode", path: path, env: []string{"RAWSTATUS_DIR_MODE", "2770"}, key: "dir_mode", value: `"2770"`, origin: "environment RAWSTATUS_DIR_MODE"},
		{name: "limits", path: siteFile(t, "[limits.jungfrau]\nint_hi = 12000\n"), key: "limits.jungfrau.int_hi", value: "12000", origin: ":2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Load(tt.path, environ(tt.env...))
			if err != nil {
				t.Fatal(err)
			}
			if tt.flag != "" {
				if err := s.Set(tt.key, tt.flag, "flag --"+tt.key); err != nil {
					t.Fatal(err)
				}
			}
			v := find(t, s, tt.key)
			if v.Text() != tt.value || !strings.HasSuffix(v.Origin, tt.origin) {
				t.Errorf("got %s from %s, want %s from %s", v.Text(), v.Origin, tt.value, tt.origin)
			}
		})
	}
}

func TestMistakesAreNamedWithLineOrVariable(t *testing.T) {
	tests := []struct {
		name string
		text string
		env  []string
		want string
	}{
		{name: "syntax", text: "a\nb", want: "line 1"},
		{name: "unknown key", text: "timezone = \"UTC\"\nrepositori = \"/x\"\n", want: `line 2: unknown setting "repositori"`},
		{name: "other case", text: "Repository = \"/x\"\n", want: `line 1: unknown setting "Repository"`},
		{name: "unknown in section", text: "[slurm]\npartition = \"a\"\nqueue = \"b\"\n", want: `line 3: unknown setting "slurm.queue"`},
		{name: "unknown section", text: "\n[slrum]\npartition = \"a\"\n", want: `line 2: unknown setting "slrum"`},
		{name: "unknown limit", text: "[limits.jungfrau]\nint_high = 1\n", want: `line 2: unknown setting "limits.jungfrau.int_high"`},
		{name: "detector type in upper case", text: "[limits.Jungfrau]\nint_hi = 1\n", want: `line 1: unknown setting "limits.Jungfrau"`},
		{name: "wrong type", text: "\nrepository = 3\n", want: "line 2: repository: wanted a text in quotes, not integer"},
		{name: "mode as a number", text: "dir_mode = 0o2775\n", want: `line 1: dir_mode: wanted an octal number in quotes, such as "2775", not integer`},
		{name: "mode not octal", text: "dir_mode = \"2789\"\n", want: "octal number"},
		{name: "mode for the world", text: "file_mode = \"666\"\n", want: "others no writing"},
		{name: "mode without owner", text: "dir_mode = \"2075\"\n", want: "dir_mode"},
		{name: "set-id files", text: "file_mode = \"4664\"\n", want: "special bits"},
		{name: "time zone", text: "timezone = \"Stanford\"\n", want: "Stanford"},
		{name: "time zone of the node", text: "timezone = \"Local\"\n", want: "Local"},
		{name: "number by environment", env: []string{"RAWSTATUS_SLURM_MAX_JOBS", "many"}, want: "environment RAWSTATUS_SLURM_MAX_JOBS"},
		{name: "wrong type in a section", text: "[elog]\npost = 1\n", want: "line 2: elog.post: wanted true or false, not integer"},
		{name: "wrong type of a limit", text: "[limits.jungfrau]\nint_hi = \"x\"\n", want: "line 2: limits.jungfrau.int_hi: wanted a number, not string"},
		{name: "wrong type of a list", text: "data_roots = \"/x\"\n", want: "line 1: data_roots: wanted a list of texts, not string"},
		{name: "same key twice", text: "group = \"a\"\ngroup = \"b\"\n", want: "line 2"},
		{name: "dotted section", text: "slrum.partition = \"a\"\n", want: `line 1: unknown setting "slrum"`},
		{name: "inline section", text: "\nslurm = { queue = \"a\" }\n", want: `line 2: unknown setting "slurm.queue"`},
		{name: "unknown type", text: "[limits.nosuchdet]\nint_hi = 1\n", want: `line 1: unknown detector type "nosuchdet"`},
		{name: "near", text: "repositori = \"/x\"\n", want: `did you mean "repository"?`},
		{name: "two", text: "a = 1\nb = 2\n", want: `unknown setting "b"`},
		{name: "variable", env: []string{"RAWSTATUS_REPOSITRY", "/x"}, want: "no setting for RAWSTATUS_REPOSITRY, did you mean RAWSTATUS_REPOSITORY?"},
		{name: "fraction", text: "[limits.jungfrau]\nfraclm = 1.5\n", want: "1.5 is not from 0 to 1"},
		{name: "not a number", text: "[limits.jungfrau]\nint_hi = nan\n", want: "not a finite number"},
		{name: "address", text: "[elog]\nurl = \"nonsense\"\n", want: "elog.url"},
		{name: "address without host", env: []string{"LCLS_CALIB_HTTP", "http:/x"}, want: "calibws.read_url (environment LCLS_CALIB_HTTP)"},
		{name: "address with password", text: "[calibws]\nwrite_url = \"https://me:secret@host/\"\n", want: "without user and password"},
		{name: "negative", text: "[slurm]\nmax_jobs = -1\n", want: "slurm.max_jobs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Load(siteFile(t, tt.text), environ(tt.env...))
			if err == nil {
				err = s.CheckNames()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if code := fault.CodeOf(err); code != fault.Usage {
				t.Errorf("exit code %d, want %d: %v", code, fault.Usage, err)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent.toml"), environ()); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a named file that is absent: %v", err)
	}
}

// TestOverriddenVariablesAreListed lists what --site has overridden, for job scripts.
func TestOverriddenVariablesAreListed(t *testing.T) {
	s, err := Load(siteFile(t, "repository = \"/file\"\n"), environ("RAWSTATUS_REPOSITORY", "/env", "RAWSTATUS_GROUP", "g"))
	if err != nil || !reflect.DeepEqual(s.Overridden(), []string{"RAWSTATUS_REPOSITORY"}) {
		t.Errorf("%v, %v", s.Overridden(), err)
	}
}

// TestEverySettingIsReachable sets each setting in the file, and by the environment where it has a variable.
func TestEverySettingIsReachable(t *testing.T) {
	s := defaults()
	for _, f := range s.fields() {
		v := f.variable()
		if v == "" {
			continue
		}
		text := "7"
		if _, ok := f.value.Interface().(Mode); ok {
			text = "0700"
		}
		switch f.key {
		case "timezone":
			text = "UTC"
		case "elog.post":
			text = "true"
		case "elog.auth":
			text = "none"
		case "notify.mail":
			text = "a@b"
		case "notify.on":
			text = "failed"
		case "elog.url", "calibws.read_url", "calibws.write_url":
			text = "http://host/"
		}
		got, err := Load(siteFile(t, ""), environ(v, text))
		if err != nil {
			t.Errorf("%s=%s: %v", v, text, err)
			continue
		}
		if origin := got.Origin(f.key); origin != "environment "+v {
			t.Errorf("%s comes from %s", f.key, origin)
		}
	}
}

func TestZoneIsThatOfTheSite(t *testing.T) {
	s, err := Load(siteFile(t, ""), environ())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2020, 7, 1, 12, 0, 0, 0, time.UTC).In(s.Location())
	if got := at.Format("20060102150405"); got != "20200701050000" {
		t.Errorf("default zone: %s", got)
	}
}

// TestDocumentNamesEverySetting wants docs/configuration.md to name every setting with its default, and its example to be valid.
func TestDocumentNamesEverySetting(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, v := range defaults().Values() {
		row := ""
		for line := range strings.Lines(doc) {
			if strings.HasPrefix(line, "|") && strings.Contains(strings.Split(line, "|")[1], "`"+v.Key+"`") {
				row = line
			}
		}
		if row == "" {
			t.Errorf("%s is not documented", v.Key)
		} else if def := strings.Trim(v.Text(), `"[]`); def != "" && !strings.HasPrefix(def, "http") && !strings.Contains(row, def) {
			t.Errorf("%s: the default %s is not in %q", v.Key, def, row)
		}
	}
	for _, key := range patterns(reflect.TypeFor[Limits](), nil) {
		if !strings.Contains(doc, "`"+key[0]+"`") {
			t.Errorf("limit %s is not documented", key[0])
		}
	}
	_, example, found := strings.Cut(doc, "```toml\n")
	example, _, _ = strings.Cut(example, "```")
	if s, err := Load(siteFile(t, example), environ()); err != nil || !found || s.Slurm.Partition == "" {
		t.Errorf("the example: %v", err)
	}
}

func FuzzSiteFile(f *testing.F) {
	f.Add("repository = \"/x\"\n[slurm]\nprolog = [\"a\"]\n")
	f.Add("[limits.jungfrau]\nint_hi = 1\n[[x]]\ny.z = 1")
	f.Add("\"\" = 1\n\"a.b\" = {c = 2}")
	f.Fuzz(func(t *testing.T, text string) {
		s := defaults()
		if err := s.readFile("site.toml", text); err != nil {
			if fault.CodeOf(err) != fault.Usage || strings.Contains(err.Error(), "line 0") {
				t.Errorf("%v", err)
			}
			return
		}
		for _, v := range s.Values() {
			if strings.HasSuffix(v.Origin, ":0") {
				t.Errorf("%s comes from %s", v.Key, v.Origin)
			}
		}
	})
}

// TestWordsOfDetectorTypes checks the settings of a detector type that are words.
func TestWordsOfDetectorTypes(t *testing.T) {
	load := func(text string) (*Site, error) {
		path := filepath.Join(t.TempDir(), "site.toml")
		if err := os.WriteFile(path, []byte("[limits.jungfrau]\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		return Load(path, nil)
	}
	s, err := load("limits = \"robust\"\nlimits_per = \"asic\"\nprofile = \"dark\"\nrms_hi = 50\n")
	if err != nil {
		t.Fatal(err)
	}
	if l := s.Limits["jungfrau"]; *l.HowLimits != "robust" || *l.LimitsPer != "asic" || *l.Profile != "dark" || *l.RMSHi != 50 {
		t.Errorf("read %+v", l)
	}
	for _, text := range []string{"limits = \"sharp\"", "limits_per = \"pixel\"", "profile = \"max \"", "limits = 3"} {
		if _, err := load(text); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestKeysAreOnTheLineOfTheirStatement: the line of a key is the one that its statement begins on, in all ways to write it.
func TestKeysAreOnTheLineOfTheirStatement(t *testing.T) {
	text := "# a = 0\na = \"\"\"\nb = 2\n\"\"\" # b = 3\nb = 1\n\n[t]\n\"c d\" = [\n  1, # e = 2\n  2,\n]\ne.f = { g = 1 }\n[t.h]\na = 1"
	want := map[string]int{"a": 2, "b": 5, "t": 7, "t.c d": 8, "t.e": 12, "t.e.f": 12, "t.e.f.g": 12, "t.h": 13, "t.h.a": 14}
	keys, err := keysOf([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, key := range keys {
		name := strings.Join(key.parts, ".")
		if got[name] = key.line; want[name] != key.line {
			t.Errorf("%s is on line %d, want %d", name, key.line, want[name])
		}
	}
	if got["t.h.a"] != 14 || got["b"] != 5 || len(got) != len(want) {
		t.Errorf("got %v", got)
	}
}
