package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rawstatus/internal/io/access"
)

// LogPath returns the name of the log file of a command that this process has started at that time. dettype
// may be empty as long as it is unknown; such logs lie under scripts.
func (r *Repo) LogPath(dettype, command string, start time.Time) string {
	start = start.In(r.Loc)
	dir := filepath.Join(r.Root, "scripts", command)
	if dettype != "" {
		dir = r.TypeDir(dettype)
	}
	name := fmt.Sprintf("%s_log_%s_%s_%d.txt", start.Format("2006-01-02T150405"), command, access.Login(), os.Getpid())
	return filepath.Join(dir, "logs", start.Format("2006"), name)
}

// CreateLog makes the log file of [Repo.LogPath] and opens it for appending.
func (r *Repo) CreateLog(dettype, command string, start time.Time) (*os.File, error) {
	path := r.LogPath(dettype, command, start)
	if err := r.Policy.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := r.Policy.Open(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("could not make the log file: %w", err)
	}
	return f, nil
}

// AtStart appends a line about the start of a command to the year's list of the command. The
// list lies in dir, or in the repository itself if the word work is a part of its path; with neither
// there is no list.
func (r *Repo) AtStart(dir, command string, start time.Time, logfile string, argv []string) error {
	if strings.Contains(r.Root, "work") {
		dir = r.Root
	}
	if dir == "" {
		return nil
	}
	start = start.In(r.Loc)
	year := start.Format("2006")
	path := filepath.Join(dir, year, year+"_lcls1_"+command+".txt")
	if err := r.Policy.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := r.Policy.Open(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return fmt.Errorf("could not open the list of starts: %w", err)
	}
	defer f.Close()
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "unknown"
	}
	release := os.Getenv("CONDA_DEFAULT_ENV")
	if release == "" {
		release = "NON-DEFINED-env-CONDA_DEFAULT_ENV"
	}
	// One write, so that lines of several processes do not mix.
	_, err = fmt.Fprintf(f, "\n%s user:%s@%s cwd:%s rel:%s dirrepo:%s logfile:%s command:%s",
		start.Format("2006-01-02T15:04:05"), access.Login(), access.Host(), cwd, release, r.Root, logfile, strings.Join(argv, " "))
	return err
}
