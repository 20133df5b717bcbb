package command

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
)

// arrange puts a command line into the order that the parser takes: global flags, the command's name, its
// flags, then "--" and the arguments. People may write flags behind arguments, and short flags together with
// their value (-r7). Where no command is named the default one is put in. --help is the command help.
func (p Program) arrange(commands []*cli.Command, args []string) ([]string, error) {
	global := append(globalFlags(), versionFlag())
	out, i := args[:1:1], 1
	var help []string
	for ; i < len(args) && isFlag(args[i]); i++ {
		f, withValue := lookUp(global, args[i])
		if f == nil {
			break
		}
		out = append(out, args[i])
		help = append(help, helps(f)...)
		if !withValue && describe(f).takesValue && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	name := ""
	switch {
	case help != nil:
		return append(args[:1:1], help...), nil
	case i == len(args):
		return out, nil
	case !isFlag(args[i]):
		name = args[i]
		i++
	case p.Default != "":
		name = p.Default
	default: // the parser complains about the flag
		return append(out, args[i:]...), nil
	}
	for _, c := range commands {
		if c.HasName(name) {
			flags, arguments, help, err := split(append(slices.Clone(c.Flags), global...), args[i:])
			if help != nil {
				return slices.Concat(args[:1:1], help, []string{name}), nil
			}
			if len(arguments) > 0 {
				arguments = append([]string{"--"}, arguments...)
			}
			return slices.Concat(out, []string{name}, flags, arguments), err
		}
	}
	return append(append(out, name), args[i:]...), nil
}

// helps returns the call of the command help that a flag stands for, nil if it is another flag.
func helps(f cli.Flag) []string {
	switch f.Names()[0] {
	case "help-all":
		return []string{"help", "--all"}
	case "help":
		return []string{"help"}
	}
	return nil
}

// isFlag reports whether a word looks like a flag. A negative number is a value.
func isFlag(word string) bool {
	return len(word) > 1 && word[0] == '-' && word != "--" && !(word[1] >= '0' && word[1] <= '9')
}

// lookUp finds the flag that a word names, and reports whether the word has the value in it.
func lookUp(flags []cli.Flag, word string) (f cli.Flag, withValue bool) {
	name, _, withValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
	return find(flags, name), withValue
}

// split separates flags, with their values, from arguments, or returns the call of help that is among them. A flag
// that may be given once only must not have two different values.
func split(known []cli.Flag, words []string) (flags, arguments, help []string, err error) {
	given := map[string]string{}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			return flags, append(arguments, words[i+1:]...), nil, nil
		}
		if !isFlag(word) {
			arguments = append(arguments, word)
			continue
		}
		f, withValue := lookUp(known, word)
		if f == nil && word[1] != '-' { // -r7
			if short := find(known, word[1:2]); short != nil && describe(short).takesValue {
				f, withValue = short, true
				word = word[:2] + "=" + word[2:]
			}
		}
		flags = append(flags, word)
		if f == nil {
			continue
		}
		if help = helps(f); help != nil {
			return nil, nil, help, nil
		}
		d := describe(f)
		if !d.takesValue {
			continue
		}
		key, value, _ := strings.Cut(word, "=")
		if withValue {
			flags[len(flags)-1] = key + "=" + decimal(f, value)
		}
		if !withValue && i+1 < len(words) {
			i++
			value = words[i]
			flags = append(flags, decimal(f, value))
		}
		name := d.names[0]
		if slices.Contains(names, d.placeholder) {
			if err := checkName(name, value); err != nil {
				return nil, nil, nil, err
			}
		}
		if value == "" && (withValue || i < len(words)-1 || words[i] == "") {
			return nil, nil, nil, fault.New(fault.Usage, "--%s is empty", name).WithHint("is the variable that holds its value set? To use the default, leave the flag out")
		}
		if before, twice := given[name]; twice && before != value && !d.repeats {
			return nil, nil, nil, fault.New(fault.Usage, "--%s is given twice: %q and %q", name, before, value).WithHint("give it once")
		}
		given[name] = value
	}
	return flags, arguments, nil, nil
}

// decimal leaves the leading zeros of a whole number out, which the parser would take as octal.
func decimal(f cli.Flag, value string) string {
	switch f.(type) {
	case *cli.IntFlag, *cli.Int64Flag, *cli.Uint64Flag, *cli.IntSliceFlag:
		if digits := strings.TrimLeft(value, "0"); digits != value && strings.Trim(digits, "0123456789,") == "" {
			return cmp.Or(digits, "0")
		}
	}
	return value
}
