package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/testenv"
)

// TestDarkOfPsana2 takes the run of psana2 from raw data to constants in the database with one command, and wants the
// bytes that psana2 posted; then a rollback of the set.
func TestDarkOfPsana2(t *testing.T) {
	shared := testenv.Shared(t)
	bin, dir := programs(t), t.TempDir()
	server := httptest.NewServer((&calibserve.Server{Root: filepath.Join(dir, "db"), Disk: disk.Files{Policy: &access.Policy{DirMode: 0o775, FileMode: 0o664}}, Writable: true}).Handler())
	defer server.Close()
	url := server.URL + "/calib_ws/"
	command := func(program string, words ...string) (string, int) {
		cmd := exec.Command(filepath.Join(bin, program), words...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "RAWSTATUS_TIMEZONE=UTC", "RAWSTATUS_GROUP=", "RAWSTATUS_REPOSITORY="+filepath.Join(dir, "repo"),
			"RAWSTATUS_CALIBWS_READ_URL="+url, "RAWSTATUS_CALIBWS_WRITE_URL="+url, "CALIB_JWT=")
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	out, code := command("rawstatus", "dark", "-e", "tstx00417", "-r", "11", "--dir", psana2Run(t), "--compat", "lcls2", "--int-hi", "16382", "--rms-hi", "16382",
		"--products", "psrnx", "-D")
	if code != 0 || !strings.Contains(out, "analysis of run 11 will use") {
		t.Fatalf("dark: exit code %d:\n%s", code, out)
	}
	text, err := os.ReadFile(filepath.Join(shared, "golden_psana2/calibws_docs/data_sha256.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct{ SHA256 string }
	if err := json.Unmarshal(text, &want); err != nil || len(want) != 10 {
		t.Fatal(err, len(want))
	}
	posted := func() map[string]string {
		sums := map[string]string{}
		for _, db := range []string{"cdb_tstx00417", "cdb_jungfrau_000001"} {
			var docs []struct{ CType, Data_DType, Data_Shape, ID_Data string }
			if err := json.Unmarshal(fetch(t, url+db+"/jungfrau_000001"), &docs); err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				sum := sha256.Sum256(fetch(t, url+db+"/gridfs/"+d.ID_Data))
				sums[db+"/"+d.CType] = hex.EncodeToString(sum[:])
				if real := d.CType == "pedestals" || d.CType == "pixel_rms"; real != (d.Data_DType == "float32") || !real && d.Data_DType != "uint64" || d.Data_Shape != "(3, 2, 512, 1024)" {
					t.Errorf("%s is %s of shape %s", d.CType, d.Data_DType, d.Data_Shape)
				}
			}
		}
		return sums
	}
	sums := posted()
	for key, w := range want {
		if sums[key] != w.SHA256 {
			t.Errorf("%s has SHA-256 %s, psana2's %s", key, sums[key], w.SHA256)
		}
	}
	var sets []struct {
		State string
		Parts []struct{ CType, Deployment string }
	}
	if out, code := command("mergedeploy", "history", "-e", "tstx00417", "-d", "jungfrau", "--dark", "--json"); code != 0 || json.Unmarshal([]byte(out), &sets) != nil ||
		len(sets) != 1 || sets[0].State != "done" || len(sets[0].Parts) != 5 {
		t.Errorf("history of sets: exit code %d: %s", code, out)
	}
	if out, code := command("mergedeploy", "rollback", "-e", "tstx00417", "-d", "jungfrau", "--dark", "-D"); code != 0 || len(posted()) != 0 {
		t.Errorf("rollback: exit code %d, left %v:\n%s", code, posted(), out)
	}
}

// TestDarkWithoutDatabase wants constants and a plan where the database does not answer, and a failure only where they are to
// be deployed to it, of all area detectors or the one that is named.
func TestDarkWithoutDatabase(t *testing.T) {
	bin, dir := programs(t), t.TempDir()
	if code, _, stderr := call(t, "simulate", "--out", filepath.Join(dir, "runs"), "--exp", "tstx00417", "--det-type", "jungfrau", "--panels", "1", "--gain-modes", "g0,g1,g2", "--events", "5",
		"--run", "3"); code != 0 {
		t.Fatal(stderr)
	}
	for deploy, want := range map[bool]int{false: 0, true: 75} {
		line := []string{"dark", "-e", "tstx00417", "-r", "3", "--dir", filepath.Join(dir, "runs")}
		if deploy {
			line = append(line, "-d", "jungfrau", "-D")
		}
		cmd := exec.Command(filepath.Join(bin, "rawstatus"), line...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "RAWSTATUS_TIMEZONE=UTC", "RAWSTATUS_GROUP=", "RAWSTATUS_REPOSITORY="+filepath.Join(dir, "repo"),
			"RAWSTATUS_CALIBWS_READ_URL=http://127.0.0.1:1/calib_ws/", "RAWSTATUS_CALIBWS_WRITE_URL=http://127.0.0.1:1/calib_ws/", "CALIB_JWT=")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != want || strings.Contains(string(out), "the database could not be asked") == deploy ||
			strings.Contains(string(out), "what runs use now is not known") == deploy {
			t.Errorf("deploy %v: exit code %d, wanted %d:\n%s", deploy, got, want, out)
		}
	}
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("%s: %d %w", url, r.StatusCode, err))
	}
	return b
}
