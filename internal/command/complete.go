package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// shells are the shells that completion knows, each with the writer of its script.
var shells = map[string]func(b *strings.Builder, p Program, commands []*cli.Command){
	"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion,
}

// completion writes the script that completes the program's commands, flags and values in a shell.
func (p Program) completion(w io.Writer, shell string, commands []*cli.Command) error {
	var b strings.Builder
	shells[shell](&b, p, shown(commands))
	_, err := io.WriteString(w, b.String())
	return err
}

// shown returns the commands that are not hidden, each with the flags of all commands.
func shown(commands []*cli.Command) (list []*cli.Command) {
	for _, c := range commands {
		if !c.Hidden {
			c.Flags = append(c.Flags, missingFrom(c.Flags, globalFlags())...)
			list = append(list, c)
		}
	}
	return list
}

// takesPath says which kind of path a flag takes: "DIR", "FILE" or none.
func (d described) takesPath() string {
	if d.placeholder == "DIR" || d.placeholder == "FILE" {
		return d.placeholder
	}
	return ""
}

// spelled lists a flag's names as they are typed.
func (d described) spelled() (names []string) {
	for _, name := range d.names {
		names = append(names, dashed(name))
	}
	return names
}

func bashCompletion(b *strings.Builder, p Program, commands []*cli.Command) {
	names := strings.Join(commandNames(commands), " ")
	fmt.Fprintf(b, "# bash completion of %[1]s, made by `%[1]s completion bash`\n_%[1]s() {\n", p.Name)
	fmt.Fprintf(b, "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= flags= i\n")
	fmt.Fprintf(b, "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n\t\t%s) command=${COMP_WORDS[i]} && break ;;\n\t\tesac\n\tdone\n",
		strings.ReplaceAll(names, " ", " | "))
	fmt.Fprintf(b, "\tcase ${command:-%s}:$prev in\n", p.Default)
	for _, c := range commands {
		for _, d := range visible(c.Flags) {
			var call string
			switch {
			case !d.takesValue:
				continue
			case d.words != nil:
				call = fmt.Sprintf(`compgen -W "%s" -- "$cur"`, strings.Join(d.words, " "))
			case d.takesPath() == "DIR":
				call = `compgen -d -- "$cur"`
			case d.takesPath() == "FILE":
				call = `compgen -f -- "$cur"`
			}
			var patterns []string
			for _, name := range d.spelled() {
				patterns = append(patterns, c.Name+":"+name)
			}
			fmt.Fprintf(b, "\t%s)", strings.Join(patterns, " | "))
			if call != "" {
				fmt.Fprintf(b, " mapfile -t COMPREPLY < <(%s);", call)
			}
			b.WriteString(" return ;;\n")
		}
	}
	fmt.Fprintf(b, "\tesac\n\tcase ${command:-%s} in\n", p.Default)
	for _, c := range commands {
		var flags []string
		for _, d := range visible(c.Flags) {
			flags = append(flags, d.spelled()...)
		}
		fmt.Fprintf(b, "\t%s) flags=\"%s\" ;;\n", c.Name, strings.Join(flags, " "))
	}
	fmt.Fprintf(b, "\tesac\n\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$cur\")\n")
	fmt.Fprintf(b, "\telif [[ -z $command || $command == help ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W \"%s\" -- \"$cur\")\n", names)
	fmt.Fprintf(b, "\telse\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n\tfi\n}\ncomplete -o filenames -F _%[1]s %[1]s\n", p.Name)
}

func zshCompletion(b *strings.Builder, p Program, commands []*cli.Command) {
	// In a description of _arguments brackets and colons have a meaning.
	plain := strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`, `\`, `\\`)
	fmt.Fprintf(b, "#compdef %[1]s\n# made by `%[1]s completion zsh`\n_%[1]s() {\n\tlocal -a commands\n\tcommands=(\n", p.Name)
	for _, c := range commands {
		fmt.Fprintf(b, "\t\t'%s:%s'\n", c.Name, strings.ReplaceAll(c.Usage, "'", `'\''`))
	}
	b.WriteString("\t)\n\tif ((CURRENT == 2)) && [[ $words[2] != -* ]]; then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tlocal command=$words[2]\n")
	if p.Default == "" {
		b.WriteString("\tif [[ $command == -* ]]; then return; fi\n\tshift words\n\t((CURRENT--))\n")
	} else {
		fmt.Fprintf(b, "\tif [[ $command == -* ]]; then\n\t\tcommand=%s\n\telse\n\t\tshift words\n\t\t((CURRENT--))\n\tfi\n", p.Default)
	}
	b.WriteString("\tcase $command in\n")
	for _, c := range commands {
		fmt.Fprintf(b, "\t%s)\n\t\t_arguments -S", c.Name)
		for _, d := range visible(c.Flags) {
			value := ""
			switch {
			case !d.takesValue:
			case d.words != nil:
				value = ":" + d.placeholder + ":(" + strings.Join(d.words, " ") + ")"
			case d.takesPath() == "DIR":
				value = ":directory:_files -/"
			case d.takesPath() == "FILE":
				value = ":file:_files"
			default:
				value = ":" + plain.Replace(d.placeholder) + ":"
			}
			for _, name := range d.spelled() {
				exclude := "(" + strings.Join(d.spelled(), " ") + ")"
				if d.repeats {
					exclude = "*"
				}
				fmt.Fprintf(b, " \\\n\t\t\t'%s%s[%s]%s'", exclude, name, plain.Replace(d.usage), value)
			}
		}
		switch {
		case c.Name == "help":
			b.WriteString(" \\\n\t\t\t'*:command:(" + strings.Join(commandNames(commands), " ") + ")'")
		case c.ArgsUsage != "":
			b.WriteString(" \\\n\t\t\t'*:file:_files'")
		}
		b.WriteString("\n\t\t;;\n")
	}
	fmt.Fprintf(b, "\tesac\n}\ncompdef _%[1]s %[1]s\n", p.Name)
}

func fishCompletion(b *strings.Builder, p Program, commands []*cli.Command) {
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
	}
	names := commandNames(commands)
	fmt.Fprintf(b, "# fish completion of %[1]s, made by `%[1]s completion fish`\n", p.Name)
	for _, c := range commands {
		fmt.Fprintf(b, "complete -c %s -n __fish_use_subcommand -f -a %s -d %s\n", p.Name, c.Name, quote(c.Usage))
		when := "__fish_seen_subcommand_from " + c.Name
		if c.Name == p.Default {
			when = "not __fish_seen_subcommand_from " + strings.Join(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == c.Name }), " ")
		}
		switch {
		case c.Name == "help":
			fmt.Fprintf(b, "complete -c %s -n %s -f -a %s\n", p.Name, quote(when), quote(strings.Join(names, " ")))
		case c.ArgsUsage == "":
			fmt.Fprintf(b, "complete -c %s -n %s -f\n", p.Name, quote(when))
		}
		for _, d := range visible(c.Flags) {
			fmt.Fprintf(b, "complete -c %s -n %s", p.Name, quote(when))
			for _, name := range d.names {
				if len(name) == 1 {
					fmt.Fprintf(b, " -s %s", name)
				} else {
					fmt.Fprintf(b, " -l %s", name)
				}
			}
			switch {
			case !d.takesValue:
			case d.words != nil:
				fmt.Fprintf(b, " -x -a %s", quote(strings.Join(d.words, " ")))
			case d.takesPath() == "DIR":
				b.WriteString(" -x -a '(__fish_complete_directories)'")
			case d.takesPath() == "FILE":
				b.WriteString(" -r -F")
			default:
				b.WriteString(" -x")
			}
			fmt.Fprintf(b, " -d %s\n", quote(d.usage))
		}
	}
}
