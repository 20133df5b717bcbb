package command

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"
)

// full is a log file on a full disk.
type full struct{ writes int }

// Write implements io.Writer.
func (f *full) Write([]byte) (int, error) {
	f.writes++
	return 0, &os.PathError{Op: "write", Path: "log.txt", Err: syscall.ENOSPC}
}

// TestLogFileThatCannotBeWrittenIsAbandonedOnce: a log file that cannot be written is abandoned, and that is said once.
func TestLogFileThatCannotBeWrittenIsAbandonedOnce(t *testing.T) {
	var screen bytes.Buffer
	var file full
	s := &sinks{}
	s.add(&screen, logrus.InfoLevel)
	s.add(&file, logrus.InfoLevel)
	log := newLogger(s)
	log.Info("one")
	log.Info("two")
	if text := screen.String(); strings.Count(text, "disk full: write log.txt") != 1 || strings.Count(text, "one") != 1 || strings.Count(text, "two") != 1 || file.writes != 1 {
		t.Errorf("%d writes; the screen has\n%s", file.writes, text)
	}
}
