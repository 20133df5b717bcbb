package plan

// Sizes that decide how much memory a task needs; internal/shard/task works with them.
const (
	// BandPixels is how many pixels of a panel a worker takes through all frames at once.
	BandPixels = 128 << 10
	// BlockFrames is how many frames of a band a worker holds at once (profile dark: at least the
	// frames of its gates).
	BlockFrames = 64
	// bytesPerPixel of accumulators and the planes made from them: gates, min, max (2 each), sum0,
	// n_lo, n_hi (4 each), sum1, sum2 (8 each), twice because a partial is encoded while they live.
	bytesPerPixel = 2 * (4*2 + 3*4 + 2*8)
	// baseMemory covers the program itself, the index and compressor state.
	baseMemory = 64 << 20
)

func (p *Plan) shardMemory(shard, workers int) int64 {
	s := p.Shards[shard]
	frames := max(BlockFrames, min(p.Params.GateFrames, p.Units[s.Unit].Selected))
	pixels := p.Pixels(s.Unit)
	workers = min(workers, (pixels+BandPixels-1)/BandPixels)
	return baseMemory + int64(pixels)*bytesPerPixel + int64(workers)*int64(min(pixels, BandPixels))*2*int64(frames)
}
