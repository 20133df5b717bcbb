package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"rawstatus/internal/io/frame"
)

//go:embed reference.py
var reference []byte

// numpyHere reports whether the Python of the options has numpy.
func (b *bench) numpyHere() bool {
	err := exec.CommandContext(b.ctx, b.o.python, "-c", "import numpy").Run()
	if err != nil {
		b.say("no numpy in %s, so no comparison with it (Debian: python3-numpy)", b.o.python)
	}
	return err == nil
}

// numpy runs a part of reference.py over frames of the run and returns the seconds that it says it took.
func (b *bench) numpy(what string, exts []frame.Extent) (seconds float64, err error) {
	var offsets []int64
	for _, e := range exts {
		if e.File != exts[0].File {
			break
		}
		offsets = append(offsets, e.Offset)
	}
	return b.numpyOf(what, b.d.index.Files[exts[0].File].Path, offsets)
}

// numpyOf does the same over frames of a file.
func (b *bench) numpyOf(what, file string, offsets []int64) (seconds float64, err error) {
	script, err := os.CreateTemp("", "reference-*.py")
	if err != nil {
		return 0, err
	}
	defer os.Remove(script.Name())
	if _, err := script.Write(reference); err != nil {
		return 0, err
	}
	if err := script.Close(); err != nil {
		return 0, err
	}
	var in, out, complaints bytes.Buffer
	for _, offset := range offsets {
		fmt.Fprintln(&in, offset)
	}
	c := exec.CommandContext(b.ctx, b.o.python, script.Name(), file, strconv.Itoa(rows), strconv.Itoa(cols), what)
	c.Stdin, c.Stdout, c.Stderr = &in, &out, &complaints
	if err := c.Run(); err != nil {
		return 0, fmt.Errorf("reference.py %s: %w: %s", what, err, complaints.String())
	}
	return strconv.ParseFloat(strings.TrimSpace(out.String()), 64)
}
