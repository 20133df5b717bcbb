package browser

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/testenv"
)

// Browser is a running browser. Its methods fail the test on any error.
type Browser struct {
	t    testing.TB
	to   *os.File
	mu   sync.Mutex
	last int
	wait map[int]chan message
	tabs map[string]*Tab // by session
	dead chan struct{}
}

// Tab is a page of a browser.
type Tab struct {
	b       *Browser
	session string
	mu      sync.Mutex
	faults  []string
	urls    []string
	loaded  chan struct{}
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// patience is how long a loaded machine may take for an answer.
const patience = 3 * time.Minute

// Start starts a browser that ends with the test. Without one the test is skipped, see testenv.Lacking.
func Start(t testing.TB) *Browser {
	t.Helper()
	path := os.Getenv("RAWSTATUS_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-headless-shell", "google-chrome"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		testenv.Lacking(t, "chromium", "no chromium in PATH (Debian: chromium; RAWSTATUS_CHROMIUM names another)")
	}
	in, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--hide-scrollbars",
		"--force-device-scale-factor=1", "--user-data-dir="+home, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{in, out}
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	b := &Browser{t: t, to: to, wait: map[int]chan message{}, tabs: map[string]*Tab{}, dead: make(chan struct{})}
	go b.listen(from)
	t.Cleanup(func() {
		to.Close() // ends the browser
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
		}
		// Its helpers write into home for a moment longer.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
		for range 100 {
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return b
}

// listen hands answers and events on until the browser ends.
func (b *Browser) listen(from *os.File) {
	defer close(b.dead)
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		answer, tab := b.wait[m.ID], b.tabs[m.Session]
		delete(b.wait, m.ID)
		b.mu.Unlock()
		if m.ID != 0 && answer != nil {
			answer <- m
		} else if tab != nil {
			tab.event(m)
		}
	}
}

// event notes what a page must not do.
func (t *Tab) event(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Method {
	case "Runtime.exceptionThrown", "Page.javascriptDialogOpening":
		t.faults = append(t.faults, m.Method+": "+string(m.Params))
	case "Log.entryAdded":
		if strings.Contains(string(m.Params), `"level":"error"`) {
			t.faults = append(t.faults, m.Method+": "+string(m.Params))
		}
	case "Runtime.consoleAPICalled":
		if strings.Contains(string(m.Params), `"type":"error"`) || strings.Contains(string(m.Params), `"type":"warning"`) {
			t.faults = append(t.faults, "console: "+string(m.Params))
		}
	case "Network.requestWillBeSent":
		var p struct {
			Request struct {
				URL string `json:"url"`
			} `json:"request"`
		}
		if json.Unmarshal(m.Params, &p) == nil {
			t.urls = append(t.urls, p.Request.URL)
		}
	case "Page.loadEventFired":
		select {
		case t.loaded <- struct{}{}:
		default:
		}
	}
}

// call sends a command and waits for its answer.
func (b *Browser) call(session, method string, params any, result any) {
	b.t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	m := message{ID: b.last, Method: method, Params: raw, Session: session}
	b.wait[m.ID] = answer
	line, err := json.Marshal(m)
	if err == nil {
		_, err = b.to.Write(append(line, 0))
	}
	b.mu.Unlock()
	if err != nil {
		b.t.Fatalf("browser: %s: %v", method, err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			b.t.Fatalf("browser: %s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("browser: %s: %v in %s", method, err, m.Result)
			}
		}
	case <-b.dead:
		b.t.Fatalf("browser: ended during %s", method)
	case <-time.After(patience):
		b.t.Fatalf("browser: no answer to %s", method)
	}
}

type none struct{}

// Open opens an empty page of this size in pixels.
func (b *Browser) Open(width, height int) *Tab {
	b.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var s struct {
		ID string `json:"sessionId"`
	}
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &s)
	t := &Tab{b: b, session: s.ID, loaded: make(chan struct{}, 1)}
	b.mu.Lock()
	b.tabs[s.ID] = t
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		t.Call(domain+".enable", none{}, nil)
	}
	t.Size(width, height)
	return t
}

// Call sends a command of the protocol; result may be nil.
func (t *Tab) Call(method string, params, result any) {
	t.b.t.Helper()
	t.b.call(t.session, method, params, result)
}

// Size sets the size of the page in pixels.
func (t *Tab) Size(width, height int) {
	t.b.t.Helper()
	t.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Media sets a media feature, e.g. prefers-color-scheme to dark.
func (t *Tab) Media(name, value string) {
	t.b.t.Helper()
	t.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": name, "value": value}}}, nil)
}

// Load opens a URL and waits for the page's load event.
func (t *Tab) Load(url string) {
	t.b.t.Helper()
	select {
	case <-t.loaded:
	default:
	}
	t.Call("Page.navigate", map[string]any{"url": url}, nil)
	select {
	case <-t.loaded:
	case <-time.After(patience):
		t.b.t.Fatalf("browser: %s does not load", url)
	}
}

// Eval evaluates an expression, waits for it if it is a promise, and stores its value in result.
func (t *Tab) Eval(expression string, result any) {
	t.b.t.Helper()
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	t.Call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	if r.Exception != nil {
		t.b.t.Fatalf("browser: %s: %s %s", expression, r.Exception.Text, r.Exception.Exception.Description)
	}
	if result != nil {
		if err := json.Unmarshal(r.Result.Value, result); err != nil {
			t.b.t.Fatalf("browser: %s: %v in %s", expression, err, r.Result.Value)
		}
	}
}

// Until waits for an expression to be true.
func (t *Tab) Until(expression string) {
	t.b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var ok bool
		if t.Eval("!!("+expression+")", &ok); ok {
			return
		}
		if time.Now().After(end) {
			t.b.t.Fatalf("browser: %s stays false; %v", expression, t.Faults())
		}
	}
}

// Click clicks at a place of the window.
func (t *Tab) Click(x, y float64) {
	t.b.t.Helper()
	for _, what := range []string{"mousePressed", "mouseReleased"} {
		t.Call("Input.dispatchMouseEvent", map[string]any{"type": what, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
	}
}

// Wheel turns the wheel at a place of the window.
func (t *Tab) Wheel(x, y, delta float64) {
	t.b.t.Helper()
	t.Call("Input.dispatchMouseEvent", map[string]any{"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": delta}, nil)
}

// Key presses a key that writes a character, or a named one (ArrowLeft).
func (t *Tab) Key(key string) {
	t.b.t.Helper()
	down := map[string]any{"type": "keyDown", "key": key}
	if len(key) == 1 {
		down["text"] = key
	}
	t.Call("Input.dispatchKeyEvent", down, nil)
	t.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key}, nil)
}

// Screenshot returns the window as PNG.
func (t *Tab) Screenshot() []byte {
	t.b.t.Helper()
	return t.data("Page.captureScreenshot", map[string]any{"format": "png"})
}

// PDF returns the page as it is printed.
func (t *Tab) PDF() []byte {
	t.b.t.Helper()
	return t.data("Page.printToPDF", none{})
}

func (t *Tab) data(method string, params any) []byte {
	t.b.t.Helper()
	var r struct {
		Data string `json:"data"`
	}
	t.Call(method, params, &r)
	b, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		t.b.t.Fatalf("browser: %s: %v", method, err)
	}
	return b
}

// Faults returns what the page should not have done: exceptions, errors on the console or in the log, dialogs,
// and requests to anywhere but the file itself and data in it.
func (t *Tab) Faults() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := append([]string(nil), t.faults...)
	for _, u := range t.urls {
		scheme, _, _ := strings.Cut(u, ":")
		if scheme != "file" && scheme != "data" && scheme != "blob" && u != "about:blank" {
			out = append(out, fmt.Sprintf("request of %.80s", u))
		}
	}
	return out
}
