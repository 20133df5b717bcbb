package calibws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/filelock"
)

// Place is one type of constants of one detector in the database.
type Place struct {
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

	short string // short name, once known

	// step, when set by a test, is called before each step of a deployment and can stop it there.
	step func(name string) error
}

var _ calib.Place = (*Place)(nil)

// String implements calib.Place.
func (p *Place) String() string {
	name := p.short
	if name == "" {
		name = p.LongName
	}
	if p.Suffix != "" {
		return fmt.Sprintf("%s cdb_%s_%s (private)", p.Client.WriteURL, name, p.Suffix)
	}
	return fmt.Sprintf("%s cdb_%s, cdb_%s", p.Client.WriteURL, p.Experiment, name)
}

// Target implements calib.Place: every deployment is a new document.
func (p *Place) Target(r calib.Range) calib.Item {
	return calib.Item{Range: r, Name: "a new document", Deployed: time.Now().Unix() + 1}
}

// maxPlainName is from where on long names are looked up.
const maxPlainName = 20

// shortName gives the short name of the detector; with create it makes one for a new detector, else the
// name of an unknown one is empty.
func (p *Place) shortName(ctx context.Context, create bool) (string, error) {
	if p.short != "" {
		return p.short, nil
	}
	if len(p.LongName) < maxPlainName {
		p.short = p.LongName
		return p.short, nil
	}
	const db = "cdb_detnames"
	docs, err := p.names(ctx, db)
	if err != nil {
		return "", err
	}
	last := 0
	ids := strings.Split(p.LongName, "_")[1:]
	for _, d := range docs {
		last = max(last, d.Seq)
		all := !slices.ContainsFunc(ids, func(id string) bool { return !strings.Contains(d.Long, id) })
		if d.Long == p.LongName || p.short == "" && all {
			p.short = d.Short
		}
		if d.Long == p.LongName {
			return p.short, nil
		}
	}
	if p.short != "" || !create {
		return p.short, nil
	}
	if err := p.Client.MayWrite(ctx, db); err != nil {
		return "", err
	}
	now := time.Now()
	d := nameDoc{Long: p.LongName, Short: fmt.Sprintf("%s_%06d", p.DetType, last+1), Seq: last + 1, UID: access.Login(), Host: access.Host(),
		Cwd: workDir(), TimeSec: now.Unix(), TimeStamp: stamp(now)}
	if _, err := p.Client.PostDocument(ctx, db, p.DetType, d); err != nil {
		return "", err
	}
	p.short = d.Short
	return p.short, nil
}

// nameDoc is a document of cdb_detnames.
type nameDoc struct {
	Long      string `json:"long"`
	Short     string `json:"short"`
	Seq       int    `json:"seqnumber"`
	UID       string `json:"uid"`
	Host      string `json:"host"`
	Cwd       string `json:"cwd"`
	TimeSec   int64  `json:"time_sec"`
	TimeStamp string `json:"time_stamp"`
}

func (p *Place) names(ctx context.Context, db string) ([]nameDoc, error) {
	var docs []nameDoc
	return docs, p.Client.get(ctx, decode(&docs), nil, db, p.DetType)
}

// databases are those that a deployment writes, in this order; the first one decides.
func (p *Place) databases(short string) []string {
	if p.Suffix != "" {
		return []string{"cdb_" + short + "_" + p.Suffix}
	}
	return []string{"cdb_" + p.Experiment, "cdb_" + short}
}

// docs gives the documents of this type in a database.
func (p *Place) docs(ctx context.Context, db, short string) ([]Doc, error) {
	return p.Client.Find(ctx, db, short, map[string]any{"detector": short, "ctype": p.CType})
}

// Items implements calib.Place.
func (p *Place) Items(ctx context.Context) (items []calib.Item, notes []string, err error) {
	short, err := p.shortName(ctx, false)
	if err != nil || short == "" {
		return nil, nil, err
	}
	db := p.databases(short)[0]
	docs, err := p.docs(ctx, db, short)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range docs {
		r, ok := d.validity()
		if !ok {
			notes = append(notes, fmt.Sprintf("document %s/%s: ignored by psana: runs %d to %v", db, d.ID, d.Run, d.RunEnd))
			continue
		}
		items = append(items, calib.Item{Range: r, Name: db + "/" + d.ID, Deployed: d.deployed()})
	}
	if docs, err = p.docs(ctx, "cdb_"+short, short); err != nil {
		return nil, nil, err
	}
	// The detector's database helps out with its youngest document, whatever its range.
	var youngest *Doc
	for i := range docs {
		if youngest == nil || docs[i].deployed() >= youngest.deployed() {
			youngest = &docs[i]
		}
	}
	if youngest != nil {
		items = append(items, calib.Item{Range: calib.Range{Begin: 0, End: calib.Last}, Name: "cdb_" + short + "/" + youngest.ID,
			Deployed: youngest.deployed(), Fallback: true})
	}
	return items, notes, nil
}

// Read implements calib.Place.
func (p *Place) Read(ctx context.Context, item calib.Item) (*calib.Array, string, error) {
	db, id, ok := strings.Cut(item.Name, "/")
	short, err := p.shortName(ctx, false)
	if err != nil {
		return nil, "", err
	}
	if !ok || short == "" {
		return nil, "", fault.New(fault.Input, "calibws: there is no document %q", item.Name)
	}
	d, err := p.Client.Document(ctx, db, short, id)
	if err != nil {
		return nil, "", err
	}
	return p.Client.read(ctx, db, d)
}

// Records implements calib.Place.
func (p *Place) Records(context.Context) ([]calib.Record, error) { return p.Ledger.Load() }

// Content implements calib.Place: nothing is ever deleted in the database.
func (p *Place) Content(ctx context.Context, rec calib.Record) (calib.Content, error) {
	if len(rec.Documents) == 0 {
		return calib.Content{}, fault.New(fault.Input, "deployment %s has left no document", rec.ID)
	}
	d := rec.Documents[0]
	a, sum, err := p.Read(ctx, calib.Item{Name: d.DB + "/" + d.DocID})
	if err != nil {
		return calib.Content{}, err
	}
	return calib.Content{Path: rec.Source, SHA256: sum, Array: a,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(&rawReader{values: a.Values}), nil }}, nil
}

// Collect implements calib.Place: it completes or aborts what was interrupted. Data without a document
// harm nobody and are left to the service.
func (p *Place) Collect(ctx context.Context) (int, error) {
	if _, err := os.Stat(p.Ledger.Dir); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	lock, err := filelock.Acquire(ctx, p.Ledger.Dir, p.LockWait, p.Ledger.Policy)
	if err != nil {
		return 0, err
	}
	defer lock.Release()
	return 0, p.repair(ctx)
}

func (p *Place) at(step string) error {
	if p.step != nil {
		return p.step(step)
	}
	return nil
}

// Deploy implements calib.Place.
func (p *Place) Deploy(ctx context.Context, rec calib.Record, content calib.Content) (calib.Record, bool, error) {
	if err := checkContent(ctx, content); err != nil {
		return rec, false, err
	}
	if err := p.Ledger.Policy.MkdirAll(p.Ledger.Dir); err != nil {
		return rec, false, err
	}
	lock, err := filelock.Acquire(ctx, p.Ledger.Dir, p.LockWait, p.Ledger.Policy)
	if err != nil {
		return rec, false, err
	}
	defer lock.Release()
	if err := p.repair(ctx); err != nil {
		return rec, false, err
	}
	short, err := p.shortName(ctx, true)
	if err != nil {
		return rec, false, err
	}
	for _, db := range p.databases(short) {
		if err := p.Client.MayWrite(ctx, db); err != nil {
			return rec, false, err
		}
	}
	raw, sum, err := rawBody(content.Array)
	if err != nil {
		return rec, false, err
	}
	rec.Content, rec.Source = sum, content.Path
	if old, same, err := p.inForce(ctx, rec); err != nil || same {
		return old, same, err
	}
	if err := p.begin(ctx, &rec); err != nil {
		return rec, false, err
	}
	for i := range p.databases(short) {
		if err := p.put(ctx, &rec, content.Array, raw, i); err != nil {
			return rec, false, p.interrupted(ctx, rec, err)
		}
	}
	return rec, false, p.finish(ctx, &rec)
}

// checkContent makes sure that what was planned is what is deployed.
func checkContent(ctx context.Context, c calib.Content) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != c.SHA256 {
		return fault.New(fault.Temporary, "the content read for deployment has SHA-256 %s, planned was %s", got, c.SHA256).
			WithHint("the merged file changed meanwhile: run the same command again")
	}
	return nil
}

// inForce tells whether the same deployment was the last one for its range.
func (p *Place) inForce(ctx context.Context, rec calib.Record) (old calib.Record, same bool, err error) {
	records, err := p.Ledger.Load()
	if err != nil {
		return rec, false, err
	}
	items, _, err := p.Items(ctx)
	if err != nil {
		return rec, false, err
	}
	i := calib.Pick(items, rec.Range.Begin)
	for _, old := range slices.Backward(records) {
		if old.State == calib.Done && old.Range == rec.Range && old.Action != calib.ActionFound {
			here := i >= 0 && len(old.Documents) > 0 && items[i].Name == old.Documents[0].DB+"/"+old.Documents[0].DocID
			return old, here && old.Key != "" && old.Key == rec.Key, nil
		}
	}
	return rec, false, nil
}

// begin notes what is in force and writes the intent.
func (p *Place) begin(ctx context.Context, rec *calib.Record) error {
	if err := p.at("intent"); err != nil {
		return err
	}
	items, _, err := p.Items(ctx)
	if err != nil {
		return err
	}
	if i := calib.Pick(items, rec.Run); i >= 0 {
		if rec.Previous, err = p.adopt(ctx, items[i]); err != nil {
			return err
		}
	}
	seen := ""
	if i := calib.Pick(items, rec.ExpectRun); i >= 0 && rec.Expect != nil {
		if seen, err = p.adopt(ctx, items[i]); err != nil {
			return err
		}
	}
	if err := rec.CheckFresh(seen); err != nil {
		return err
	}
	now := time.Now()
	rec.ID, rec.State, rec.Time = calib.NewID(now), calib.Intent, now.UTC()
	rec.Login, rec.Host, rec.Cwd = access.Login(), access.Host(), workDir()
	return p.Ledger.Append(*rec)
}

// adopt gives the content of an item in force; one of other programs gets a record, so that it can be
// deployed again.
func (p *Place) adopt(ctx context.Context, item calib.Item) (string, error) {
	records, err := p.Ledger.Load()
	if err != nil {
		return "", err
	}
	db, id, _ := strings.Cut(item.Name, "/")
	for _, r := range records {
		if r.Made(item.Name) {
			return r.Content, nil
		}
	}
	_, sum, err := p.Read(ctx, item)
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	return sum, p.Ledger.Append(calib.Record{ID: calib.NewID(now), Action: calib.ActionFound, State: calib.Done, Time: now, Range: item.Range,
		Name: item.Name, CType: p.CType, Content: sum, Documents: []calib.Document{{DB: db, DocID: id}}, Comment: "deployed by another program"})
}

// put sends data and document to the database of that number.
func (p *Place) put(ctx context.Context, rec *calib.Record, a *calib.Array, raw *body, number int) error {
	if err := p.at(fmt.Sprintf("data %d", number)); err != nil {
		return err
	}
	db := p.databases(p.short)[number]
	dataID, err := p.Client.post(ctx, raw, db, gridfs)
	if err != nil {
		return err
	}
	if err := p.at(fmt.Sprintf("document %d", number)); err != nil {
		return err
	}
	d, err := p.doc(*rec, a, dataID, number)
	if err != nil {
		return err
	}
	id, err := p.Client.PostDocument(ctx, db, p.short, d)
	if err != nil {
		return err
	}
	rec.Documents = append(rec.Documents, calib.Document{DB: db, DataID: dataID, DocID: id})
	return nil
}

// doc describes a deployment for the database of that number.
func (p *Place) doc(rec calib.Record, a *calib.Array, dataID string, number int) (*Doc, error) {
	ext, err := json.Marshal(extPars{Content: "extended parameters dict->json->str", Command: rec.Command, Deploy: rec.ID, SHA256: rec.Content})
	if err != nil {
		return nil, fmt.Errorf("could not encode the parameters of a document: %w", err)
	}
	d := &Doc{Experiment: rec.Experiment, Run: rec.Range.Begin, RunEnd: any("end"), Detector: p.short, CType: p.CType, DType: "ndarray",
		TimeSec: rec.RunTime.Unix(), TimeStamp: stamp(rec.RunTime), Version: rec.Version, Comment: rec.Comment, UID: rec.Login, Host: rec.Host,
		Cwd: rec.Cwd, DataID: dataID, ExpDataID: 0, ExpDocID: 0, DetName: p.DetName, LongName: p.LongName, ShortName: p.short, DetType: p.DetType,
		RunOrig: rec.Run, StampOrig: rec.RunTime.Format("20060102150405"), FileName: rec.Source, ExtPars: string(ext),
		DataType: "ndarray", DataDType: "uint64", DataSize: strconv.Itoa(len(a.Values)), DataNDim: strconv.Itoa(len(a.Shape)),
		DataShape: calibtxt.Tuple(a.Shape, " ")}
	if rec.Range.End < calib.Last {
		d.RunEnd = rec.Range.End
	}
	if p.Suffix != "" {
		d.ExpDataID, d.ExpDocID = "N/A", "N/A"
	}
	if number > 0 {
		d.ExpDataID, d.ExpDocID = rec.Documents[0].DataID, rec.Documents[0].DocID
	}
	return d, nil
}

// interrupted tells what of a deployment is live after an error, and closes the record if that is certain.
func (p *Place) interrupted(ctx context.Context, rec calib.Record, cause error) error {
	live, err := p.arrived(ctx, rec)
	switch {
	case err != nil:
		return fault.New(codeOf(cause), "deployment %s stopped, and what has arrived cannot be found out now: %w", rec.ID, cause).
			WithHint("run the same command again: it completes or aborts the deployment")
	case len(live) == 0:
		// If this fails the next call finds the intent and draws the same conclusion.
		_ = p.Ledger.Mark(rec, calib.Aborted, cause.Error())
		return cause
	}
	return fault.New(codeOf(cause), "deployment %s is live in %s, but not in the other database: %w", rec.ID, live[0].DB, cause).
		WithHint("run the same command again: it completes the deployment")
}

// codeOf keeps the class of an error; what has none is worth another try here.
func codeOf(err error) fault.Code {
	if c := fault.CodeOf(err); c != fault.Unexpected {
		return c
	}
	return fault.Temporary
}

// arrived lists the documents of a deployment that are in the databases.
func (p *Place) arrived(ctx context.Context, rec calib.Record) ([]calib.Document, error) {
	var live []calib.Document
	for _, db := range p.databases(p.short) {
		docs, err := p.Client.Find(ctx, db, p.short, map[string]any{"detector": p.short, "ctype": p.CType, "run": rec.Range.Begin})
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(docs, func(d Doc) bool { return d.ext().Deploy == rec.ID })
		if i < 0 {
			break
		}
		live = append(live, calib.Document{DB: db, DataID: docs[i].DataID, DocID: docs[i].ID})
	}
	return live, nil
}

// finish reads back what analysis will read and ends the record.
func (p *Place) finish(ctx context.Context, rec *calib.Record) error {
	if err := p.at("read back"); err != nil {
		return err
	}
	first := rec.Documents[0]
	rec.Name = first.DB + "/" + first.DocID
	_, sum, err := p.Read(ctx, calib.Item{Name: rec.Name})
	if err != nil {
		return err
	}
	if sum != rec.Content {
		return fault.New(fault.Unexpected, "document %s reads back as SHA-256 %s, sent was %s", rec.Name, sum, rec.Content).
			WithHint("the service has damaged the data: deploy again, or roll back")
	}
	if err := p.at("done"); err != nil {
		return err
	}
	rec.State = calib.Done
	return p.Ledger.Mark(*rec, calib.Done, "")
}

// repair ends a deployment that was interrupted: it is completed if its first document is live.
func (p *Place) repair(ctx context.Context) error {
	records, err := p.Ledger.Load()
	if err != nil {
		return err
	}
	rec, pending := calib.Pending(records)
	if !pending {
		return nil
	}
	short, err := p.shortName(ctx, false)
	if err != nil {
		return err
	}
	var live []calib.Document
	if short != "" {
		if live, err = p.arrived(ctx, rec); err != nil {
			return err
		}
	}
	if len(live) == 0 {
		return p.Ledger.Mark(rec, calib.Aborted, "interrupted before a document was in the database")
	}
	rec.Documents = live
	if len(live) < len(p.databases(short)) {
		a, sum, err := p.Read(ctx, calib.Item{Name: live[0].DB + "/" + live[0].DocID})
		if err != nil {
			return err
		}
		if sum != rec.Content {
			return fault.New(fault.Input, "document %s/%s of the interrupted deployment %s has other data than were sent", live[0].DB, live[0].DocID, rec.ID)
		}
		raw, _, err := rawBody(a)
		if err != nil {
			return err
		}
		if err := p.put(ctx, &rec, a, raw, len(live)); err != nil {
			return err
		}
	}
	return p.finish(ctx, &rec)
}

func workDir() string {
	cwd, err := os.Getwd()
	if err != nil {
		return "unknown"
	}
	return cwd
}
