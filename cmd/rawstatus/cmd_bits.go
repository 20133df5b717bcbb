package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/stats/status"
)

//go:generate go test -count=1 -run TestBitsPage . -update

func newBitsCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:        "bits",
		Usage:       "what each bit of a status word means and which rule sets it",
		Description: "The numbers below 1024 have two meanings: those of the rules of dark processing, and those of the features of det_pixel_status.\nThose from 65536 on are of charge injection.\nThe sidecar of a status file (<name>.json) says which of them holds for it.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "markdown", Usage: "the tables of docs/bits.md"}},
		Action: func(c *cli.Context) error {
			switch {
			case e.JSON:
				return e.PrintJSON(status.Table)
			case c.Bool("markdown"):
				return writeBitsPage(e.Stdout)
			}
			return writeBits(e.Stdout)
		},
	}
}

// bitFamilies are the parts of the dictionary, with the sentence that introduces them.
var bitFamilies = []struct {
	family      status.Family
	title, text string
}{
	{status.Dark, "Rules of dark processing", "Set by profiles `data` and `dark`. The numbers are those of psana's dark processing (pixel_status)."},
	{status.Features, "Features", "Set by profiles `features`, `light` and `max`. The numbers are those of det_pixel_status."},
	{status.Charge, "Charge injection", "Set by profile `ci` (docs/charge-injection.md). Numbers and limits up to bit 45 are those of psana's epix10ka_charge_injection, but for\nMANY_PERIODS; the others are measured on the clock of the ramp. Bit 16 is 65536, bit 52 is 4503599627370496."},
	{"", "Bits of all", "Not in the original programs. Pixels with NO_DATA, LOW_STATS or EVAL_ERROR were not judged: they have no other bit of a rule\nand take no part in any limit."},
}

// writeBits prints the dictionary as text.
func writeBits(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, f := range bitFamilies {
		if i > 0 {
			fmt.Fprintln(t)
		}
		fmt.Fprintf(t, "%s\n", f.title)
		for _, b := range bitsOf(f.family) {
			fmt.Fprintf(t, "%16d\t%s\t%s\t%s\t%s\n", b.Value, b.Name, b.Group, b.Meaning, b.Rule)
		}
	}
	return t.Flush()
}

// writeBitsPage prints the dictionary as the tables of the documentation.
func writeBitsPage(w io.Writer) error {
	var b strings.Builder
	for _, f := range bitFamilies {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| value | name | rule | meaning | types | profiles | group |\n|---:|---|---|---|---|---|---|\n", f.title, f.text)
		for _, bit := range bitsOf(f.family) {
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", bit.Value, bit.Name, strings.ReplaceAll(bit.Rule, "|", `\|`), bit.Meaning,
				strings.Join(bit.Ctypes, ", "), strings.Join(bit.Profiles, ", "), bit.Group)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// bitsOf returns the bits of one family, in the order of the table.
func bitsOf(f status.Family) (list []status.Bit) {
	for _, b := range status.Table {
		if b.Family == f {
			list = append(list, b)
		}
	}
	return list
}
