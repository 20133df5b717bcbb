package config

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestFrozenFileHasAllSettingsInForce wants the settings in force, wherever they come from, from the frozen file alone.
func TestFrozenFileHasAllSettingsInForce(t *testing.T) {
	dir := t.TempDir()
	site := filepath.Join(dir, "site.toml")
	text := "timezone = \"UTC\"\nfile_mode = \"0640\"\nknown_missing = []\n[slurm]\nprolog = [\"a 'b'\\tc\"]\n[elog]\ntags = []\n[limits.jungfrau]\nint_lo = 0.0\nlimits = \"robust\"\nmissing_gain = [\"g1=bad\"]\n"
	if err := os.WriteFile(site, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Load("", []string{"RAWSTATUS_SITE=" + site, "RAWSTATUS_GROUP=ps-data", "SIT_ROOT=/cds", "SIT_PSDM_DATA=/a:/b", "RAWSTATUS_ELOG_POST=true"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set("calib_dir", "relative", "flag"); err != nil {
		t.Fatal(err)
	}
	frozen, variables, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(site, []byte(frozen), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Load("", []string{"RAWSTATUS_SITE=" + site})
	if err != nil {
		t.Fatalf("%v\n%s", err, frozen)
	}
	if err := got.CheckNames(); err != nil {
		t.Error(err)
	}
	if s.CalibDir, err = filepath.Abs("relative"); err != nil {
		t.Fatal(err)
	}
	a, b := s.fields(), got.fields()
	for i := range a {
		if x, y := a[i].value, b[i].value; !reflect.DeepEqual(x.Interface(), y.Interface()) && !(x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0) {
			t.Errorf("%s: %v became %v", a[i].key, x, y)
		}
	}
	if len(variables) < 20 {
		t.Errorf("only %v are unset", variables)
	}
}
