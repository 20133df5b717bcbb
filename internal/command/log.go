package command

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"rawstatus/internal/fault"
)

// lineFormat writes a log entry as one plain line: time in the site's zone, level, message, fields in alphabetical order.
//
//	2026-03-01T10:00:00 info  indexed run events=1000 run=137
type lineFormat struct{ zone *time.Location }

// Format implements logrus.Formatter.
func (f lineFormat) Format(entry *logrus.Entry) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %-5s %s", entry.Time.In(f.zone).Format("2006-01-02T15:04:05"), levelName(entry.Level), oneLine(entry.Message))
	keys := make([]string, 0, len(entry.Data))
	for key := range entry.Data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := fmt.Sprint(entry.Data[key])
		if value == "" || strings.ContainsAny(value, " \t\n\"=") {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&b, " %s=%s", key, value)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// levelName keeps every level in five columns.
func levelName(l logrus.Level) string {
	if l == logrus.WarnLevel {
		return "warn"
	}
	return l.String()
}

// oneLine keeps an entry on one line, so that what a file or a name contains cannot forge entries.
func oneLine(s string) string {
	return strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(strings.TrimRight(s, "\n"))
}

// zoneLine returns the line that says once in which zone the times of a log are.
func (f lineFormat) zoneLine(at time.Time) []byte {
	return fmt.Appendf(nil, "%s info  times are those of %s\n", at.In(f.zone).Format("2006-01-02T15:04:05"), f.zone)
}

// sinks are the places that log entries go to, each with its own threshold: the screen as --quiet and
// --log-level say, log files from info on. It is the only hook of the logger, whose own output is off.
type sinks struct {
	mu   sync.Mutex
	next int
	open map[int]*sink
	zone *time.Location // of the site; until it is known, UTC
}

type sink struct {
	w     io.Writer
	level logrus.Level
	begun bool // the zone has been said
}

func (s *sinks) add(w io.Writer, level logrus.Level) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	if s.open == nil {
		s.open = map[int]*sink{}
	}
	s.open[id] = &sink{w: w, level: level}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, id)
	}
}

// Levels implements logrus.Hook.
func (s *sinks) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook. A place that cannot be written any more (a full disk) is given up, which is
// said once at the others.
func (s *sinks) Fire(entry *logrus.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range s.write(entry) {
		lost := logrus.Entry{Time: entry.Time, Level: logrus.WarnLevel, Message: "the log is not written there any more: " + fault.Message(err)}
		s.write(&lost)
	}
	return nil
}

// write writes an entry everywhere and returns the errors of the places that it stops writing to.
func (s *sinks) write(entry *logrus.Entry) (lost []error) {
	format := lineFormat{s.zone}
	if format.zone == nil {
		format.zone = time.UTC
	}
	line, err := format.Format(entry)
	if err != nil {
		return []error{err}
	}
	for id, out := range s.open {
		if entry.Level > out.level {
			continue
		}
		text := line
		if !out.begun && out.level >= logrus.InfoLevel {
			text = append(format.zoneLine(entry.Time), line...)
		}
		out.begun = true
		if _, err := out.w.Write(text); err != nil {
			delete(s.open, id)
			lost = append(lost, err)
		}
	}
	return lost
}

// newLogger makes a logger that writes to the sinks.
func newLogger(s *sinks) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.SetFormatter(lineFormat{time.UTC})
	log.SetLevel(logrus.TraceLevel)
	log.AddHook(s)
	return log
}
