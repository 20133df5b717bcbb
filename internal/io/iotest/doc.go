// Package iotest is the conformance suite of raw formats: what an index and the frames behind it are
// like must not depend on the format. A reader takes part with one wiring file.
package iotest
