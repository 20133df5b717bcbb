package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v2"

	"rawstatus/internal/config"
	"rawstatus/internal/fault"
	"rawstatus/internal/version"
)

// Program is one of the executables.
type Program struct {
	Name        string
	Usage       string
	Description string
	Commands    func(e *Env) []*cli.Command // every command of the program, in the order of the help text
	Default     string                      // command that runs when flags come without one; may be empty
}

// Run runs the command that args (with the program's name in front) ask for and gives the exit code.
func (p Program) Run(ctx context.Context, stdout, stderr io.Writer, args []string) (code int) {
	e := &Env{Stdout: stdout, Stderr: stderr, sinks: &sinks{}}
	e.Log = newLogger(e.sinks)
	e.JSON = wantsJSON(args) // an error in the command line itself is JSON, too
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "%s", debug.Stack())
			p.report(e, fault.New(fault.Unexpected, "unexpected: %v", r).
				WithHint("this is a defect of %s: please report it with the lines above", p.Name))
			code = int(fault.Unexpected)
		}
	}()
	ctx, stop := untilSignal(ctx)
	defer stop()
	err := p.app(e).RunContext(ctx, p.withDefault(args))
	if err == nil {
		return int(fault.OK)
	}
	err = classify(ctx, err)
	p.report(e, err)
	return int(fault.CodeOf(err))
}

// untilSignal gives a context that SIGINT and SIGTERM cancel, each with its class as the cause. After
// the first signal the default action is back in force, so that a second one ends the process.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			if s == syscall.SIGTERM {
				cancel(fault.New(fault.Temporary, "terminated (SIGTERM)").
					WithHint("run the same command again: what is complete is kept"))
				return
			}
			cancel(fault.New(fault.Interrupted, "interrupted (SIGINT)"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// classify gives an error that only says 'cancelled' the class of the signal behind it.
func classify(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	var signalled *fault.Error
	if errors.Is(err, context.Canceled) && errors.As(cause, &signalled) {
		return signalled
	}
	return err
}

// failure is an error in --json mode.
type failure struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	Code  int    `json:"exit_code"`
}

// report prints an error: on stderr for people, in --json mode on stdout for programs as well.
func (p Program) report(e *Env, err error) {
	fmt.Fprintf(e.Stderr, "%s: %s\n", p.Name, err)
	hint := fault.HintOf(err)
	if hint != "" {
		fmt.Fprintf(e.Stderr, "hint: %s\n", hint)
	}
	// A difference is what the command was asked for: it has printed its own result.
	if e.JSON && fault.CodeOf(err) != fault.Different {
		// Nothing is left to do when stdout cannot be written either: the exit code tells.
		_ = e.PrintJSON(failure{err.Error(), hint, int(fault.CodeOf(err))})
	}
}

// wantsJSON looks for --json before the flags are parsed.
func wantsJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--":
			return false
		case "--json", "-json", "--json=true", "-json=true":
			return true
		}
	}
	return false
}

// app builds the command line parser around the program's commands.
func (p Program) app(e *Env) *cli.App {
	commands := p.Commands(e)
	for _, c := range commands {
		prepare(e, c)
	}
	return &cli.App{
		Name:            p.Name,
		HelpName:        p.Name,
		Usage:           p.Usage,
		Description:     strings.TrimLeft(p.Description+"\n\n"+exitCodes(), "\n"),
		Version:         version.String(),
		Writer:          e.Stdout,
		ErrWriter:       e.Stderr,
		Commands:        commands,
		Flags:           globalFlags(),
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    usageError,
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return fault.New(fault.Usage, "unknown command %q", name).
					WithHint("%s --help lists the commands", p.Name)
			}
			return cli.ShowAppHelp(c)
		},
	}
}

// withDefault puts the name of the default command in front of the first flag that is not global, when
// no command was named before it.
func (p Program) withDefault(args []string) []string {
	if p.Default == "" {
		return args
	}
	for i := 1; i < len(args); i++ {
		word := strings.TrimLeft(args[i], "-")
		if word == args[i] {
			return args
		}
		switch name, _, withValue := strings.Cut(word, "="); name {
		case "json", "quiet":
		case "site", "log-level":
			if !withValue {
				i++
			}
		case "help", "h", "version", "v":
			return args
		default:
			return slices.Insert(slices.Clone(args), i, p.Default)
		}
	}
	return args
}

// globalFlags are understood before the command's name and after it.
func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "site", Usage: "site file (TOML); default $RAWSTATUS_SITE, else " + config.DefaultPath},
		&cli.StringFlag{Name: "log-level", Usage: "least `LEVEL` shown: error, warn, info, debug", DefaultText: "info"},
		&cli.BoolFlag{Name: "quiet", Usage: "show warnings and errors only, no progress"},
		&cli.BoolFlag{Name: "json", Usage: "results (and errors) as JSON on stdout"},
	}
}

// prepare gives a command and its subcommands what all commands share.
func prepare(e *Env, c *cli.Command) {
	for _, sub := range c.Subcommands {
		prepare(e, sub)
	}
	c.OnUsageError = usageError
	c.HideHelpCommand = true
	c.Flags = append(c.Flags, missingFrom(c.Flags, globalFlags())...)
	required := required(c.Flags)
	action := c.Action
	takesArguments := c.Args || c.ArgsUsage != ""
	if action == nil { // a group of subcommands
		action, takesArguments = noSubcommand, true
	}
	c.Action = func(c *cli.Context) error {
		if err := e.setUp(c); err != nil {
			return err
		}
		for _, name := range required {
			if !c.IsSet(name) {
				return fault.New(fault.Usage, "%s needs --%s", c.Command.HelpName, name).
					WithHint("%s --help lists the flags", c.Command.HelpName)
			}
		}
		if c.Args().Present() && !takesArguments {
			return fault.New(fault.Usage, "%s does not know what to do with %q", c.Command.HelpName, c.Args().First()).
				WithHint("give values by flags, every flag before the first bare word; %s --help lists them", c.Command.HelpName)
		}
		return action(c)
	}
}

// noSubcommand is the action of a command that is only a group of others.
func noSubcommand(c *cli.Context) error {
	hint := c.Command.HelpName + " --help lists the subcommands"
	if name := c.Args().First(); name != "" {
		return fault.New(fault.Usage, "%s has no subcommand %q", c.Command.HelpName, name).WithHint("%s", hint)
	}
	return fault.New(fault.Usage, "%s needs a subcommand", c.Command.HelpName).WithHint("%s", hint)
}

// required takes the check of required flags over from the parser, which prints its whole help text on
// stdout when one is missing: it gives their names and unmarks them.
func required(flags []cli.Flag) (names []string) {
	for _, f := range flags {
		if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() {
			names = append(names, f.Names()[0])
			reflect.ValueOf(f).Elem().FieldByName("Required").SetBool(false)
		}
	}
	return names
}

// missingFrom gives those of flags that own does not define, by any name.
func missingFrom(own, flags []cli.Flag) (missing []cli.Flag) {
	taken := map[string]bool{}
	for _, f := range own {
		for _, name := range f.Names() {
			taken[name] = true
		}
	}
	for _, f := range flags {
		if !taken[f.Names()[0]] {
			missing = append(missing, f)
		}
	}
	return missing
}

// usageError gives what the flag parser rejects its class.
func usageError(c *cli.Context, err error, _ bool) error {
	return fault.New(fault.Usage, "%w", err).WithHint("%s --help lists the flags", c.Command.HelpName)
}

// setUp fills the environment from the global flags, wherever they stand.
func (e *Env) setUp(c *cli.Context) error {
	e.JSON = anyBool(c, "json")
	e.Quiet = anyBool(c, "quiet")
	level := logrus.InfoLevel
	if e.Quiet {
		level = logrus.WarnLevel
	}
	if name := anyString(c, "log-level"); name != "" {
		var err error
		if level, err = logrus.ParseLevel(name); err != nil {
			return fault.New(fault.Usage, "--log-level: %w", err).WithHint("levels: error, warn, info, debug")
		}
	}
	e.sinks.add(e.Stderr, level)
	site, err := config.Load(anyString(c, "site"), os.Getenv)
	if err != nil {
		return err
	}
	e.Site = site
	for _, f := range c.Command.Flags {
		if s, ok := f.(*settingFlag); ok && c.IsSet(s.Name) {
			if err := site.Set(s.key, c.String(s.Name), "flag --"+s.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// anyBool tells whether a flag is set here or before the command's name.
func anyBool(c *cli.Context, name string) bool {
	for _, level := range c.Lineage() {
		if level.IsSet(name) && level.Bool(name) {
			return true
		}
	}
	return false
}

// anyString gives a flag's value from the innermost place where it is set.
func anyString(c *cli.Context, name string) string {
	for _, level := range c.Lineage() {
		if level.IsSet(name) {
			return level.String(name)
		}
	}
	return ""
}

// exitCodes is the exit-code table for the help text.
func exitCodes() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, m := range fault.Codes() {
		fmt.Fprintf(&b, "%5d  %s\n", m.Code, m.Text)
	}
	return b.String()
}
