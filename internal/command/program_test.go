package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
)

// program is a small program with one command of each kind.
func program(extra ...*cli.Command) Program {
	return Program{
		Name:    "prog",
		Usage:   "do things",
		Default: "say",
		Commands: func(e *Env) []*cli.Command {
			return append([]*cli.Command{
				{
					Name:  "say",
					Flags: []cli.Flag{&cli.StringFlag{Name: "word", Aliases: []string{"e"}, Required: true}, Repository()},
					Action: func(c *cli.Context) error {
						_, err := fmt.Fprintf(e.Stdout, "%s %s %v %v\n", c.String("word"), e.Site.Repository, e.JSON, e.Quiet)
						return err
					},
				},
				{Name: "files", ArgsUsage: "FILE...", Action: func(c *cli.Context) error {
					_, err := fmt.Fprintln(e.Stdout, c.Args().Slice())
					return err
				}},
				{Name: "log", Action: func(*cli.Context) error {
					var file bytes.Buffer
					remove := e.AddLogFile(&file)
					e.Log.Debug("fine")
					e.Log.WithField("run", 7).WithField("name", "a b").Info("found\nit")
					e.Log.Warn("careful")
					remove()
					e.Log.Warn("late")
					_, err := e.Stdout.Write(file.Bytes())
					return err
				}},
				{Name: "fail", Action: func(*cli.Context) error {
					return fmt.Errorf("could not read it: %w", fault.New(fault.Input, "bad magic").WithHint("use another file"))
				}},
				{Name: "panic", Action: func(*cli.Context) error { panic("at the disco") }},
				{Name: "number", Flags: []cli.Flag{
					AtLeast(&cli.IntFlag{Name: "events", Aliases: []string{"n"}, Usage: "`N` events"}, 0),
					Between(&cli.Float64Flag{Name: "share", Usage: "`FRACTION`"}, 0, 1),
					AtLeast(&cli.DurationFlag{Name: "every", Usage: "`TIME`"}, 1),
					AtLeast(&cli.IntSliceFlag{Name: "run", Aliases: []string{"r"}, Usage: "`RUN`"}, 0),
					Choice(&cli.StringFlag{Name: "read", Usage: "`WAY`"}, "auto", "mapped"),
					&cli.StringFlag{Name: "det", Usage: "`DETECTOR`"},
					Check(&cli.StringFlag{Name: "window", Usage: "`ROWS,COLUMNS`"}, func(s string) error {
						if s != "3,3" {
							return fmt.Errorf("wanted 3,3")
						}
						return nil
					}),
					CheckEach(&cli.StringSliceFlag{Name: "bits", Usage: "`BIT`"}, func(s string) error {
						if s != "hot" {
							return fmt.Errorf("no such bit")
						}
						return nil
					}),
				}, Action: func(c *cli.Context) error {
					_, err := fmt.Fprintln(e.Stdout, c.Int("events"), c.IntSlice("run"))
					return err
				}},
				{Name: "wait", Action: func(c *cli.Context) error {
					fmt.Fprintln(e.Stdout, "waiting")
					select {
					case <-c.Context.Done():
						return fmt.Errorf("could not finish: %w", c.Context.Err())
					case <-time.After(20 * time.Second):
						return fmt.Errorf("no signal came")
					}
				}},
			}, extra...)
		},
	}
}

// call runs the program without a process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("RAWSTATUS_REPOSITORY", "/env")
	var out, err bytes.Buffer
	code = program().Run(context.Background(), &out, &err, append([]string{"prog"}, args...))
	return code, out.String(), err.String()
}

func TestRunMapsCallsToExitCodesAndOutput(t *testing.T) {
	tests := []struct {
		args           string
		code           fault.Code
		stdout, stderr string // parts that must be there; "-" wants nothing at all
	}{
		{"", fault.OK, "Exit codes:", "-"},
		{"--help", fault.OK, "  75  temporary failure", "-"},
		{"--version", fault.OK, "prog version ", "-"},
		{"say --help", fault.OK, "--word", "-"},
		{"say --word hi", fault.OK, "hi /env false false", "-"},
		{"say --word hi -o /flag --json --quiet", fault.OK, "hi /flag true true", "-"},
		{"--json --quiet say --word hi", fault.OK, "hi /env true true", "-"},
		{"-e hi", fault.OK, "hi /env false false", "-"},
		{"--json -e hi", fault.OK, "hi /env true false", "-"},
		{"--log-level debug -e hi", fault.OK, "hi", "-"},
		{"files a b", fault.OK, "[a b]", "-"},
		{"frob", fault.Usage, "-", `prog: unknown command "frob"`},
		{"say", fault.Usage, "-", "prog: say needs --word\nhint: prog say --help"},
		{"say --wrod x", fault.Usage, "-", "prog: unknown flag --wrod\nhint: did you mean --word? prog say --help-all"},
		{"say --word hi there", fault.Usage, "-", `prog: say does not know what to do with "there"`},
		{"say there --word hi", fault.Usage, "-", `prog: say does not know what to do with "there"`},
		{"-e hi log", fault.Usage, "-", "hint: put the command first: prog log"},
		{"files a --json b", fault.OK, "[a b]", "-"},
		{"files -- --json b", fault.OK, "[--json b]", "-"},
		{"help", fault.OK, "Commands:", "-"},
		{"help say", fault.OK, "Usage: prog say [flags]", "-"},
		{"help sy", fault.Usage, "-", `did you mean "say"?`},
		{"help say --site /does/not/exist", fault.OK, "--word", "-"},
		{"say --help --site /does/not/exist", fault.OK, "--word", "-"},
		{"version", fault.OK, "prog version ", "-"},
		{"version --json", fault.OK, `"program": "prog"`, "-"},
		{"version 2", fault.Usage, "-", "does not know what to do with \"2\""},
		{"number -n5 -r7 -r 8", fault.OK, "5 [7 8]", "-"},
		{"number -n 010", fault.OK, "10 []", "-"},
		{"number -n -5", fault.Usage, "-", "prog: --events -5: wanted at least 0\nhint: "},
		{"number -n 1.5", fault.Usage, "-", `prog: -n "1.5": not a value of its kind`},
		{"number -n 5 --events 6", fault.Usage, "-", `--events is given twice: "5" and "6"`},
		{"number -n 5 --events 5", fault.Usage, "-", "two forms"},
		{"number -n", fault.Usage, "-", "-n needs a value"},
		{"number --events=", fault.Usage, "-", "--events is empty"},
		{"number --share NaN", fault.Usage, "-", "--share NaN: wanted a value from 0 to 1"},
		{"number --share 1.01", fault.Usage, "-", "--share 1.01: wanted a value from 0 to 1"},
		{"number --every 10ms", fault.Usage, "-", "--every 10ms: wanted at least 1"},
		{"number --run -1", fault.Usage, "-", "--run -1: wanted at least 0"},
		{"number --read fast", fault.Usage, "-", `--read "fast": wanted one of auto, mapped`},
		{"number --window 3", fault.Usage, "-", `--window "3": wanted 3,3`},
		{"number --window 3", fault.Usage, "-", "prog number --help-all lists"},
		{"number --det ép", fault.Usage, "-", `--det "ép" is not a name`},
		{"number --det a/b", fault.Usage, "-", `--det "a/b" is not a name`},
		{"number --bits hot,cold", fault.Usage, "-", `--bits "cold": no such bit`},
		{"fail", fault.Input, "-", "prog: could not read it: bad magic\nhint: use another file\n"},
		{"fail --json", fault.Input, `"exit_code": 10`, "bad magic"},
		{"panic", fault.Unexpected, "-", "prog: unexpected: at the disco"},
		{"log --log-level loud", fault.Usage, "-", "loud"},
		{"log --site /does/not/exist", fault.Usage, "-", "/does/not/exist"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := call(t, strings.Fields(tt.args)...)
			if code != int(tt.code) {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, stream := range []struct{ name, got, want string }{{"stdout", stdout, tt.stdout}, {"stderr", stderr, tt.stderr}} {
				if stream.want == "-" && stream.got != "" || stream.want != "-" && !strings.Contains(stream.got, stream.want) {
					t.Errorf("%s is %q, want %q", stream.name, stream.got, stream.want)
				}
			}
		})
	}
}

// TestPanicHasStack wants the place of a defect in the report.
func TestPanicHasStack(t *testing.T) {
	if _, _, stderr := call(t, "panic"); !strings.Contains(stderr, "program_test.go:") || strings.Count(stderr, "prog: unexpected") != 1 {
		t.Errorf("stderr: %s", stderr)
	}
}

// TestJSONError wants exactly one JSON value on stdout, also where the command line itself is wrong.
func TestJSONError(t *testing.T) {
	for _, args := range [][]string{{"fail", "--json"}, {"--json", "frob"}, {"say", "--json"}, {"panic", "--json"}} {
		_, stdout, _ := call(t, args...)
		var got failure
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || got.Error == "" || got.Code == 0 {
			t.Errorf("%v: %v in %q", args, err, stdout)
		}
	}
}

func TestLogHasTheFormatThatFlagsChoose(t *testing.T) {
	const info = ` info  found\nit name="a b" run=7` + "\n"
	tests := []struct {
		args   []string
		screen []string
		not    string
	}{
		{nil, []string{info, "warn  careful\n", "warn  late\n"}, "fine"},
		{[]string{"--quiet"}, []string{"warn  careful\n"}, "found"},
		{[]string{"--log-level", "error"}, nil, "careful"},
		{[]string{"--log-level", "debug"}, []string{"debug fine\n"}, "\n\n"},
	}
	for _, tt := range tests {
		_, file, screen := call(t, append([]string{"log"}, tt.args...)...)
		for _, want := range tt.screen {
			if !strings.Contains(screen, want) {
				t.Errorf("%v: screen lacks %q: %q", tt.args, want, screen)
			}
		}
		if strings.Contains(screen, tt.not) {
			t.Errorf("%v: screen has %q: %q", tt.args, tt.not, screen)
		}
		if lines := strings.Split(file, "\n"); len(lines) != 4 || strings.Count(file, "times are those of") != 1 || !strings.HasSuffix(file, "warn  careful\n") || !strings.Contains(file, info) {
			t.Errorf("%v: file %q", tt.args, file)
		}
	}
}

// TestSignalsEndTheCommandWithItsCode sends real signals to the running command.
func TestSignalsEndTheCommandWithItsCode(t *testing.T) {
	for _, tt := range []struct {
		signal syscall.Signal
		code   fault.Code
		text   string
	}{{syscall.SIGINT, fault.Interrupted, "interrupted"}, {syscall.SIGTERM, fault.Temporary, "terminated"}} {
		t.Run(tt.text, func(t *testing.T) {
			var stderr bytes.Buffer
			started := make(chan struct{})
			go func() {
				<-started
				if err := syscall.Kill(syscall.Getpid(), tt.signal); err != nil {
					t.Error(err)
				}
			}()
			code := program().Run(context.Background(), notify{started}, &stderr, []string{"prog", "wait"})
			if code != int(tt.code) || !strings.Contains(stderr.String(), "prog: "+tt.text) {
				t.Errorf("exit code %d, stderr %q", code, &stderr)
			}
		})
	}
}

// notify closes its channel at the first write.
type notify struct{ c chan struct{} }

func (n notify) Write(p []byte) (int, error) {
	close(n.c)
	return len(p), nil
}

// TestCommandFlagsWinOverGlobalOnes wants a command's own flag to win over a global one of that name.
func TestCommandFlagsWinOverGlobalOnes(t *testing.T) {
	p := program(&cli.Command{Name: "own", Flags: []cli.Flag{&cli.IntFlag{Name: "json"}},
		Action: func(c *cli.Context) error { return fault.New(fault.Refused, "json is %d", c.Int("json")) }})
	var stderr bytes.Buffer
	if code := p.Run(context.Background(), &bytes.Buffer{}, &stderr, []string{"prog", "own", "--json", "3"}); code != int(fault.Refused) || !strings.Contains(stderr.String(), "json is 3") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

// TestWordsOfAFileAreCheckedAsTyped wants the words of a file to be checked as those of a command line, and nothing else of the command to be done.
func TestWordsOfAFileAreCheckedAsTyped(t *testing.T) {
	p, e := program(), &Env{}
	var events int
	read := func(words ...string) error {
		return p.Read(e, "number", words, func(c *cli.Context, _ *Env) error {
			events = c.Int("events")
			return nil
		})
	}
	if err := read("-n5", "--share", "0.5"); err != nil || events != 5 {
		t.Errorf("%d, %v", events, err)
	}
	for want, words := range map[string][]string{"wanted at least 0": {"--events", "-1"}, "unknown flag --event": {"--event", "1"}, `"x"`: {"x"}, "--share 2": {"--share", "2"}} {
		if err := read(words...); fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", words, err)
		}
	}
	if err := p.Read(e, "nothing", nil, nil); fault.CodeOf(err) != fault.Unexpected {
		t.Error(err)
	}
}
