package post

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rawstatus/internal/fault"
)

// Resent counts the outcomes below a folder.
type Resent struct {
	Sent     int `json:"sent"`     // outcomes of which something was sent
	Complete int `json:"complete"` // outcomes that were complete before
}

// Resend sends what is missing below a folder: its own outcome, those of its work directories, and those of the campaigns in
// it. It goes on behind one that cannot be sent, and behind folders that may not be read; warn is told of both.
func (s *Sender) Resend(ctx context.Context, root string, warn func(format string, args ...any)) (r Resent, err error) {
	works, err := outcomesBelow(root, warn)
	if err != nil {
		return r, err
	}
	var failed []error
	for _, work := range works {
		o, err := Load(work)
		if err == nil && o.Complete() {
			r.Complete++
			continue
		}
		if err == nil {
			_, err = s.Send(ctx, work)
		}
		if err != nil {
			failed = append(failed, err)
			warn("%s: %v", work, err)
			continue
		}
		r.Sent++
	}
	if len(failed) > 0 {
		return r, fault.New(fault.Unposted, "%s not sent, %d sent: %w", fault.Count(len(failed), "outcome"), r.Sent, failed[0]).WithHint("%s", fault.HintOf(failed[0]))
	}
	return r, nil
}

// depth is how far below a folder work directories are looked for.
const depth = 3

// outcomesBelow lists the work directories that hold an outcome.
func outcomesBelow(root string, warn func(format string, args ...any)) (works []string, err error) {
	if _, err := os.Stat(root); err != nil {
		return nil, fault.New(fault.Usage, "no work directories: %w", err).WithHint("name the folder that they are in with --work")
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && errors.Is(err, fs.ErrPermission) && path != root:
			warn("passed over: %v", err)
			return filepath.SkipDir
		case err != nil:
			return fmt.Errorf("could not look for outcomes: %w", err)
		case !d.IsDir():
			return nil
		}
		if _, err := os.Stat(Path(path)); err == nil {
			works = append(works, path)
			return filepath.SkipDir
		}
		if strings.Count(strings.TrimPrefix(path, root), string(filepath.Separator)) >= depth {
			return filepath.SkipDir
		}
		return nil
	})
	return works, err
}
