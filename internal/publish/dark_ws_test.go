package publish

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/repo"
)

// TestDarkSetInDatabase refuses every POST of a deployment in turn, its parts being sent at the same time: nothing of the set is
// left in force, and the next call deploys all of it.
func TestDarkSetInDatabase(t *testing.T) {
	refuseDarkSet(t, func(post, at int64) bool { return post == at })
}

// TestDarkSetInFullDatabase refuses every POST from one on, as a service whose disk is full: what was sent before is taken back,
// which takes no room.
func TestDarkSetInFullDatabase(t *testing.T) {
	refuseDarkSet(t, func(post, at int64) bool { return at >= 0 && post >= at })
}

func refuseDarkSet(t *testing.T, refused func(post, at int64) bool) {
	ctx := context.Background()
	for n := int64(0); ; n++ {
		files := disk.Files{Policy: &access.Policy{DirMode: 0o775, FileMode: 0o664}}
		handler := (&calibserve.Server{Root: filepath.Join(t.TempDir(), "db"), Disk: files, Writable: true}).Handler()
		var posts, refuse atomic.Int64
		refuse.Store(n)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && refused(posts.Add(1)-1, refuse.Load()) {
				http.Error(w, "no", http.StatusForbidden)
				return
			}
			handler.ServeHTTP(w, r)
		}))
		ledgers := t.TempDir()
		dests := func(ctype string) (calib.Destination, error) {
			s := &calibws.Store{Client: &calibws.Client{ReadURL: server.URL + "/calib_ws/", WriteURL: server.URL + "/calib_ws/"}, Experiment: "mfxx1", DetName: "jungfrau", DetType: "jungfrau",
				LongName: "jungfrau_id-0", CType: ctype, Ledger: &calib.Ledger{Dir: filepath.Join(ledgers, ctype), Disk: files}, LockWait: time.Minute}
			dest := s.Destination()
			dest.Sets = &calib.Ledger{Dir: filepath.Join(ledgers, "sets"), Disk: files}
			return dest, nil
		}
		err := planIn(t, dests, smallDark()).Execute(ctx, nil, "", false)
		done := err == nil
		if got := usedBy(t, dests, repo.DarkSet, 7); done != (strings.Count(got, "cdb_") == len(repo.DarkSet)) || !done && strings.Trim(got, " ") != "" {
			t.Fatalf("POST %d refused (%v): run 7 uses %q", n, err, got)
		}
		refuse.Store(-1)
		if err := planIn(t, dests, smallDark()).Execute(ctx, nil, "", false); err != nil {
			t.Fatalf("POST %d refused, and deployed again: %v", n, err)
		}
		if got := usedBy(t, dests, repo.DarkSet, 7); strings.Count(got, "cdb_mfxx1/") != len(repo.DarkSet) {
			t.Fatalf("POST %d refused, and deployed again: run 7 uses %q", n, got)
		}
		server.Close()
		if done {
			if n < 4*int64(len(repo.DarkSet)) {
				t.Fatalf("only %d POSTs", n)
			}
			return
		}
	}
}
