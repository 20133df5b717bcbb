package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"rawstatus/internal/fault"
)

// Progress shows how far a long work is: a bar on a terminal, elsewhere a log line now and then.
type Progress struct {
	env   *Env
	unit  string
	total int64
	done  atomic.Int64
	bar   bool
	begin time.Time
	stop  chan struct{}
	ended chan struct{}
}

const (
	barWidth  = 30
	barEvery  = 200 * time.Millisecond
	lineEvery = 10 * time.Second
)

// Bytes is the unit of works that read or write.
const Bytes = "bytes"

// Progress starts to show a work of so many units, such as Bytes or "panels". End must be called.
func (e *Env) Progress(total int64, unit string) *Progress {
	p := &Progress{env: e, unit: unit, total: max(total, 1), begin: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	if f, ok := e.Stderr.(*os.File); ok {
		p.bar = term.IsTerminal(int(f.Fd()))
	}
	if e.Quiet {
		close(p.ended)
		return p
	}
	fault.Start(func() error { p.run(); return nil }, nil)
	return p
}

// Add says that so many units more are done. It may be called from many goroutines.
func (p *Progress) Add(n int64) { p.done.Add(n) }

// End takes the bar away.
func (p *Progress) End() {
	close(p.stop)
	<-p.ended
}

func (p *Progress) run() {
	defer close(p.ended)
	every := lineEvery
	if p.bar {
		every = barEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			if p.bar {
				p.env.bar.show(p.env.Stderr, "")
			}
			return
		case <-tick.C:
			p.show()
		}
	}
}

func (p *Progress) show() {
	done := min(p.done.Load(), p.total)
	elapsed := time.Since(p.begin).Seconds()
	rate := float64(done) / elapsed
	left := "?"
	if rate > 0 {
		left = time.Duration(float64(p.total-done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	text := fmt.Sprintf("%3.0f %% of %d %s, %.3g/s, %s left", 100*float64(done)/float64(p.total), p.total, p.unit, rate, left)
	if p.unit == Bytes {
		text = fmt.Sprintf("%3.0f %% of %.1f GB, %.2f GB/s, %s left", 100*float64(done)/float64(p.total), float64(p.total)/1e9, rate/1e9, left)
	}
	if !p.bar {
		p.env.Log.Info(text)
		return
	}
	full := int(barWidth * done / p.total)
	p.env.bar.show(p.env.Stderr, fmt.Sprintf("[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), text))
}

// bar is the last line of a terminal while a work is under way.
type bar struct {
	mu    sync.Mutex
	shown bool
}

// clearLine takes the line away on which the cursor is.
const clearLine = "\r\x1b[K"

// show replaces the bar; an empty text takes it away.
func (b *bar) show(w io.Writer, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = text != ""
	fmt.Fprint(w, clearLine+text)
}

// aboveBar writes log lines to the screen in the place of the bar, which comes back below them.
type aboveBar struct{ env *Env }

// Write implements io.Writer.
func (a aboveBar) Write(line []byte) (int, error) {
	b := &a.env.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		b.shown = false
		if _, err := io.WriteString(a.env.Stderr, clearLine); err != nil {
			return 0, err
		}
	}
	return a.env.Stderr.Write(line)
}
