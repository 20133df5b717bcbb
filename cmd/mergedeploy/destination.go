package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
)

// ctype is the type of constants that is deployed.
const ctype = "status_extra"

// destinationFlags name the destination where analysis reads.
func destinationFlags() []cli.Flag {
	return append(wsFlags(), command.CalibDir())
}

// lookFlags name a destination that exists, for commands that look at it.
func lookFlags() []cli.Flag {
	return append(destinationFlags(), command.In(command.Data, []cli.Flag{
		command.Repository(),
		&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT`, e.g. xpptut15"},
		&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "`DETECTOR` (source); may be left out when there is only one"},
		command.Choice(&cli.StringFlag{Name: "type", Usage: "`TYPE` of constants", Value: ctype}, deployedTypes()...),
	})...)
}

// deployedTypes returns the types of constants that are deployed from here.
func deployedTypes() []string {
	types := []string{ctype}
	for _, p := range repo.Products {
		types = append(types, string(p))
	}
	return types
}

// destinationFor returns the destination in which the constants of a subject, of one type, are deployed.
func destinationFor(c *cli.Context, e *environment, r *repo.Repo, s *publish.Subject, ctype string) (calib.Destination, error) {
	if backend(c, s.LCLS1()) == backendWS {
		return wsDestinationFor(c, e, r, s, ctype)
	}
	root, err := publish.CalibRoot(e.Site, s.Run.Experiment)
	if err != nil {
		return calib.Destination{}, err
	}
	family, _ := detector.Lookup(s.Type)
	return dirDestination(e, root, family.CalibGroup, s.Detector, ctype)
}

// destinationNamed returns the destination that the flags of lookFlags name. With writing it is one to be changed.
func destinationNamed(c *cli.Context, e *environment, writing bool) (calib.Destination, error) {
	return destinationOf(c, e, c.String("type"), writing)
}

// destinationOf is destinationNamed for a type of constants.
func destinationOf(c *cli.Context, e *environment, ctype string, writing bool) (calib.Destination, error) {
	det := c.String("det")
	if backend(c, det == "" || strings.Contains(det, ":")) == backendWS {
		return wsDestinationNamed(c, e, ctype, writing)
	}
	root, err := publish.CalibRoot(e.Site, c.String("exp"))
	if err != nil {
		return calib.Destination{}, err
	}
	found, err := calibdir.Find(root, c.String("det"), ctype)
	if err != nil {
		return calib.Destination{}, err
	}
	switch len(found) {
	case 1:
		return dirDestination(e, root, found[0][0], found[0][1], ctype)
	case 0:
		return calib.Destination{}, fault.New(fault.Input, "%q has no %s%s", root, ctype, ofDetector(c.String("det"))).WithHint("check -c and -d")
	}
	var names []string
	for _, f := range found {
		names = append(names, f[1])
	}
	return calib.Destination{}, fault.New(fault.Usage, "several detectors have %s: %s", ctype, strings.Join(names, ", ")).WithHint("name one with -d")
}

// backend returns where constants are: in the database for LCLS-II, in the calibration directory for LCLS-I,
// unless flags say otherwise.
func backend(c *cli.Context, lcls1 bool) string {
	switch {
	case c.IsSet("backend"):
		return c.String("backend")
	case c.IsSet("calib-dir") || lcls1:
		return backendDir
	}
	return backendWS
}

// warnBackend says when analysis of the detector's kind does not read where its constants go.
func warnBackend(c *cli.Context, e *environment, s *publish.Subject) {
	switch b := backend(c, s.LCLS1()); {
	case b == backendDir && !s.LCLS1():
		e.Log.Warnf("%s is a detector of LCLS-II, whose analysis (psana2) never reads a calibration directory: without -c its constants go to the database", s.Detector)
	case b == backendWS && s.LCLS1():
		e.Log.Warnf("%s is a detector of LCLS-I, whose analysis (psana) does not read the database: without --backend its constants go to the calibration directory", s.Detector)
	}
}

func ofDetector(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" of detector %q", name)
}

// dirDestination returns the destination of a detector in a calibration directory.
func dirDestination(e *environment, root, group, source, ctype string) (calib.Destination, error) {
	d, err := calibdir.New(root, group, source, ctype, disk.Files{Policy: policy(e)}, e.Site.Location())
	if err != nil {
		return calib.Destination{}, err
	}
	return d.Destination(), nil
}
