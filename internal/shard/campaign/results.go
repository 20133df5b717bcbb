package campaign

import "fmt"

// Results returns the items as far as files tell, without asking Slurm: those that are done with their
// summaries, all others as waiting or failed.
func (c *Campaign) Results() (*View, error) {
	v := &View{}
	for _, it := range c.Items {
		s := &State{Item: it, Key: it.Key()}
		if err := c.look(s, nil, false); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Key, err)
		}
		v.Items = append(v.Items, s)
	}
	return v, nil
}
