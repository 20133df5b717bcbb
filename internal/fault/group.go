package fault

import (
	"context"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// Safe calls f and returns a panic as an error of class Unexpected, with the stack. A panic in a goroutine
// would end the process at once, with the exit code of Go and whatever else is under way.
func Safe(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = New(Unexpected, "unexpected: %v\n%s", r, debug.Stack()).WithHint("this is a defect of the program: please report it with the lines above")
		}
	}()
	return f()
}

// Start runs f in a goroutine of its own and then, if done is not nil, done with its error.
func Start(f func() error, done func(error)) {
	go func() {
		err := Safe(f)
		if done != nil {
			done(err)
		}
	}()
}

// Group is an errgroup whose goroutines are Safe. The zero value is one without context and limit.
type Group struct {
	zero errgroup.Group
	of   *errgroup.Group
}

// WithContext returns a Group and a context that the first error of its goroutines cancels.
func WithContext(ctx context.Context) (*Group, context.Context) {
	g, inner := errgroup.WithContext(ctx)
	return &Group{of: g}, inner
}

func (g *Group) group() *errgroup.Group {
	if g.of != nil {
		return g.of
	}
	return &g.zero
}

// Go runs f in a goroutine, as soon as the limit allows.
func (g *Group) Go(f func() error) { g.group().Go(func() error { return Safe(f) }) }

// SetLimit bounds the goroutines at a time.
func (g *Group) SetLimit(n int) { g.group().SetLimit(n) }

// Wait waits for all goroutines and returns the first error.
func (g *Group) Wait() error { return g.group().Wait() }
