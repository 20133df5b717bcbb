package charge

// The original's check of pulse ids, in counts of its clock.
const (
	pulseStep  = 7761 // from one event to the next at 120 Hz
	pulseSlack = 776  // less than this may be missing or too many
)

// Records returns the frames [lo, hi) of a step that the original uses: at most most of them, and where
// pulse ids do not follow each other in steps of 120 Hz it begins again in the first half of most, and ends in the
// second. ids are the pulse ids of the frames.
func Records(ids []int64, most int) (lo, hi int) {
	last := -1
	for k, id := range ids {
		if last > most-2 {
			return lo, k
		}
		if off := int64(pulseStep); k > 0 {
			if off = id - ids[k-1] - pulseStep; off <= -pulseSlack || off >= pulseSlack {
				if last >= most/2 {
					return lo, k
				}
				lo, last = k, -1
			}
		}
		last++
	}
	return lo, len(ids)
}
