package npy

import (
	"fmt"

	"rawstatus/internal/fault"
)

// Error says which bytes of a .npy file are not what they should be.
type Error struct {
	File   string
	Offset int64  // of the first byte of What
	What   string // the part of the file
	Want   string
	Got    string
}

func (e *Error) Error() string {
	return fmt.Sprintf("npy: %q byte %#x: %s: want %s, got %s", e.File, e.Offset, e.What, e.Want, e.Got)
}

func inputError(e *Error) *fault.Error { return fault.New(fault.Input, "%w", e) }
