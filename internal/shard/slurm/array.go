package slurm

import (
	"strconv"

	"rawstatus/internal/ranges"
)

// Chunk is one Slurm array: the tasks Offset+i for i in Indices.
type Chunk struct {
	Offset  int   `json:"offset"`
	Indices []int `json:"indices"` // ascending
	Stage   int   `json:"stage,omitempty"`
}

// Chunks cuts ascending task numbers into arrays that the cluster accepts and that have tasks of one stage each;
// stage returns the stage of a task, ascending; nil: there is one.
func Chunks(tasks []int, stage func(task int) int, lim Limits) []Chunk {
	if stage == nil {
		stage = func(int) int { return 0 }
	}
	var chunks []Chunk
	for _, t := range tasks {
		offset := t - t%lim.MaxArraySize
		if n := len(chunks); n == 0 || chunks[n-1].Offset != offset || chunks[n-1].Stage != stage(t) || len(chunks[n-1].Indices) == lim.MaxArrayTask {
			chunks = append(chunks, Chunk{Offset: offset, Stage: stage(t)})
		}
		last := &chunks[len(chunks)-1]
		last.Indices = append(last.Indices, t-offset)
	}
	return chunks
}

// Spec returns the --array option of a chunk: ranges, and a throttle of that many running at a time unless 0.
func (c Chunk) Spec(throttle int) string {
	spec := ranges.Of(c.Indices).String()
	if throttle > 0 {
		spec += "%" + strconv.Itoa(throttle)
	}
	return spec
}

// Throttles shares a limit on running elements among chunks, at least one each; all 0 for no limit.
func Throttles(chunks []Chunk, limit int) []int {
	shares := make([]int, len(chunks))
	if limit <= 0 {
		return shares
	}
	total := 0
	for _, c := range chunks {
		total += len(c.Indices)
	}
	for i, c := range chunks {
		shares[i] = max(1, limit*len(c.Indices)/total)
	}
	return shares
}
