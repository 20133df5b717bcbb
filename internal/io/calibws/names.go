package calibws

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
)

// maxPlainName is from where on long names are looked up.
const maxPlainName = 20

// CheckLongName refuses what cannot be the long name of a detector: it may be as long as that of many
// panels is, beyond what a file can be called.
func CheckLongName(name string) error {
	if len(name) > 64<<10 {
		return fault.New(fault.Input, "the long name of the detector has %d bytes", len(name))
	}
	for _, part := range strings.Split(name, "_") {
		if name == "" || !access.Plausible("x"+part) {
			return fault.New(fault.Input, "%q cannot be a part of the long name of a detector", part).
				WithHint("a long name is <detector type>_<panel id>_<panel id>...; --longname gives another one")
		}
	}
	return nil
}

// CheckSuffix refuses the suffix of a private database (empty: none) that makes the database's name longer than psana2 takes.
func CheckSuffix(longName, detType, suffix string) error {
	if suffix == "" {
		return nil
	}
	if err := access.CheckName("suffix", suffix); err != nil {
		return err
	}
	short := longName
	if len(longName) >= maxPlainName {
		short = detType + "_000001" // all short names are as long
	}
	const most = 49
	if name := "cdb_" + short + "_" + suffix; len(name) > most {
		return fault.New(fault.Usage, "the private database %s would have a name of %d bytes, psana2 takes at most %d", name, len(name), most).
			WithHint("give a suffix that is shorter by %d", len(name)-most)
	}
	return nil
}

// namesDB is the database of short names.
const namesDB = "cdb_detnames"

// nameDoc is a document of cdb_detnames.
type nameDoc struct {
	ID        text   `json:"_id,omitempty"`
	Long      string `json:"long"`
	Short     string `json:"short"`
	Seq       whole  `json:"seqnumber"`
	UID       any    `json:"uid"`
	Host      any    `json:"host"`
	Cwd       any    `json:"cwd"`
	TimeSec   any    `json:"time_sec"`
	TimeStamp any    `json:"time_stamp"`
}

// names returns the documents of the detector type in the order of their ids.
func (s *Store) names(ctx context.Context) ([]nameDoc, error) {
	var raw []json.RawMessage
	if err := s.Client.get(ctx, decode(&raw), nil, namesDB, s.DetType); err != nil {
		return nil, err
	}
	docs, notes := parseDocs[nameDoc](raw, namesDB+"/"+s.DetType)
	s.nameNotes = notes
	slices.SortStableFunc(docs, func(a, b nameDoc) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return docs, nil
}

// Resolve looks the detector's short name up; that of an unknown one stays empty.
func (s *Store) Resolve(ctx context.Context) error {
	_, err := s.shortName(ctx, false)
	return err
}

// Name makes a short name for a new detector.
func (s *Store) Name(ctx context.Context) error {
	_, err := s.shortName(ctx, true)
	return err
}

// Short returns the detector's short name after [Store.Resolve]; empty while it has none.
func (s *Store) Short() string { return s.short }

// shortName returns the short name of the detector; with create it makes one for a new detector, else the
// name of an unknown one is empty.
func (s *Store) shortName(ctx context.Context, create bool) (string, error) {
	if s.short == "" && len(s.LongName) < maxPlainName {
		s.short = s.LongName
	}
	if s.short != "" {
		return s.short, nil
	}
	for try := 0; ; try++ {
		docs, err := s.names(ctx)
		if err != nil {
			return "", err
		}
		if s.short = s.known(docs); s.short != "" || !create {
			return s.short, nil
		}
		if try == 10 {
			return "", fault.New(fault.Temporary, "calibws: no short name could be allocated for %s: others allocate them at the same time", s.LongName).
				WithHint("run the same command again")
		}
		mine, err := s.postName(ctx, docs)
		if err != nil {
			return "", err
		}
		if docs, err = s.names(ctx); err != nil {
			return "", err
		}
		if !slices.ContainsFunc(standing(docs), func(d nameDoc) bool { return d.ID == mine.ID }) {
			if err := s.Client.Delete(ctx, namesDB, s.DetType, string(mine.ID)); err != nil {
				return "", err
			}
		}
	}
}

// known finds the short name as psana does: of this very name, else of one with all of its panels, among
// the documents that stand.
func (s *Store) known(docs []nameDoc) string {
	docs = standing(docs)
	if i := slices.IndexFunc(docs, func(d nameDoc) bool { return d.Long == s.LongName }); i >= 0 {
		return docs[i].Short
	}
	ids := strings.Split(s.LongName, "_")[1:]
	i := slices.IndexFunc(docs, func(d nameDoc) bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return !strings.Contains(d.Long, id) })
	})
	if i < 0 {
		return ""
	}
	return docs[i].Short
}

// postName adds a document with the next number.
func (s *Store) postName(ctx context.Context, docs []nameDoc) (nameDoc, error) {
	if err := s.Client.MayWrite(ctx, namesDB); err != nil {
		return nameDoc{}, err
	}
	last := whole(0)
	for _, d := range docs {
		last = max(last, d.Seq)
	}
	now := time.Now()
	d := nameDoc{Long: s.LongName, Short: fmt.Sprintf("%s_%06d", s.DetType, last+1), Seq: last + 1, UID: access.Login(), Host: access.Host(),
		Cwd: access.WorkDir(), TimeSec: now.Unix(), TimeStamp: stamp(now)}
	id, err := s.Client.PostDocument(ctx, namesDB, s.DetType, d)
	d.ID = text(id)
	return d, err
}

// standing returns the documents that keep their names, of docs in the order of their ids: a document
// stands when no older one that stands has its detector or its short name. Those that do not stand are
// about to be deleted, so they must not decide on others: what they decide would change with their end.
func standing(docs []nameDoc) []nameDoc {
	var stand []nameDoc
	for _, d := range docs {
		if !slices.ContainsFunc(stand, func(older nameDoc) bool { return older.Long == d.Long || older.Short == d.Short }) {
			stand = append(stand, d)
		}
	}
	return stand
}
