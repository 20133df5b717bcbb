package plan

// Memory of a task, whatever the number of frames. internal/shard/task keeps to these sizes.
const (
	// ArenaBytes bounds the buffers into which frames are read.
	ArenaBytes = 384 << 20
	// WindowBytes bounds the mapped pages of files that a task looks at, where files are mapped. They are
	// the page cache's and can be taken back, but count where a job's memory is limited.
	WindowBytes = 1 << 30
	// accumulatorBytes bounds the accumulators of shards that are counted together, at bytesPerPixel.
	accumulatorBytes = 128 << 20
	// bytesPerPixel of accumulators and of the planes made from them.
	bytesPerPixel = 96
	// gateBytes bounds what one worker holds of the leading frames.
	gateBytes = 8 << 20
	// residualBytes bounds the residuals of feature 6 that all workers hold.
	residualBytes = 256 << 20
	// residualWorkers is how many workers share them at most: with less each, rows would be read too often.
	residualWorkers = 8
	// baseMemory covers the program itself, the index, the compressor.
	baseMemory = 64 << 20
)

// GateBand is how many pixels of so many leading frames a worker takes at once.
func GateBand(frames int) int { return max(64, gateBytes/2/max(1, frames)&^63) }

// ResidualWorkers gives how many of the workers may hold residuals of feature 6, and the bytes for each.
func ResidualWorkers(workers int) (n int, bytes int64) {
	n = max(1, min(workers, residualWorkers))
	return n, residualBytes / int64(n)
}

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
		most += residualBytes
	}
	return baseMemory + most + int64(workers)*gateBytes
}
