package open

import (
	"context"

	"rawstatus/internal/io/rawrun"
)

// Contents lists the content of a raw file.
type Contents struct {
	Path        string          `json:"path"`
	Size        int64           `json:"size"`
	Transitions []Count         `json:"transitions"`          // datagrams by kind, in the order of the format's numbers
	Damage      []Count         `json:"damage,omitempty"`     // datagrams, or what is in them, by damage bits
	Leaves      []Count         `json:"leaves,omitempty"`     // what is in the datagrams, by source and type; not all formats tell
	Detectors   []string        `json:"detectors"`            // what the last Configure describes, other than bookkeeping
	Configures  [][]Description `json:"configures,omitempty"` // what each Configure describes, in the order of the file
	Problem     string          `json:"problem,omitempty"`    // why the file cannot be read further
}

// surveyOf is a stream to look at.
type surveyOf struct {
	rawrun.Stream
	open  func(beside *rawrun.File, base string) (*rawrun.File, error)
	names bool // tell what each Configure describes
}

// Count is a number of things of a name.
type Count struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

// Description is one entry of a configuration.
type Description struct {
	ID        string   `json:"id"`
	Detector  string   `json:"detector"`
	Type      string   `json:"type"`
	Segment   int      `json:"segment"`
	Serial    string   `json:"serial"`
	Algorithm string   `json:"algorithm"`
	Version   string   `json:"version"`
	Fields    []string `json:"fields"`
}

// Survey lists what the files of a dataset hold, whether or not it can be indexed; with names also what
// each Configure describes.
func Survey(ctx context.Context, d Dataset, names bool) ([]Contents, error) {
	f, in, err := find(d)
	if err != nil || f.survey == nil {
		return nil, err
	}
	h := &rawrun.Handles{}
	defer h.Close()
	files, err := in.open(*f.names, h, false)
	if err != nil {
		return nil, err
	}
	streams, err := rawrun.Streams(files)
	if err != nil {
		return nil, err
	}
	var list []Contents
	for _, s := range streams {
		contents, err := f.survey(ctx, surveyOf{s, h.Beside, names})
		if err != nil {
			return nil, err
		}
		list = append(list, contents...)
	}
	return list, nil
}
