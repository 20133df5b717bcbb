package simulate

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The slow reader is a second opinion on a run: it scans every datagram of every data file in order,
// knows no index, no smalldata and no other shortcut, and builds events by looking times up. It shares no
// code with the readers and is written from the formats' documents.

// slowFrame is a frame of one panel.
type slowFrame struct {
	path string
	off  int64 // of the first pixel
	// words are its pixels, if they were asked for.
	words []uint16
}

// slowPanel names a panel.
type slowPanel struct {
	detector string
	segment  int
}

// slowRun is the content of the files of a run.
type slowRun struct {
	frames map[uint64]map[slowPanel]slowFrame // usable ones, by time-stamp of the event
	lost   map[uint64]map[slowPanel]bool      // damaged ones
	begins []uint64                           // BeginSteps
	ends   map[int]bool                       // EndRun by stream
	events map[uint64]bool
	claims []slowClaim      // of the gain
	took   map[int][]uint64 // BeginSteps by stream
}

func newSlowRun() *slowRun {
	return &slowRun{map[uint64]map[slowPanel]slowFrame{}, map[uint64]map[slowPanel]bool{}, nil, map[int]bool{}, map[uint64]bool{}, nil, map[int][]uint64{}}
}

// step is the number of the step at a time.
func (r *slowRun) step(ts uint64) int {
	step := -1
	for _, b := range r.begins {
		if b <= ts {
			step++
		}
	}
	return step
}

// add keeps the first frame of a panel in an event.
func (r *slowRun) add(ts uint64, p slowPanel, f slowFrame, usable bool) {
	if _, ok := r.frames[ts][p]; ok || r.lost[ts][p] {
		return
	}
	if !usable {
		if r.lost[ts] == nil {
			r.lost[ts] = map[slowPanel]bool{}
		}
		r.lost[ts][p] = true
		return
	}
	if r.frames[ts] == nil {
		r.frames[ts] = map[slowPanel]slowFrame{}
	}
	r.frames[ts][p] = f
}

var slowName = regexp.MustCompile(`-r(\d+)-s(\d+)-c(\d+)(?:\.smd)?\.xtc2?$`)

// slowRead reads the data files of a folder, stream by stream, chunk by chunk, and the pixels of frames of so many.
func slowRead(dir string, lcls1 bool, pixels int) (*slowRun, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	type file struct {
		stream, chunk int
		path          string
	}
	var files []file
	for _, e := range entries {
		if m := slowName.FindStringSubmatch(e.Name()); m != nil {
			s, _ := strconv.Atoi(m[2])
			c, _ := strconv.Atoi(m[3])
			files = append(files, file{s, c, filepath.Join(dir, e.Name())})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return (a.stream-b.stream)*1000 + a.chunk - b.chunk })
	r := newSlowRun()
	names := map[uint32]slowNames{}
	before := -1
	ended := false
	for _, f := range files {
		b, err := os.ReadFile(f.path)
		if err != nil {
			return nil, err
		}
		if f.stream != before {
			names, ended = map[uint32]slowNames{}, false
		}
		before = f.stream
		if lcls1 {
			r.readXtc1(b, f.stream, f.path, &ended)
		} else {
			r.readXtc2(b, f.stream, f.path, names, &ended)
		}
	}
	slices.Sort(r.begins)
	r.begins = slices.Compact(r.begins)
	return r, r.pixels(pixels)
}

// pixels reads the words of all frames.
func (r *slowRun) pixels(n int) error {
	files := map[string][]byte{}
	for ts, panels := range r.frames {
		for p, f := range panels {
			if files[f.path] == nil {
				b, err := os.ReadFile(f.path)
				if err != nil {
					return err
				}
				files[f.path] = b
			}
			b := files[f.path][f.off:]
			f.words = make([]uint16, min(n, len(b)/2))
			for i := range f.words {
				f.words[i] = u16(b[2*i:])
			}
			r.frames[ts][p] = f
		}
	}
	return nil
}

// slowNames is the part of a description that a reader of frames must know.
type slowNames struct {
	panel  slowPanel
	frame  bool
	fields int
	text   []byte // from the first field on
}

const slowStr = 256

// text is a string that ends at its first NUL.
func text(b []byte) string { s, _, _ := strings.Cut(string(b), "\x00"); return s }

var u16, u32 = binary.LittleEndian.Uint16, binary.LittleEndian.Uint32

func (r *slowRun) readXtc2(b []byte, stream int, path string, names map[uint32]slowNames, ended *bool) {
	for at := 0; at+24 <= len(b); {
		end := at + 12 + int(u32(b[at+20:]))
		if end < at+24 || end > len(b) {
			return
		}
		ts := uint64(u32(b[at+4:]))<<32 | uint64(u32(b[at:]))
		service, damage := u32(b[at+8:])>>24&15, u16(b[at+16:])
		switch service {
		case 2: // Configure
			clear(names)
			slowXtc2(b, at+24, end, func(typ uint16, src uint32, _ uint16, from, to int) {
				if typ == 4 {
					n := slowNames{fields: (to - from - 1036) / 524, text: b[from+1036 : to]}
					n.panel.detector, n.panel.segment = text(b[from+4+slowStr:][:slowStr]), int(u32(b[from+1032:]))
					n.frame = text(b[from+4+3*slowStr:][:slowStr]) == "raw" && n.fields > 0 && slices.Contains([]string{"raw", "image"}, text(b[from+1036+260:][:slowStr]))
					names[src&0x0fffffff] = n
				} else if typ == 1 {
					r.claims2(b, from, to, names[src&0x0fffffff], slowClaim{stream: stream, ts: ts, path: path})
				}
			})
		case 4: // BeginRun
			*ended = false
		case 5: // EndRun
			*ended = true
			r.ends[stream] = true
		case 6: // BeginStep
			r.begins = append(r.begins, ts)
			r.took[stream] = append(r.took[stream], ts)
			slowXtc2(b, at+24, end, func(typ uint16, src uint32, _ uint16, from, to int) {
				if n, ok := names[src&0x0fffffff]; ok && typ == 1 {
					r.claims2(b, from, to, n, slowClaim{stream: stream, ts: ts, step: true, path: path})
				}
			})
		case 12:
			if *ended {
				break
			}
			r.events[ts] = true
			slowXtc2(b, at+24, end, func(typ uint16, src uint32, own uint16, from, to int) {
				n := names[src&0x0fffffff]
				if typ != 1 || !n.frame {
					return
				}
				bad := own
				pixels := int64(-1)
				slowXtc2(b, from, to, func(typ uint16, _ uint32, own uint16, from, to int) {
					if typ == 3 { // Data; the frame is its first field
						pixels, bad = int64(from), bad|own
					}
				})
				r.add(ts, n.panel, slowFrame{path: path, off: pixels}, bad&0x2f == 0 && pixels >= 0)
			})
			if damage&0x29 != 0 && len(r.lost[ts]) == 0 { // of the whole datagram, and of no panel alone
				for p, f := range r.frames[ts] {
					if f.path == path {
						delete(r.frames[ts], p)
						r.add(ts, p, f, false)
					}
				}
			}
		}
		at = end
	}
}

// slowXtc2 visits containers one behind the other.
func slowXtc2(b []byte, at, end int, visit func(typ uint16, src uint32, damage uint16, from, to int)) {
	for at+12 <= end {
		to := at + int(u32(b[at+8:]))
		if to < at+12 || to > end {
			return
		}
		typ := u16(b[at+6:]) & 0xfff
		if typ == 0 {
			slowXtc2(b, at+12, to, visit)
		} else {
			visit(typ, u32(b[at:]), u16(b[at+4:]), at+12, to)
		}
		at = to
	}
}

func (r *slowRun) readXtc1(b []byte, stream int, path string, ended *bool) {
	for at := 0; at+40 <= len(b); {
		end := at + 20 + int(u32(b[at+36:]))
		if end < at+40 || end > len(b) {
			return
		}
		ts := uint64(u32(b[at+4:]))<<32 | uint64(u32(b[at:]))
		switch b[at+11] & 0xf {
		case 4:
			r.configs(b, at+40, end, slowClaim{stream: stream, ts: ts, path: path})
		case 6:
			*ended = false
		case 7:
			*ended = true
			r.ends[stream] = true
		case 8:
			r.begins = append(r.begins, ts)
			r.took[stream] = append(r.took[stream], ts)
			r.configs(b, at+40, end, slowClaim{stream: stream, ts: ts, step: true, path: path})
		case 12:
			if *ended {
				break
			}
			r.events[ts] = true
			r.leaves(b, at+40, end, ts, path)
		}
		at = end
	}
}

// leaves adds the frames of Jungfraus, Epix100a and cameras below a container.
func (r *slowRun) leaves(b []byte, at, end int, ts uint64, path string) {
	for at+20 <= end {
		to := at + int(u32(b[at+16:]))
		if to < at+20 || to > end {
			return
		}
		damage, phy, typ := u32(b[at:]), u32(b[at+8:]), u32(b[at+12:])
		head, panels := -1, 1
		switch typ {
		case 1, 1 | 1<<16:
			r.leaves(b, at+20, to, ts, path)
		case 108 | 2<<16: // Jungfrau: the simulated ones have two panels
			panels, head = 2, 16+20*2
		case 75 | 3<<16: // Epix
			head = 32
		case 2 | 1<<16: // camera
			head = 16
		}
		size := (to - at - 20 - head) / panels
		if typ == 2|1<<16 && head >= 0 {
			size = 0
		}
		for p := range panels {
			if head >= 0 && to > at+20 {
				r.add(ts, slowPanel{fmt.Sprint(phy), p}, slowFrame{path: path, off: int64(at + 20 + head + p*size)}, damage == 0)
			}
		}
		at = to
	}
}

// configs reads the configurations of Jungfraus below a container.
func (r *slowRun) configs(b []byte, at, end int, c slowClaim) {
	for at+20 <= end {
		to := at + int(u32(b[at+16:]))
		if to < at+20 || to > end {
			return
		}
		switch typ := u32(b[at+12:]); {
		case typ&0xffff == 1:
			r.configs(b, at+20, to, c)
		case typ&0xffff == 107:
			r.claims1(b, at+20, fmt.Sprint(u32(b[at+8:])), c)
		}
		at = to
	}
}
