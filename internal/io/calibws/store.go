package calibws

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
)

// Store is one type of constants of one detector in the database.
type Store struct {
	Client     *Client
	Experiment string
	DetName    string
	DetType    string
	LongName   string // <dettype>_<panel id>_...; or a short name that exists
	CType      string
	Suffix     string // private database of this suffix; empty: those of experiment and detector
	// Ledger is kept in a local directory: the database keeps no intents.
	Ledger   *calib.Ledger
	LockWait time.Duration
	Settle   time.Duration // see calib.Destination

	short     string   // short name, once known
	nameNotes []string // about documents of names that cannot be read
	// sent is the array of the deployment under way, and sentSum the hash of its bytes.
	sent    *calib.Array
	sentSum string
}

var _ calib.Store = (*Store)(nil)

// Destination returns the store together with its ledger.
func (s *Store) Destination() calib.Destination {
	return calib.Destination{Store: s, Ledger: s.Ledger, Settle: s.Settle}
}

// String implements calib.Store.
func (s *Store) String() string {
	where := fmt.Sprintf("cdb_%s and the detector's own (%s of %s, without short name yet)", s.Experiment, s.DetType, fault.Count(strings.Count(s.LongName, "_"), "panel"))
	if short := s.short; short != "" {
		where = ""
		for _, db := range s.read(short) {
			where += " " + db + "/" + short
		}
		where = where[1:]
	}
	if s.Suffix != "" {
		where += " (private)"
	}
	text := strings.TrimSuffix(s.Client.ReadURL, "/") + "/ " + where
	if to := strings.TrimSuffix(s.Client.WriteURL, "/") + "/"; !SameHost(s.Client.ReadURL, s.Client.WriteURL) {
		text += ", written to " + to
	}
	return text
}

// written returns the databases that a deployment writes, in this order; the first one decides.
func (s *Store) written(short string) []string {
	if s.Suffix != "" {
		return []string{"cdb_" + short + "_" + s.Suffix}
	}
	return []string{"cdb_" + s.Experiment, "cdb_" + short}
}

// read returns the databases that analysis reads: the last one helps out.
func (s *Store) read(short string) []string { return []string{s.written(short)[0], "cdb_" + short} }

// always is the validity of what the detector's database helps out with.
var always = calib.Range{Begin: 0, End: calib.Last}

// Target implements calib.Store: every deployment makes new documents, the youngest of all.
func (s *Store) Target(r calib.Range) []calib.Item {
	const youngest = 1 << 62
	items := []calib.Item{{Range: r, Name: "a new document", Deployed: youngest}}
	if s.Suffix == "" {
		items = append(items, calib.Item{Range: always, Name: "the new document of the detector", Deployed: youngest, Fallback: true})
	}
	return items
}

// docs returns the documents of this type in a database.
func (s *Store) docs(ctx context.Context, db string) ([]Doc, []string, error) {
	return s.Client.Find(ctx, db, s.short, map[string]any{"detector": s.short, "ctype": s.CType})
}

// Items implements calib.Store.
func (s *Store) Items(ctx context.Context) (items []calib.Item, notes []string, err error) {
	short, err := s.shortName(ctx, false)
	if err != nil || short == "" {
		return nil, s.nameNotes, err
	}
	notes = slices.Clone(s.nameNotes)
	for i, db := range s.read(short) {
		docs, more, err := s.docs(ctx, db)
		if err != nil {
			return nil, nil, err
		}
		notes = append(notes, more...)
		for _, d := range docs {
			x := calib.Item{Range: always, Name: db + "/" + string(d.ID), Deployed: d.deployed(), Fallback: i > 0, Content: d.ext().SHA256}
			if d.ID == "" || d.Run > calib.Last {
				notes = append(notes, fmt.Sprintf("a document of %s is ignored by psana: id %q, run %d", db, d.ID, d.Run))
				continue
			}
			if r, ok := d.validity(); !x.Fallback && !ok {
				notes = append(notes, fmt.Sprintf("document %s is ignored by psana: runs %d to %v", x.Name, d.Run, d.RunEnd))
				continue
			} else if !x.Fallback {
				x.Range = r
			}
			items = append(items, x)
		}
	}
	return items, notes, nil
}

// Sum implements calib.Store.
func (s *Store) Sum(_ context.Context, item calib.Item) (string, error) { return item.Content, nil }

// Read implements calib.Store.
func (s *Store) Read(ctx context.Context, item calib.Item) (*calib.Array, string, error) {
	db, id, ok := strings.Cut(item.Name, "/")
	short, err := s.shortName(ctx, false)
	if err != nil {
		return nil, "", err
	}
	if !ok || short == "" {
		return nil, "", fault.New(fault.Input, "calibws: there is no document %q", item.Name)
	}
	d, err := s.Client.Document(ctx, db, short, id)
	if err != nil {
		return nil, "", err
	}
	return s.Client.read(ctx, db, d, calib.RealType(s.CType))
}

// Kept implements calib.Store: data are never deleted in the database.
func (s *Store) Kept(ctx context.Context, rec calib.Record) (calib.Content, error) {
	i := slices.IndexFunc(rec.Steps, func(s calib.Step) bool { return s.Now != "" && s.Data != "" })
	if i < 0 {
		return calib.Content{}, fault.New(fault.Input, "%s %s has left no data", rec.Action, rec.ID)
	}
	real := calib.RealType(s.CType)
	a := &calib.Array{}
	if real {
		a.Numbers = [][]float32{}
	}
	d := Doc{ID: text(rec.ID), DataID: text(rec.Steps[i].Data), DataType: "ndarray", DataDType: text(a.DType()), DataShape: calibtxt.Tuple(rec.Shape, " ")}
	a, sum, err := s.Client.read(ctx, rec.Steps[i].DB, d, real)
	if err != nil {
		return calib.Content{}, err
	}
	return calib.RawContent(rec.Source, a, sum), nil
}

// Lock implements calib.Store.
func (s *Store) Lock(ctx context.Context) (func(), int, error) {
	if err := s.Ledger.Disk.Make(s.Ledger.Dir); err != nil {
		return nil, 0, err
	}
	release, err := s.Ledger.Disk.Lock(ctx, s.Ledger.Dir, s.LockWait)
	return release, 0, err
}

// Begin implements calib.Store.
func (s *Store) Begin(ctx context.Context, rec *calib.Record, content *calib.Content) (*calib.Content, error) {
	short, err := s.shortName(ctx, true)
	if err != nil {
		return nil, err
	}
	for _, db := range s.written(short) {
		if err := s.Client.MayWrite(ctx, db); err != nil {
			return nil, err
		}
	}
	if content == nil {
		return nil, nil
	}
	raw := *content
	if !raw.Raw {
		raw = calib.RawContent(content.Path, content.Array, content.Array.RawSum())
	}
	for _, db := range s.written(short) {
		rec.Steps = append(rec.Steps, calib.Step{DB: db, Now: raw.SHA256})
	}
	s.sent, s.sentSum = raw.Array, raw.SHA256
	return &raw, nil
}

// Put implements calib.Store.
func (s *Store) Put(ctx context.Context, rec *calib.Record, step int, content *calib.Content) error {
	to := &rec.Steps[step]
	if content == nil {
		return s.take(ctx, rec, to)
	}
	s.sent, s.sentSum = content.Array, content.SHA256
	var err error
	if to.Data, err = s.Client.post(ctx, rawBody(s.sent), to.DB, gridfs); err != nil {
		return err
	}
	d, err := s.doc(rec, content.Array, step)
	if err != nil {
		return err
	}
	id, err := s.Client.PostDocument(ctx, to.DB, s.short, d)
	if err != nil {
		return err
	}
	to.Name = to.DB + "/" + id
	return nil
}

// take deletes a document of ours: of the deployment that a record undoes, or of its own. Its data stay.
func (s *Store) take(ctx context.Context, rec *calib.Record, step *calib.Step) error {
	docs, _, err := s.docs(ctx, step.DB)
	if err != nil {
		return err
	}
	for _, d := range docs {
		if step.Name != step.DB+"/"+string(d.ID) {
			continue
		}
		if of := cmp.Or(rec.Undoes, rec.ID); d.ext().Deploy != of {
			return fault.New(fault.Input, "document %s is not the one that deployment %s has made", step.Name, of).
				WithHint("somebody has changed it; mergedeploy verify shows what else")
		}
		return s.Client.Delete(ctx, step.DB, s.short, string(d.ID))
	}
	return nil
}

// doc describes a deployment for the database of a step.
func (s *Store) doc(rec *calib.Record, a *calib.Array, step int) (*newDoc, error) {
	ext, err := json.Marshal(extPars{Content: "extended parameters dict->json->str", Command: strings.Join(rec.Command, " "), Deploy: rec.ID, SHA256: rec.Content})
	if err != nil {
		return nil, fmt.Errorf("could not encode the parameters of a document: %w", err)
	}
	d := &newDoc{Doc: Doc{Run: whole(rec.Range.Begin), RunEnd: "end", Detector: s.short, DataID: text(rec.Steps[step].Data), ExtPars: string(ext),
		DataType: "ndarray", DataDType: text(a.DType()), DataShape: calibtxt.Tuple(a.Shape, " ")},
		Experiment: rec.Experiment, CType: s.CType, DType: "ndarray", TimeSec: rec.RunTime.Unix(), TimeStamp: stamp(rec.RunTime), Version: rec.Version,
		Comment: rec.Comment, UID: rec.Login, Host: rec.Host, Cwd: rec.Cwd, ExpDataID: 0, ExpDocID: 0, DetName: s.DetName, LongName: s.LongName,
		ShortName: s.short, DetType: s.DetType, RunOrig: rec.Run, StampOrig: stamp(rec.RunTime), FileName: rec.Source,
		DataSize: strconv.Itoa(a.Len()), DataNDim: strconv.Itoa(len(a.Shape))}
	if rec.Range.End < calib.Last {
		d.RunEnd = rec.Range.End
	}
	if s.Suffix != "" {
		d.ExpDataID, d.ExpDocID = "N/A", "N/A"
	}
	if step > 0 {
		_, id, _ := strings.Cut(rec.Steps[0].Name, "/")
		d.ExpDataID, d.ExpDocID = rec.Steps[0].Data, id
	}
	return d, nil
}

// Holds implements calib.Store.
func (s *Store) Holds(ctx context.Context, rec *calib.Record, step int) (bool, error) {
	to := &rec.Steps[step]
	short, err := s.shortName(ctx, false)
	if err != nil {
		return false, err
	}
	var docs []Doc
	if short != "" {
		if docs, _, err = s.docs(ctx, to.DB); err != nil {
			return false, err
		}
	}
	for _, d := range docs {
		name := to.DB + "/" + string(d.ID)
		switch {
		case to.Now == "":
			if name == to.Name {
				return false, nil
			}
		case d.ext().Deploy == rec.ID && (to.Name == "" || to.Name == name):
			to.Name, to.Data = name, string(d.DataID)
			// In the detector's database the range does not matter to analysis.
			r, ok := d.validity()
			return (ok && r == rec.Range || step > 0) && d.ext().SHA256 == to.Now, nil
		}
	}
	return to.Now == "", nil
}

// End implements calib.Store: it reads back what analysis will read.
func (s *Store) End(ctx context.Context, rec *calib.Record) error {
	for i, step := range rec.Steps {
		holds, err := s.Holds(ctx, rec, i)
		if err != nil {
			return err
		}
		sum := ""
		if step = rec.Steps[i]; holds && step.Now != "" {
			if sum, err = s.readBack(ctx, step); err != nil {
				return err
			}
		}
		if !holds || sum != step.Now {
			return fault.New(fault.Unexpected, "%s reads back as SHA-256 %q, wanted is %q", orDB(step), sum, step.Now).
				WithHint("the service has damaged the data, or another program writes there: deploy again, or roll back")
		}
	}
	s.sent, s.sentSum = nil, ""
	return nil
}

// readBack returns the hash of what a step has put. What this process has sent is compared with that.
func (s *Store) readBack(ctx context.Context, step calib.Step) (sum string, err error) {
	if step.Now == s.sentSum {
		db, id, _ := strings.Cut(step.Name, "/")
		d, err := s.Client.Document(ctx, db, s.short, id)
		if err != nil {
			return "", err
		}
		if same, err := s.Client.holds(ctx, db, d, s.sent); same || err != nil {
			return s.sentSum, err
		}
	}
	_, sum, err = s.Read(ctx, calib.Item{Name: step.Name})
	return sum, err
}

func orDB(s calib.Step) string {
	if s.Name == "" {
		return "a document of " + s.DB
	}
	return "document " + s.Name
}
