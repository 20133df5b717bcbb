package calibws

import (
	"context"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
)

// Shape returns the shape that the document of an item states, whatever the type of its words.
func (s *Store) Shape(ctx context.Context, item calib.Item) ([]int, error) {
	db, id, ok := strings.Cut(item.Name, "/")
	short, err := s.shortName(ctx, false)
	if err != nil {
		return nil, err
	}
	if !ok || short == "" {
		return nil, fault.New(fault.Input, "calibws: there is no document %q", item.Name)
	}
	d, err := s.Client.Document(ctx, db, short, id)
	if err != nil {
		return nil, err
	}
	return parseShape(d.DataShape)
}
