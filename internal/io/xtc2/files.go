package xtc2

import (
	"fmt"
	"regexp"
	"strconv"
)

// Name is the parts of a file name.
type Name struct {
	Experiment string
	Run        int
	Stream     int
	Chunk      int
	Smalldata  bool
	InProgress bool // a data mover is copying it
}

var namePattern = regexp.MustCompile(`^(.+)-r(\d+)-s(\d+)-c(\d+)(?:-i\d+)?(\.smd)?\.xtc2(\.inprogress)?$`)

// ParseName takes a base name apart; numbers may have any count of digits.
func ParseName(base string) (n Name, ok bool) {
	m := namePattern.FindStringSubmatch(base)
	if m == nil {
		return n, false
	}
	n = Name{Experiment: m[1], Smalldata: m[5] != "", InProgress: m[6] != ""}
	for i, to := range []*int{&n.Run, &n.Stream, &n.Chunk} {
		v, err := strconv.Atoi(m[2+i])
		if err != nil {
			return n, false
		}
		*to = v
	}
	return n, true
}

// String gives the base name as present-day writers make it.
func (n Name) String() string {
	s := fmt.Sprintf("%s-r%04d-s%03d-c%03d", n.Experiment, n.Run, n.Stream, n.Chunk)
	if n.Smalldata {
		s += ".smd"
	}
	s += ".xtc2"
	if n.InProgress {
		s += ".inprogress"
	}
	return s
}
