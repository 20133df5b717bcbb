package main

import (
	"fmt"
	"net"
	"os"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/disk"
)

// served is the result of serve, once it answers.
type served struct {
	URL string `json:"url"`
}

func newServeCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "serve a private calibration database over HTTP",
		Description: "A small implementation of the LCLS-II calibration web service over files, to try constants privately:\n" +
			"start it, deploy with --backend calibws, and point analysis to it with LCLS_CALIB_HTTP. Writers need the bearer\n" +
			"token of CALIB_JWT if that is set here.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "root", Usage: "`DIR` with the databases", Required: true},
			&cli.StringFlag{Name: "listen", Usage: "`ADDRESS` to listen on; port 0 takes a free one", Value: "127.0.0.1:0"},
			&cli.BoolFlag{Name: "writable", Usage: "let clients write and delete"},
			&cli.StringSliceFlag{Name: "host", Usage: "`NAME` under which clients know this machine, besides its own; may be repeated"},
			&cli.BoolFlag{Name: "public", Usage: "listen on an address that other machines can reach"},
			command.AtLeast(&cli.Int64Flag{Name: "max-data", Usage: "largest array in `BYTES`", Value: 4 << 30}, 1),
		},
		Action: func(c *cli.Context) error { return runServe(c, e) },
	}
}

func runServe(c *cli.Context, e *environment) error {
	l, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return fault.New(fault.Usage, "could not listen: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !c.Bool("public") && !(ok && a.IP.IsLoopback()) {
		l.Close()
		return fault.New(fault.Usage, "%s can be reached from other machines", l.Addr()).WithHint("listen on 127.0.0.1, or say --public")
	}
	if err := os.MkdirAll(c.String("root"), 0o775); err != nil {
		l.Close()
		return err
	}
	s := &calibserve.Server{Root: c.String("root"), Disk: disk.Files{Policy: policy(e)}, Writable: c.Bool("writable"), Token: os.Getenv("CALIB_JWT"),
		Hosts: c.StringSlice("host"), MaxData: c.Int64("max-data"), Warn: func(text string) { e.Log.Warn(text) }}
	url := "http://" + l.Addr().String() + "/calib_ws/"
	if e.JSON {
		err = e.PrintJSON(served{url})
	} else {
		_, err = fmt.Fprintf(e.Stdout, "serving %s at %s\n", s.Root, url)
	}
	if err != nil {
		return err
	}
	return s.Serve(c.Context, l)
}
