package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/config"
	"rawstatus/internal/fault"
	"rawstatus/internal/version"
)

// manPages writes a page of section 1 for the program and one for each of its commands into a directory.
func (p Program) manPages(dir string, commands []*cli.Command) error {
	commands = shown(commands)
	pages := map[string]string{p.Name: p.manProgram(commands)}
	for _, c := range commands {
		pages[p.Name+"-"+c.Name] = p.manCommand(c)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// roff makes a text of the page: no character of it has a meaning of its own, and no line begins a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func (p Program) manHead(name, usage, synopsis, description string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s %s\" \"%s\"\n", roff(strings.ToUpper(name)), p.Name, roff(version.String()), p.Name)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n", roff(name), roff(usage), roff(synopsis))
	if description != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n.nf\n%s\n.fi\n", roff(description))
	}
	return b.String()
}

func (p Program) manProgram(commands []*cli.Command) string {
	var b strings.Builder
	b.WriteString(p.manHead(p.Name, p.Usage, p.Name+" COMMAND [flags] [arguments]", p.Description))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range commands {
		fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(p.Name+"-"+c.Name), roff(c.Usage))
	}
	b.WriteString(".SH FLAGS OF ALL COMMANDS\n")
	for _, f := range append(globalFlags(), versionFlag()) {
		manFlag(&b, describe(f))
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, m := range fault.Codes() {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", m.Code, roff(m.Text))
	}
	fmt.Fprintf(&b, ".SH FILES\n.TP\n.I %s\nthe site file, unless %s or RAWSTATUS_SITE names another one\n", roff(config.DefaultPath), roff("--site"))
	b.WriteString(".SH ENVIRONMENT\n.TP\n.B RAWSTATUS_KEY\nsets a setting of the site file, with an underscore in place of a dot\n")
	return b.String()
}

func (p Program) manCommand(c *cli.Command) string {
	var b strings.Builder
	b.WriteString(p.manHead(p.Name+"-"+c.Name, c.Usage, p.synopsis(c), c.Description))
	for _, category := range categories {
		title := fmt.Sprintf(".SH %s\n", strings.ToUpper(category))
		for _, d := range visible(c.Flags) {
			if d.category == category {
				b.WriteString(title)
				title = ""
				manFlag(&b, d)
			}
		}
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(p.Name))
	return b.String()
}

func manFlag(b *strings.Builder, d described) {
	names := make([]string, len(d.names))
	for i, name := range d.spelled() {
		names[i] = `\fB` + roff(name) + `\fR`
	}
	fmt.Fprintf(b, ".TP\n%s", strings.Join(names, ", "))
	if d.placeholder != "" {
		fmt.Fprintf(b, ` \fI%s\fR`, roff(d.placeholder))
	}
	fmt.Fprintf(b, "\n%s\n", roff(d.text()))
}
