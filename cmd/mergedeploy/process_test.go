package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
)

// TestServiceStartsAndStopsAsAnOperatorDoes starts the program as a service and stops it as an operator does.
func TestServiceStartsAndStopsAsAnOperatorDoes(t *testing.T) {
	cmd := exec.Command(os.Args[0], "serve", "--root", filepath.Join(t.TempDir(), "db"), "--writable")
	cmd.Env = append(os.Environ(), asProgram+"=1", "RAWSTATUS_SITE=", "CALIB_JWT=secret")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, url, found := strings.Cut(strings.TrimSpace(line), " at ")
	if !found {
		t.Fatalf("greeting %q", line)
	}
	for _, tt := range []struct {
		method, token string
		status        int
	}{{"GET", "", 200}, {"POST", "", 401}, {"POST", "Bearer wrong", 401}, {"POST", "Bearer secret", 200}} {
		path := map[string]string{"GET": "", "POST": "cdb_x/det/"}[tt.method]
		req, err := http.NewRequest(tt.method, url+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if tt.token != "" {
			req.Header.Set("Authorization", tt.token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tt.status {
			t.Errorf("%s with %q: status %d, want %d", tt.method, tt.token, res.StatusCode, tt.status)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped: %v", err)
	}
}

// TestGuestsSeeThePlanAndWhatIsNotPermitted: who may only read sees the plan, and is told what is not permitted.
func TestGuestsSeeThePlanAndWhatIsNotPermitted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs to be root, to run a program as somebody else")
	}
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "mergedeploy")
	binary, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, binary, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "site.toml"), []byte("timezone = \"UTC\"\ngroup = \"\"\n"), 0o644)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := repo.New(filepath.Join(dir, "repo"), policy0, time.UTC)
	sf := repo.StatusFile{DetType: "cam", DetName: "cam", Panel: "id", CType: "status_dark", Rows: 2, Cols: 2,
		Run: frame.Run{Experiment: "mfxx1", Number: 1, Begin: time.Unix(1.7e9, 0)}}
	if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf([]uint64{0, 1, 0, 0}), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, out string) {
		cmd := exec.Command(program, append([]string{"--site", filepath.Join(dir, "site.toml"), "-e", "mfxx1", "-r", "1", "-o", r.Root, "-c", filepath.Join(dir, "calib")}, args...)...)
		cmd.Env, cmd.Dir = append(os.Environ(), asProgram+"=1"), dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		text, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(text)
	}
	code, out := run()
	if code != 0 || !strings.Contains(out, "1 of 4 pixels bad") || !strings.Contains(out, "status_merged is not written") {
		t.Errorf("plan: exit code %d\n%s", code, out)
	}
	code, out = run("-D")
	if code != int(fault.Input) || !strings.Contains(out, "permission denied") || !strings.Contains(out, "hint: the permission of its owner or group") {
		t.Errorf("deployment: exit code %d, want %d\n%s", code, fault.Input, out)
	}
	if left := files(t, dir, ".tmp-"); len(left) > 0 {
		t.Errorf("leftovers %v", left)
	}
}

func files(t *testing.T, dir, part string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, part) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(fmt.Errorf("could not look for files: %w", err))
	}
	return found
}

// TestAddressOfServiceDecidesWhereAndHowToWrite: which service is spoken to, and how it lets us write.
func TestAddressOfServiceDecidesWhereAndHowToWrite(t *testing.T) {
	const in, out = "https://psdmint.sdf.slac.stanford.edu/", "https://psextapi.slac.stanford.edu/"
	tests := []struct {
		name        string
		env         map[string]string
		args        []string
		read, write string
		token       string
		kerberos    bool
		code        fault.Code
	}{
		{"inside", nil, nil, in + "calib_ws/", in + "ws-kerb/calib_ws/", "", true, 0},
		{"outside", map[string]string{"SIT_PSDM_OFFSITE": "1", "LCLS_CALIB_HTTP": "http://x/"}, nil, out + "calib_ws/", out + "ws-kerb/calib_ws/", "", true, 0},
		{"private reads", map[string]string{"LCLS_CALIB_HTTP": "http://x/"}, nil, "http://x/", in + "ws-kerb/calib_ws/", "", true, 0},
		{"token", map[string]string{"CALIB_JWT": "t"}, nil, in + "calib_ws/", in + "ws-kerb/calib_ws/", "t", false, 0},
		{"this machine", nil, []string{"--write-url", "http://127.0.0.1:1/"}, in + "calib_ws/", "http://127.0.0.1:1/", "", false, 0},
		{"flag outside", map[string]string{"SIT_PSDM_OFFSITE": "1"}, []string{"--read-url", "http://y/"}, "http://y/", out + "ws-kerb/calib_ws/", "", true, 0},
		{"open line", map[string]string{"CALIB_JWT": "t"}, []string{"--write-url", "http://x/"}, "", "", "", false, fault.Usage},
		{"no token", nil, []string{"--auth", "token"}, "", "", "", false, fault.Usage},
		{"no address", nil, []string{"--write-url", "x"}, "", "", "", false, fault.Usage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, key := range []string{"SIT_PSDM_OFFSITE", "LCLS_CALIB_HTTP", "CALIB_JWT", "RAWSTATUS_SITE"} {
				t.Setenv(key, tt.env[key])
			}
			var ws *calibws.Client
			code := command.Program{Name: "p", Commands: func(e *environment) []*cli.Command {
				return []*cli.Command{{Name: "c", Flags: wsFlags(), Action: func(c *cli.Context) (err error) {
					ws, err = client(c, e)
					return err
				}}}
			}}.Run(t.Context(), io.Discard, io.Discard, append([]string{"p", "c"}, tt.args...))
			if code != int(tt.code) {
				t.Fatalf("exit code %d, want %d", code, tt.code)
			}
			if code == 0 && (ws.ReadURL != tt.read || ws.WriteURL != tt.write || ws.Token != tt.token || (ws.Writer != nil) != tt.kerberos) {
				t.Errorf("read %s, write %s, token %q, kerberos %v", ws.ReadURL, ws.WriteURL, ws.Token, ws.Writer != nil)
			}
		})
	}
}
