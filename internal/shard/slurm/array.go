package slurm

import (
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// Chunk is one Slurm array: the tasks Offset+i for i in Indices.
type Chunk struct {
	Offset  int
	Indices []int // ascending
}

// Chunks cuts ascending task numbers into arrays that the cluster accepts.
func Chunks(tasks []int, lim Limits) []Chunk {
	var chunks []Chunk
	for _, t := range tasks {
		offset := t - t%lim.MaxArraySize
		if n := len(chunks); n == 0 || chunks[n-1].Offset != offset || len(chunks[n-1].Indices) == lim.MaxArrayTask {
			chunks = append(chunks, Chunk{Offset: offset})
		}
		last := &chunks[len(chunks)-1]
		last.Indices = append(last.Indices, t-offset)
	}
	return chunks
}

// Spec gives the --array option of a chunk: ranges, and a throttle of that many running at a time unless 0.
func (c Chunk) Spec(throttle int) string {
	spec := FormatTasks(c.Indices)
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

// FormatTasks writes ascending numbers as ranges: 0-3,7,9-10.
func FormatTasks(tasks []int) string {
	var b strings.Builder
	for i := 0; i < len(tasks); {
		j := i
		for j+1 < len(tasks) && tasks[j+1] == tasks[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(tasks[i]))
		if j > i {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(tasks[j]))
		}
		i = j + 1
	}
	return b.String()
}

// ParseTasks reads ranges as FormatTasks writes them; numbers must be below limit. The result ascends.
func ParseTasks(spec string, limit int) ([]int, error) {
	chosen := make([]bool, limit)
	for part := range strings.SplitSeq(spec, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first {
			return nil, fault.New(fault.Usage, "tasks %q: %q is not a number or a range", spec, part).
				WithHint("write tasks as 3,17 or 0-7,12")
		}
		if last >= limit {
			return nil, fault.New(fault.Usage, "tasks %q: there is no task %d, the plan has 0-%d", spec, last, limit-1)
		}
		for t := first; t <= last; t++ {
			chosen[t] = true
		}
	}
	var tasks []int
	for t, yes := range chosen {
		if yes {
			tasks = append(tasks, t)
		}
	}
	return tasks, nil
}
