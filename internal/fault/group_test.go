package fault

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestPanicsInGoroutinesBecomeErrors panics in goroutines: each comes back as an error of class Unexpected with the
// place, and cancels the others.
func TestPanicsInGoroutinesBecomeErrors(t *testing.T) {
	g, ctx := WithContext(context.Background())
	g.Go(func() error { return ctx.Err() })
	g.Go(func() error { panic("no such panel") })
	g.Go(func() error { <-ctx.Done(); return nil })
	if err := g.Wait(); CodeOf(err) != Unexpected || !strings.Contains(err.Error(), "no such panel") || !strings.Contains(err.Error(), "group_test.go") || HintOf(err) == "" {
		t.Errorf("%v", err)
	}
	var zero Group
	zero.SetLimit(1)
	want := errors.New("x")
	zero.Go(func() error { return want })
	if err := zero.Wait(); err != want {
		t.Errorf("%v", err)
	}
	done := make(chan error)
	Start(func() error { panic(1) }, func(err error) { done <- err })
	if err := <-done; CodeOf(err) != Unexpected {
		t.Errorf("%v", err)
	}
	Start(func() error { panic("nobody looks") }, nil)
}
