package open

import (
	"context"
	"errors"
	"fmt"

	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/xtc1"
)

// surveyXtc1 looks at every file of a stream.
func surveyXtc1(ctx context.Context, s surveyOf) ([]Contents, error) {
	var list []Contents
	for _, f := range s.Files {
		if !f.IsThere() {
			continue
		}
		c := Contents{Path: f.Path, Size: f.Size}
		transitions, leaves, damage := counter{}, counter{}, counter{}
		err := xtc1.Scan(ctx, f, func(d *xtc1.Datagram) error {
			transitions.add(d.Service)
			var described []Description
			for _, l := range d.Leaves {
				leaves.add(l.String())
				if l.Damage != 0 {
					damage.add(fmt.Sprintf("%#x", l.Damage))
				}
				if !s.names {
					continue
				}
				described = append(described, Description{ID: fmt.Sprintf("%#x", l.Offset), Detector: l.Source, Type: l.TypeName,
					Version: fmt.Sprintf("v%d", l.Version), Fields: []string{fmt.Sprintf("%d bytes", l.Size)}})
			}
			if d.Service == "Configure" && s.names {
				c.Configures = append(c.Configures, described)
			}
			return nil
		})
		var problem *cursor.Error
		switch {
		case errors.As(err, &problem):
			c.Problem = err.Error()
		case err != nil:
			return nil, err
		}
		c.Transitions, c.Leaves, c.Damage = transitions.list, leaves.list, damage.list
		list = append(list, c)
	}
	return list, nil
}

// counter counts things by name, in the order in which they come first.
type counter struct {
	list []Count
	at   map[string]int
}

func (c *counter) add(name string) {
	i, ok := c.at[name]
	if !ok {
		if c.at == nil {
			c.at = map[string]int{}
		}
		i = len(c.list)
		c.at[name] = i
		c.list = append(c.list, Count{Name: name})
	}
	c.list[i].N++
}
