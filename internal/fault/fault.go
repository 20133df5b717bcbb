package fault

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Code is a process exit code.
type Code int

// The exit codes of both programs.
const (
	OK          Code = 0
	Unexpected  Code = 1
	Usage       Code = 2
	Different   Code = 4
	Input       Code = 10
	Incomplete  Code = 11
	Busy        Code = 12
	Refused     Code = 13
	Slurm       Code = 14
	Unposted    Code = 15
	Temporary   Code = 75
	Interrupted Code = 130
)

// Meaning is one line of the exit-code table.
type Meaning struct {
	Code Code
	Text string
}

// Codes returns the exit-code table in ascending order.
func Codes() []Meaning { return append([]Meaning(nil), codes...) }

var codes = []Meaning{
	{OK, "done"},
	{Unexpected, "unexpected error (a defect of the program; panics end here)"},
	{Usage, "wrong command line or configuration"},
	{Different, "done: what was compared is different (diff)"},
	{Input, "input cannot be read or is not what it should be"},
	{Incomplete, "incomplete: raw data, panels or partial results are missing"},
	{Busy, "repository or lock was busy for too long"},
	{Refused, "refused: by the deployment gate, or a result that would replace one of more data"},
	{Slurm, "Slurm said no"},
	{Unposted, "posted incompletely (post)"},
	{Temporary, "temporary failure, run again (terminated, disk full, I/O error)"},
	{Interrupted, "interrupted by the user"},
}

// Error is an error for the user: a class, what happened, and what to do next.
type Error struct {
	Code Code
	Msg  string
	Hint string // what to do next, one sentence; may be empty
	Err  error  // cause; may be nil
}

// Error returns the message with its cause, without the hint.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a class; format and args as fmt.Errorf, %w included.
func New(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint adds the sentence that advises the user what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// CodeOf returns the exit code of an error: that of the outermost Error in its chain, else the class
// of the system error in it, else Unexpected. A nil error is OK. A permission that is lacking and a state of the
// machine keep their class whatever the caller took the failure for: a directory that may not be read is not one
// that lacks a file.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	var e *Error
	if s, ok := overruling(err); ok {
		return s.code
	}
	if errors.As(err, &e) {
		return e.Code
	}
	if s, ok := systemOf(err); ok {
		return s.code
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	return Unexpected
}

// HintOf returns the first hint in the chain of an error, else that of the system error in it, or the
// empty string. What decides the class decides the hint.
func HintOf(err error) string {
	if s, ok := overruling(err); ok {
		return s.hint
	}
	for e := err; e != nil; {
		var x *Error
		if !errors.As(e, &x) {
			break
		}
		if x.Hint != "" {
			return x.Hint
		}
		e = x.Err
	}
	s, _ := systemOf(err)
	return s.hint
}

// Message returns the text of an error for the user. A full disk is said first: behind two long paths
// nobody finds it.
func Message(err error) string {
	if IsFull(err) {
		return "disk full: " + err.Error()
	}
	return err.Error()
}

// IsFull reports whether an error comes from a full disk or a quota.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
