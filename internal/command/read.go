package command

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
)

// Silent returns an environment whose results nobody sees: that of a work which is a part of another one. What it logs
// is shown.
func (e *Env) Silent() *Env {
	return &Env{Stdout: io.Discard, Stderr: e.Stderr, Log: e.Log, Site: e.Site, JSON: true, Quiet: e.Quiet, sinks: e.sinks}
}

// Read reads words, such as a file's, as flags of a command and passes them to use, with an environment in which the settings
// among them are in force. Nothing else of the command is done.
func (p Program) Read(e *Env, command string, words []string, use func(c *cli.Context, e *Env) error) error {
	commands := p.commands(e)
	for _, c := range commands {
		if c.Name != command {
			continue
		}
		c.HideHelp = true
		c.OnUsageError = usageError(p.Name+" "+command, c.Flags)
		c.Action = func(ctx *cli.Context) error {
			if ctx.Args().Present() {
				return fault.New(fault.Usage, "%q is not an option of %s", ctx.Args().First(), command).WithHint("%s %s --help lists the flags", p.Name, command)
			}
			inner := &Env{Stdout: e.Stdout, Stderr: e.Stderr, Log: e.Log, JSON: e.JSON, Quiet: e.Quiet, sinks: e.sinks}
			if e.Site != nil {
				inner.Site = e.Site.Clone()
			}
			if err := inner.set(ctx); err != nil {
				return err
			}
			return use(ctx, inner)
		}
		args, err := p.arrange(commands, append([]string{p.Name, command}, words...))
		if err != nil {
			return err
		}
		app := &cli.App{Name: p.Name, Writer: io.Discard, ErrWriter: io.Discard, Commands: []*cli.Command{c}, HideHelp: true, HideHelpCommand: true, HideVersion: true,
			ExitErrHandler: func(*cli.Context, error) {}}
		return app.RunContext(context.Background(), args)
	}
	return fault.New(fault.Unexpected, "there is no command %q", command)
}
