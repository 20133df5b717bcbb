package reduce

import (
	"fmt"
	"maps"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
)

// zeroState names frames of nothing but zeros among those that were lost.
const zeroState = "all zero"

// noteBlanks counts frames of nothing but zeros, which tasks have found and left out, as lost, in the units of the
// plan. Too many make the data incomplete.
func noteBlanks(p *plan.Plan, units []int, in []planes) error {
	for i, u := range units {
		unit := &p.Units[u]
		if in[i].set == nil || in[i].set.Zeros == 0 || unit.Lost[zeroState] > 0 {
			continue
		}
		zeros := int(in[i].set.Zeros)
		lost := maps.Clone(unit.Lost)
		if lost == nil {
			lost = map[string]int{}
		}
		lost[zeroState] = zeros
		unit.Lost = lost
		n := unit.Expected - unit.Selected + zeros
		if float64(n)*100 <= p.Params.MaxLost*float64(unit.Expected) {
			continue
		}
		text := fmt.Sprintf("%s lost %d of %s, %d of them are nothing but zeros (--max-lost %.3g, --zero-frames keep if the detector really reads zero)",
			p.UnitName(u), n, fault.Count(unit.Expected, "event"), zeros, p.Params.MaxLost)
		if !p.Params.AllowIncomplete {
			return plan.Incomplete(p.Dataset.Run, []string{text})
		}
		p.Incomplete = append(p.Incomplete, text)
	}
	return nil
}
