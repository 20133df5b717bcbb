package plan

// Memory of a task, whatever the number of frames. internal/shard/task keeps to these sizes.
const (
	// ArenaBytes bounds the buffers into which frames are read.
	ArenaBytes = 384 << 20
	// LeadBytes bounds the leading frames that are held together to find gates from them.
	LeadBytes = ArenaBytes / 3
	// accumulatorBytes bounds the accumulators of shards that are counted together, at bytesPerPixel.
	accumulatorBytes = 128 << 20
	// bytesPerPixel of accumulators, all of which are there where frames come in superblocks, and of tiles that wait to be written.
	bytesPerPixel = 96
	// gateBytes bounds what one worker holds of the leading frames.
	gateBytes = 8 << 20
	// ResidualBytes bounds the residuals of feature 6 that a task holds; never less than those of one window.
	ResidualBytes = 256 << 20
	// baseMemory covers the program itself, the index, the compressor.
	baseMemory = 64 << 20
)

// GateBand returns how many pixels of so many leading frames a worker takes at once.
func GateBand(frames int) int { return max(64, gateBytes/2/max(1, frames)&^63) }

// Sweeps cuts the shards of a task into those that are counted together: as many as the memory for
// accumulators allows, at least one.
func (p *Plan) Sweeps(task int) [][]int {
	var out [][]int
	var pixels int
	for _, s := range p.Tasks[task].Shards {
		n := p.Pixels(p.Shards[s].Unit)
		if len(out) == 0 || (pixels+n)*bytesPerPixel > accumulatorBytes {
			out, pixels = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], s)
		pixels += n
	}
	return out
}

func (p *Plan) taskMemory(task, workers int) int64 {
	var most int64
	for _, together := range p.Sweeps(task) {
		var accumulators, frames int64
		for _, s := range together {
			n := int64(p.Pixels(p.Shards[s].Unit))
			accumulators += n * bytesPerPixel
			frames += 3 * n * 2 // a sweep holds at least three frames of each lane
		}
		most = max(most, accumulators+max(frames, ArenaBytes))
	}
	if p.Tasks[task].Stage == StagePixels && p.Params.Has(6) {
		most += p.residualMemory(task)
	}
	return baseMemory + most + int64(workers)*gateBytes
}

// residualMemory returns the memory for residuals that a task needs: those of one window are held together.
func (p *Plan) residualMemory(task int) int64 {
	most := int64(ResidualBytes)
	for _, s := range p.Tasks[task].Shards {
		sh := p.Shards[s]
		if flat, err := p.Params.Flatness(p.Panel(sh.Unit)); err == nil { // else the task will refuse it
			most = max(most, flat.Bytes(flat.Bands()[sh.BandLo], 0, 1, sh.Hi-sh.Lo))
		}
	}
	return most
}
