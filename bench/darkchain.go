package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"rawstatus/internal/io/open"
	"rawstatus/internal/ranges"
	"rawstatus/internal/simulate"
)

// chain is a dark run of two panels in three gain modes, --command-events frames each, and the programs that take it to a database.
type chain struct {
	b         *bench
	dir, url  string
	bin       string // the directory of the programs
	bytes     int64
	serve     *exec.Cmd
	file      string
	positions []int64 // of the frames of one panel in one gain mode
}

// darkChain compares the whole way of a dark run, from raw data to five types in a served database, with and without text
// files, with the same steps in numpy.
func darkChain(b *bench) error {
	if b.o.commandEvents == 0 {
		b.say("no --command-events: the dark run is not measured")
		return nil
	}
	group := fmt.Sprintf("dark run of 2 panels x 3 gains x %d frames: raw data to five types in a served database", b.o.commandEvents)
	c := &chain{b: b}
	defer c.end()
	if err := c.prepare(); err != nil {
		return err
	}
	list := []variant{
		{name: "with text files", bytes: c.bytes, cores: 0, before: c.begin, run: func() error { return c.take("pedestals,pixel_rms,pixel_status,pixel_max,pixel_min") }},
		{name: "without text files", bytes: c.bytes, cores: 0, before: c.begin, run: func() error { return c.take("none") }},
	}
	const theirs = "numpy, 1 core (one panel in one gain)"
	compare := b.numpyHere()
	if compare {
		list = append(list, variant{name: theirs, bytes: c.bytes / 6, cores: 1, clock: func() (float64, error) { return b.numpyOf("chain", c.file, c.positions) }})
	}
	if err := b.group(group, min(3, b.o.reps), list); err != nil || !compare {
		return err
	}
	for _, v := range list[:2] {
		ratio, _ := b.r.ratio(group, v.name, theirs)
		b.r.value("dark run "+v.name+" / numpy", ratio, "times", "raw data to five types in a served database, all cores against one")
	}
	return nil
}

// prepare makes the run and the programs.
func (c *chain) prepare() (err error) {
	if c.dir, err = os.MkdirTemp(c.b.o.scratch, "dark-chain-"); err != nil {
		return err
	}
	if _, err := simulate.Write(c.b.ctx, simulate.Config{Dir: filepath.Join(c.dir, "runs"), Experiment: "tstx00417", Run: 11, Type: "jungfrau", Panels: 2, GainModes: []string{"g0", "g1", "g2"},
		Events: c.b.o.commandEvents, Streams: 2, Seed: 5, Dead: 20, Hot: 10, Noisy: 15, Saturated: 7, Cold: 9}); err != nil {
		return err
	}
	x, err := open.Index(c.b.ctx, open.Dataset{Dir: filepath.Join(c.dir, "runs"), Experiment: "tstx00417", Runs: ranges.List{{First: 11, Last: 11}}}, open.Options{Settle: 1})
	if err != nil {
		return err
	}
	c.bytes, c.file = int64(len(x.Extents))*2*pixels, x.Files[x.Extents[0].File].Path
	for e := range c.b.o.commandEvents {
		c.positions = append(c.positions, x.Extents[e*len(x.Panels)].Offset)
	}
	c.bin, err = c.b.programs()
	return err
}

// begin serves an empty database and removes what the last repetition has left.
func (c *chain) begin() error {
	c.stop()
	for _, name := range []string{"database", "repository", "work"} {
		if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
			return err
		}
	}
	c.serve = exec.CommandContext(c.b.ctx, filepath.Join(c.bin, "mergedeploy"), "serve", "--root", filepath.Join(c.dir, "database"), "--writable", "--json")
	out, err := c.serve.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.serve.Start(); err != nil {
		return err
	}
	var serving struct{ URL string }
	err = json.NewDecoder(out).Decode(&serving)
	c.url = serving.URL
	return err
}

// take takes the run to the database, with the text of some products on the way.
func (c *chain) take(products string) error {
	for _, line := range [][]string{
		{"rawstatus", "run", "--quiet", "-e", "tstx00417", "-r", "11", "--dir", "runs", "--settle", "1ns", "--profile", "dark", "--products", products, "--work", "work"},
		{"mergedeploy", "--quiet", "--products", "psrnx", "-e", "tstx00417", "-r", "11", "-d", "jungfrau", "--work", "work", "-D"},
	} {
		cmd := exec.CommandContext(c.b.ctx, filepath.Join(c.bin, line[0]), line[1:]...)
		cmd.Dir = c.dir
		cmd.Env = append(os.Environ(), "RAWSTATUS_TIMEZONE=UTC", "RAWSTATUS_GROUP=", "RAWSTATUS_REPOSITORY="+filepath.Join(c.dir, "repository"),
			"RAWSTATUS_CALIBWS_READ_URL="+c.url, "RAWSTATUS_CALIBWS_WRITE_URL="+c.url)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", line, err, out)
		}
	}
	return nil
}

func (c *chain) stop() {
	if c.serve != nil && c.serve.Process != nil {
		c.serve.Process.Kill()
		c.serve.Wait() // killed: its error says so
	}
	c.serve = nil
}

func (c *chain) end() {
	c.stop()
	os.RemoveAll(c.dir)
}
