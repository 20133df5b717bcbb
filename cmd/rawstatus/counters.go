package main

import (
	"rawstatus/internal/fault"

	"cmp"
	"context"
	"fmt"
	"html"
	"os"
	"sync/atomic"
	"time"

	"rawstatus/internal/io/elog"
	"rawstatus/internal/shard/post"
	"rawstatus/internal/shard/slurm"
)

// counters is the progress table of a job of the automatic run processor. One process of a job posts it:
// run itself; submit, while it follows its tasks, and then its last job. Without the processor its methods do nothing.
type counters struct {
	env    *environment
	client *elog.Client
	url    string
	begin  time.Time
	last   time.Time // of follow
	warned bool
}

// countersEvery is the shortest time between two posts of progress.
const countersEvery = 10 * time.Second

// newCounters returns the table at url; an empty one names none.
func newCounters(e *environment, url string) *counters {
	return &counters{env: e, client: &elog.Client{}, begin: time.Now(), url: url}
}

// countersURL returns the table that the environment names, by its newer name, else by its older one, if the job is posted.
func countersURL(posted bool) string {
	if !posted {
		return ""
	}
	return cmp.Or(os.Getenv("ARP_UPDATE_COUNTERS"), os.Getenv("JID_UPDATE_COUNTERS"))
}

// post replaces the table. A failure is said once and changes nothing else.
func (n *counters) post(ctx context.Context, rows ...elog.Counter) {
	if n.url == "" {
		return
	}
	for i := range rows {
		rows[i].Key = "<b>" + html.EscapeString(rows[i].Key) + "</b>"
		if text, ok := rows[i].Value.(string); ok {
			rows[i].Value = html.EscapeString(text)
		}
	}
	if err := n.client.Counters(ctx, n.url, rows); err != nil && !n.warned {
		n.env.Log.Warnf("%v", err)
		n.warned = true
	}
}

// watch posts progress until the function returned is called.
func (n *counters) watch(ctx context.Context, what string, done *atomic.Int64, total int64) (stop func()) {
	if n.url == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	fault.Start(func() error {
		defer close(ended)
		tick := time.NewTicker(countersEvery)
		defer tick.Stop()
		for {
			bytes := done.Load()
			rate := float64(bytes) / max(time.Since(n.begin).Seconds(), 1e-3)
			n.post(ctx, elog.Counter{Key: "rawstatus", Value: what}, elog.Counter{Key: "raw data", Value: fmt.Sprintf("%.1f of %.1f GB", float64(bytes)/1e9, float64(total)/1e9)},
				elog.Counter{Key: "rate", Value: fmt.Sprintf("%.2f GB/s", rate/1e9)})
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}, nil)
	return func() {
		cancel()
		<-ended
	}
}

// follow posts how many tasks of a chain are done, while some are not: the last job of the chain posts the result.
func (n *counters) follow(ctx context.Context, r *slurm.Report) {
	if r.Counts[slurm.StateDone] == len(r.Tasks) || time.Since(n.last) < countersEvery {
		return
	}
	n.last = time.Now()
	n.post(ctx, elog.Counter{Key: "rawstatus", Value: "counting"}, elog.Counter{Key: "tasks done", Value: fmt.Sprintf("%d of %d", r.Counts[slurm.StateDone], len(r.Tasks))},
		elog.Counter{Key: "tasks failed", Value: r.Counts[slurm.StateFailed]})
}

// final posts the last state.
func (n *counters) final(ctx context.Context, o *post.Outcome) {
	n.post(ctx, elog.Counter{Key: "rawstatus", Value: fmt.Sprintf("%s run %d: %s", o.Detector, o.Run, o.State)},
		elog.Counter{Key: "bad pixels", Value: fmt.Sprintf("%d of %d", o.Bad, o.Pixels)})
}
