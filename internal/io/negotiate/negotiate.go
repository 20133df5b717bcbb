package negotiate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// Transport sends requests through the system's curl, whose SPNEGO implementation is the one that the
// site has configured and tested. No ticket or password passes through this program. Headers of a request
// appear in the process list, so they must not hold secrets.
type Transport struct {
	Curl string // path of the program; empty: as found in PATH
}

// RoundTrip implements http.RoundTripper.
func (n Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	curl := n.Curl
	if curl == "" {
		curl = "curl"
	}
	answer, err := os.CreateTemp("", "rawstatus-answer-")
	if err != nil {
		return nil, err
	}
	// Without its name the file goes when it is closed, whatever happens.
	os.Remove(answer.Name())
	args := []string{"--disable", "--silent", "--show-error", "--negotiate", "--user", ":", "--request", req.Method,
		"--connect-timeout", "20", "--max-time", "1800", "--dump-header", "/dev/fd/3", "--header", "Expect:"}
	for key, values := range req.Header {
		for _, v := range values {
			args = append(args, "--header", key+": "+v)
		}
	}
	if req.Body != nil {
		args = append(args, "--data-binary", "@-")
		defer req.Body.Close()
	}
	cmd := exec.CommandContext(req.Context(), curl, append(args, "--", req.URL.String())...)
	header, headerIn, err := os.Pipe()
	if err != nil {
		answer.Close()
		return nil, err
	}
	defer header.Close()
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = req.Body, answer, &complaint, []*os.File{headerIn}
	if err := cmd.Start(); err != nil {
		headerIn.Close()
		answer.Close()
		return nil, fault.New(fault.Usage, "could not run curl: %w", err).WithHint("install curl with Kerberos support, or use another way to authenticate")
	}
	headerIn.Close()
	head, err := io.ReadAll(io.LimitReader(header, 1<<20))
	if errWait := cmd.Wait(); errWait != nil || err != nil {
		answer.Close()
		return nil, fmt.Errorf("curl: %v: %s", errWait, strings.TrimSpace(complaint.String()))
	}
	res, err := parseHead(req, head)
	if err == nil {
		_, err = answer.Seek(0, io.SeekStart)
	}
	if err != nil {
		answer.Close()
		return nil, err
	}
	res.Body = answer
	return res, nil
}

// parseHead reads the last of the headers that curl has seen: those before belong to the authentication.
func parseHead(req *http.Request, head []byte) (*http.Response, error) {
	blocks := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(head), "\r\n", "\n")), "\n\n")
	last := blocks[len(blocks)-1]
	status, rest, _ := strings.Cut(last, "\n")
	words := strings.Fields(status)
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/") {
		return nil, fmt.Errorf("curl: status line %q", status)
	}
	code, err := strconv.Atoi(words[1])
	if err != nil {
		return nil, fmt.Errorf("curl: status line %q", status)
	}
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(rest + "\n\n"))).ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("curl: headers: %w", err)
	}
	return &http.Response{StatusCode: code, Status: strings.Join(words[1:], " "), Proto: words[0], Header: http.Header(h), Request: req, ContentLength: -1}, nil
}
