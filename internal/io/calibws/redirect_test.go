package calibws

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"rawstatus/internal/fault"
)

// TestTokenStaysHome redirects requests to the same origin, to another port and to another host: the token
// arrives only where it was sent to.
func TestTokenStaysHome(t *testing.T) {
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			stolen.Add(1)
		}
		w.Write([]byte("{}"))
	}))
	defer thief.Close()
	var target string
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/there") {
			if r.Header.Get("Authorization") != "Bearer secret" {
				t.Error("no token within the origin")
			}
			w.Write([]byte("{}"))
			return
		}
		http.Redirect(w, r, target, http.StatusTemporaryRedirect)
	}))
	defer home.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(thief.URL, "http://"), ":")
	for where, good := range map[string]bool{"/there": true, thief.URL: false, "http://localhost:" + port: false, "https://" + strings.TrimPrefix(home.URL, "http://"): false} {
		target = where
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			c := &Client{ReadURL: home.URL, WriteURL: home.URL, Token: "secret"}
			b, err := jsonBody(map[string]int{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.send(t.Context(), true, method, b, nil, "cdb_tstx00117", "x")
			if err == nil {
				r.Close()
			}
			if (err == nil) != good || err != nil && fault.CodeOf(err) != fault.Input {
				t.Errorf("%s to %s: %v", method, where, err)
			}
		}
	}
	if n := stolen.Load(); n > 0 {
		t.Errorf("the token was sent to another origin %d times", n)
	}
}
