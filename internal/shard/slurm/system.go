package slurm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

// System is the world of a Client: Slurm's commands, the environment of this process, and time. The model of Slurm
// and tests put another one into the context.
type System interface {
	// Command runs sbatch, squeue, sacct, scontrol or scancel with these arguments and returns what it printed. The
	// error is exec.ErrNotFound when this machine has no such command, and another one when it did not end with 0.
	Command(ctx context.Context, name string, args ...string) (stdout, stderr string, err error)
	// Getenv reads a variable of this process, as os.Getenv.
	Getenv(key string) string
	Now() time.Time
	// Sleep returns early, with the cause, when ctx ends.
	Sleep(ctx context.Context, d time.Duration) error
}

type systemKey struct{}

// WithSystem returns a context in which NewClient makes clients of s.
func WithSystem(ctx context.Context, s System) context.Context {
	return context.WithValue(ctx, systemKey{}, s)
}

// SystemOf returns the system of a context, by default that of this machine.
func SystemOf(ctx context.Context) System {
	if s, ok := ctx.Value(systemKey{}).(System); ok {
		return s
	}
	return machine{}
}

// machine is the System of this process.
type machine struct{}

func (machine) Command(ctx context.Context, name string, args ...string) (string, string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", "", errors.Join(exec.ErrNotFound, err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "SLURM_TIME_FORMAT=standard")
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func (machine) Getenv(key string) string { return os.Getenv(key) }

func (machine) Now() time.Time { return time.Now() }

func (machine) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
