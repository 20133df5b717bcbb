package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	WithoutSite []string                    // commands that need no configuration and heed none
	Explains    string                      // the command that shows the configuration, also a wrong one
	Daily       []string                    // flags that the first page of a command with many shows
	Default     string                      // command that runs when flags come without one; may be empty
}

// Run runs the command that args (with the program's name in front) ask for and returns the exit code.
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
	commands := p.commands(e)
	args, err := p.arrange(commands, args)
	if err == nil {
		err = p.app(e, commands).RunContext(ctx, args)
	}
	if err == nil {
		return int(fault.OK)
	}
	err = classify(ctx, err)
	p.report(e, err)
	return int(fault.CodeOf(err))
}

// untilSignal returns a context that SIGINT and SIGTERM cancel, each with its class as the cause. After
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
			cancel(fault.New(fault.Interrupted, "interrupted (SIGINT)").
				WithHint("what is complete is kept and nothing half-written is left: the same command goes on"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// classify replaces an error that only says 'cancelled' by one of the class of the signal behind it.
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
	fmt.Fprintf(e.Stderr, "%s: %s\n", p.Name, fault.Message(err))
	hint := fault.HintOf(err)
	if hint != "" {
		fmt.Fprintf(e.Stderr, "hint: %s\n", hint)
	}
	// A difference is what the command was asked for: it has printed its own result.
	if e.JSON && fault.CodeOf(err) != fault.Different {
		// Nothing is left to do when stdout cannot be written either: the exit code says it.
		_ = e.PrintJSON(failure{fault.Message(err), hint, int(fault.CodeOf(err))})
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
func (p Program) app(e *Env, commands []*cli.Command) *cli.App {
	for _, c := range commands {
		p.prepare(e, c)
	}
	return &cli.App{
		Name:            p.Name,
		HelpName:        p.Name,
		Writer:          e.Stdout,
		ErrWriter:       e.Stderr,
		Commands:        commands,
		Flags:           append(globalFlags(), versionFlag()),
		HideHelp:        true,
		HideHelpCommand: true,
		HideVersion:     true,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    usageError(p.Name, globalFlags()),
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return p.unknown(commands, name)
			}
			if c.Bool("version") {
				return p.version(e)
			}
			return p.overview(e.Stdout, commands)
		},
	}
}

// unknown returns the error about a command that the program does not have.
func (p Program) unknown(commands []*cli.Command, name string) error {
	err := fault.New(fault.Usage, "unknown command %q", name)
	if near := fault.Nearest(name, commandNames(commands)); near != "" {
		return err.WithHint("did you mean %q? %s --help lists the commands", near, p.Name)
	}
	return err.WithHint("%s --help lists the commands", p.Name)
}

func commandNames(commands []*cli.Command) (names []string) {
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// builtIn returns the commands that every program has.
func (p Program) builtIn(e *Env) []*cli.Command {
	return []*cli.Command{
		{Name: "help", Usage: "show the page of a command", ArgsUsage: "[COMMAND]", Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "with all its flags, not only those of daily use"},
		}, Action: func(c *cli.Context) error {
			commands := p.commands(e)
			if !c.Args().Present() {
				return p.overview(e.Stdout, commands)
			}
			for _, about := range commands {
				if about.HasName(c.Args().First()) {
					about.Flags = append(about.Flags, missingFrom(about.Flags, globalFlags())...)
					return p.page(e.Stdout, about, c.Bool("all"))
				}
			}
			return p.unknown(commands, c.Args().First())
		}},
		{Name: "version", Usage: "print the version", Action: func(*cli.Context) error { return p.version(e) }},
		{Name: "completion", Usage: "print the script that completes calls in a shell: bash, zsh or fish", ArgsUsage: "SHELL", Action: func(c *cli.Context) error {
			if shell := c.Args().First(); c.NArg() == 1 && shells[shell] != nil {
				return p.completion(e.Stdout, shell, p.commands(e))
			}
			return fault.New(fault.Usage, "completion is for one of bash, zsh, fish").WithHint("for example: source <(%s completion bash)", p.Name)
		}},
		{Name: "man", Usage: "write the man pages into a directory", ArgsUsage: "DIR", Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return fault.New(fault.Usage, "man takes one directory")
			}
			return p.manPages(c.Args().First(), p.commands(e))
		}},
	}
}

// commands are those of the program and those that every program has.
func (p Program) commands(e *Env) []*cli.Command { return append(p.Commands(e), p.builtIn(e)...) }

// build is the result of version.
type build struct {
	Program string `json:"program"`
	Version string `json:"version"`
}

func (p Program) version(e *Env) error {
	if e.JSON {
		return e.PrintJSON(build{p.Name, version.String()})
	}
	_, err := fmt.Fprintf(e.Stdout, "%s version %s\n", p.Name, version.String())
	return err
}

// globalFlags are understood before the command's name and after it.
func globalFlags() []cli.Flag {
	return In(Machine, []cli.Flag{
		&cli.StringFlag{Name: "site", Usage: "site `FILE` (TOML); default $RAWSTATUS_SITE, else " + config.DefaultPath},
		Choice(&cli.StringFlag{Name: "log-level", Usage: "least `LEVEL` shown", DefaultText: "info"}, "error", "warn", "info", "debug"),
		&cli.BoolFlag{Name: "quiet", Usage: "show warnings and errors only, no progress"},
		&cli.BoolFlag{Name: "json", Usage: "results (and errors) as JSON on stdout"},
		&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show the flags of daily use"},
		&cli.BoolFlag{Name: "help-all", Usage: "show all flags"},
	})
}

// versionFlag stands without a command only.
func versionFlag() cli.Flag {
	return &cli.BoolFlag{Name: "version", Aliases: []string{"v"}, Usage: "print the version, without a command"}
}

// prepare adds to a command what all commands share.
func (p Program) prepare(e *Env, c *cli.Command) {
	full := p.Name + " " + c.Name
	c.HideHelp = true
	c.Flags = append(c.Flags, missingFrom(c.Flags, globalFlags())...)
	c.OnUsageError = usageError(full, c.Flags)
	required := required(c.Flags)
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		if err := p.setUp(e, ctx); err != nil {
			return err
		}
		for _, name := range required {
			if !ctx.IsSet(name) {
				return fault.New(fault.Usage, "%s needs --%s", c.Name, name).WithHint("%s --help lists the flags", full)
			}
		}
		if ctx.Args().Present() && c.ArgsUsage == "" {
			err := fault.New(fault.Usage, "%s does not know what to do with %q", c.Name, ctx.Args().First())
			if slices.Contains(commandNames(p.Commands(e)), ctx.Args().First()) {
				return err.WithHint("put the command first: %s %s", p.Name, ctx.Args().First())
			}
			return err.WithHint("values follow flags; %s --help lists them", full)
		}
		return action(ctx)
	}
}

// required takes the check of required flags over from the parser, which prints its whole help text on
// stdout when one is missing: it returns their names and unmarks them.
func required(flags []cli.Flag) (names []string) {
	for _, f := range flags {
		if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() {
			names = append(names, f.Names()[0])
			*commonOf(f).required = false
		}
	}
	return names
}

// missingFrom returns those of flags that own does not define, by any name.
func missingFrom(own, flags []cli.Flag) (missing []cli.Flag) {
	for _, f := range flags {
		if find(own, f.Names()[0]) == nil {
			missing = append(missing, f)
		}
	}
	return missing
}

// find returns the flag of a name, nil if there is none.
func find(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// usageError turns a complaint of the parser into a usage error in words of ours.
func usageError(program string, flags []cli.Flag) cli.OnUsageErrorFunc {
	return func(_ *cli.Context, err error, _ bool) error {
		hint := program + " --help-all lists the flags"
		text := err.Error()
		if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
			var names []string
			for _, f := range flags {
				names = append(names, f.Names()...)
			}
			if near := fault.Nearest(name, names); near != "" {
				hint = "did you mean " + dashed(near) + "? " + hint
			}
			return fault.New(fault.Usage, "unknown flag %s", dashed(name)).WithHint("%s", hint)
		}
		if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
			return fault.New(fault.Usage, "%s needs a value", dashed(name)).WithHint("%s", hint)
		}
		// invalid value "x" for flag -events: parse error
		if value, rest, ok := strings.Cut(strings.TrimPrefix(text, "invalid value "), " for flag -"); ok {
			name, why, _ := strings.Cut(rest, ": ")
			if strings.Contains(why, "parse error") || strings.Contains(why, "invalid syntax") {
				why = "not a value of its kind"
			}
			return fault.New(fault.Usage, "%s %s: %s", dashed(name), value, why).WithHint("%s", hint)
		}
		return fault.New(fault.Usage, "%w", err).WithHint("%s", hint)
	}
}

// dashed returns the name of a flag as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// withoutSite are the commands of all programs that work whatever is wrong with the configuration.
var withoutSite = []string{"help", "version", "completion", "man"}

// setUp fills the environment from the global flags, wherever they stand.
func (p Program) setUp(e *Env, c *cli.Context) error {
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
	e.sinks.add(aboveBar{e}, level)
	if slices.Contains(withoutSite, c.Command.Name) || slices.Contains(p.WithoutSite, c.Command.Name) {
		return nil
	}
	site, err := config.Load(anyString(c, "site"), os.Environ())
	if err != nil {
		return err
	}
	e.Site = site
	e.sinks.zone = site.Location()
	if err := e.set(c); err != nil {
		return err
	}
	if c.Command.Name == p.Explains { // shows what is wrong with the rest
		return nil
	}
	return site.CheckNames()
}

// set puts the settings in force that flags override.
func (e *Env) set(c *cli.Context) error {
	for _, f := range c.Command.Flags {
		if s, ok := f.(*settingFlag); ok && c.IsSet(s.Name) {
			if err := e.Site.Set(s.key, c.String(s.Name), "flag --"+s.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// anyBool reports whether a flag is set here or before the command's name.
func anyBool(c *cli.Context, name string) bool {
	for _, level := range c.Lineage() {
		if level.IsSet(name) && level.Bool(name) {
			return true
		}
	}
	return false
}

// anyString returns a flag's value from the innermost place where it is set.
func anyString(c *cli.Context, name string) string {
	for _, level := range c.Lineage() {
		if level.IsSet(name) {
			return level.String(name)
		}
	}
	return ""
}
