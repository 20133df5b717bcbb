package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
)

const (
	pageWidth = 110 // of help pages, in columns
	flagWidth = 30  // of the column with the names of flags
	fewFlags  = 16  // a command with no more than so many shows all of them on its first page
)

// overview writes the page of the program: its commands and exit codes.
func (p Program) overview(w io.Writer, commands []*cli.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\nUsage: %s COMMAND [flags] [arguments]\n", p.Name, p.Usage, p.Name)
	if p.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", p.Description)
	}
	b.WriteString("\nCommands:\n")
	for _, c := range commands {
		if !c.Hidden {
			entry(&b, "  "+c.Name, 14, c.Usage)
		}
	}
	b.WriteString("\nFlags of all commands:\n")
	for _, f := range append(globalFlags(), versionFlag()) {
		writeFlag(&b, describe(f))
	}
	fmt.Fprintf(&b, "\n%s\n%s COMMAND --help shows the flags of daily use of a command, --help-all all of them.\n", exitCodes(), p.Name)
	_, err := io.WriteString(w, b.String())
	return err
}

// page writes the page of a command: the flags of daily use, or all.
func (p Program) page(w io.Writer, c *cli.Command, all bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s - %s\n\nUsage: %s\n", p.Name, c.Name, c.Usage, p.synopsis(c))
	if c.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", c.Description)
	}
	flags := visible(c.Flags)
	own := missingFrom(globalFlags(), c.Flags)
	all = all || len(own) <= fewFlags
	for _, category := range categories {
		title := "\n" + category + ":\n"
		for _, d := range flags {
			if d.category != category || !all && !slices.Contains(p.Daily, d.names[0]) {
				continue
			}
			b.WriteString(title)
			title = ""
			writeFlag(&b, d)
		}
	}
	if !all {
		fmt.Fprintf(&b, "\n%s %s --help-all shows all %d flags.\n", p.Name, c.Name, len(flags))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// synopsis returns the form of a command's calls.
func (p Program) synopsis(c *cli.Command) string {
	return strings.TrimSpace(p.Name + " " + c.Name + " [flags] " + c.ArgsUsage)
}

// visible describes the flags that are not hidden.
func visible(flags []cli.Flag) (list []described) {
	for _, f := range flags {
		if d := describe(f); !d.hidden {
			list = append(list, d)
		}
	}
	return list
}

// spelling returns a flag's names as they are typed, the short ones first, with the placeholder of the value.
func (d described) spelling() string {
	names := make([]string, len(d.names))
	for i, name := range d.names {
		names[i] = dashed(name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return min(len(a), 3) - min(len(b), 3) })
	text := strings.Join(names, ", ")
	if len(names[0]) > 2 {
		text = "    " + text
	}
	return strings.TrimRight(text+" "+d.placeholder, " ")
}

// text returns the description of a flag: its use, the words it takes and its default.
func (d described) text() string {
	text := d.usage
	if d.words != nil {
		text += ": " + strings.Join(d.words, ", ")
	}
	if d.byDefault != "" {
		text += " (default " + d.byDefault + ")"
	}
	return text
}

func writeFlag(b *strings.Builder, d described) { entry(b, "  "+d.spelling(), flagWidth, d.text()) }

// entry writes a name and, beside it, its wrapped text.
func entry(b *strings.Builder, name string, column int, text string) {
	if len(name) >= column {
		fmt.Fprintf(b, "%s\n", name)
		name = ""
	}
	for i, line := range wrap(text, pageWidth-column) {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(b, "%-*s%s\n", column, name, line)
	}
}

// wrap cuts a text into lines of at most width bytes, where its words allow.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return append(lines, line)
}

// exitCodes returns the exit-code table for the help text.
func exitCodes() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, m := range fault.Codes() {
		fmt.Fprintf(&b, "%5d  %s\n", m.Code, m.Text)
	}
	return b.String()
}
