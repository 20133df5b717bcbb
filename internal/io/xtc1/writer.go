package xtc1

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
)

// Transition is the service of a datagram.
type Transition uint8

// The transitions of a run, in the order in which a stream has them.
const (
	Configure       Transition = trConfigure
	BeginRun        Transition = trBeginRun
	BeginCalibCycle Transition = trBeginCalibCycle
	Enable          Transition = trEnable
	L1Accept        Transition = trL1Accept
	Disable         Transition = trDisable
	EndCalibCycle   Transition = trEndCalibCycle
	EndRun          Transition = trEndRun
	Unconfigure     Transition = trUnconfigure
)

// Address says where a container or leaf comes from.
type Address struct{ Log, Phy uint32 }

// Node returns the address of a process of the data acquisition: a readout node (level 2, segment), the
// event builder (3) or a recorder (4).
func Node(level uint8, pid, ip uint32) Address { return Address{uint32(level)<<24 | pid&0xffffff, ip} }

var sourcePattern = regexp.MustCompile(`^(\w+)\.(\d+):(\w+)\.(\d+)$`)

// ParseSource returns the address of a detector by its full name, e.g. XppGon.0:Epix100a.1.
func ParseSource(s string) (Address, error) {
	m := sourcePattern.FindStringSubmatch(s)
	if m == nil {
		m = make([]string, 5)
	}
	det, dev := slices.Index(detectorNames, m[1]), slices.Index(deviceNames, m[3])
	detID, err1 := strconv.ParseUint(m[2], 10, 8)
	devID, err2 := strconv.ParseUint(m[4], 10, 8)
	if det < 0 || dev < 0 || err1 != nil || err2 != nil {
		return Address{}, fmt.Errorf("%q is no detector of LCLS-I: names are like XppGon.0:Epix100a.1", s)
	}
	return Address{levelSource << 24, uint32(det)<<24 | uint32(detID)<<16 | uint32(dev)<<8 | uint32(devID)}, nil
}

// Draft makes the bytes of one datagram after the other in one buffer. Mistakes of the caller panic.
type Draft struct {
	b    []byte
	open []int // positions of the Xtc that are not closed, the root first
}

// Begin starts a datagram.
func (d *Draft) Begin(t Transition, ts uint64, fiducial, env uint32, damage uint32) {
	d.b = append(d.b[:0], make([]byte, rootAt)...)
	head{sec: uint32(ts >> 32), nsec: uint32(ts), control: uint8(t), fiducial: fiducial, env: env}.put(d.b)
	d.open = d.open[:0]
	d.Open(Node(levelEvent, 1, 0), damage)
}

// Open starts a container in the one that is open.
func (d *Draft) Open(from Address, damage uint32) {
	d.open = append(d.open, len(d.b))
	d.header(from, idXtc|1<<16, damage)
}

func (d *Draft) header(from Address, word, damage uint32) {
	d.b = append(d.b, make([]byte, xtcSize)...)
	xtc{damage: damage, log: from.Log, phy: from.Phy, word: word, extent: xtcSize}.put(d.b[len(d.b)-xtcSize:])
}

// Close ends the container that was opened last.
func (d *Draft) Close() {
	at := d.open[len(d.open)-1]
	d.open = d.open[:len(d.open)-1]
	le.PutUint32(d.b[at+16:], uint32(len(d.b)-at))
}

// Leaf appends a leaf and returns its payload of size bytes, all zero, to be filled before the next call.
func (d *Draft) Leaf(from Address, id, version uint16, damage uint32, size int) []byte {
	at := len(d.b)
	d.header(from, uint32(id)|uint32(version)<<16, damage)
	d.b = append(d.b, make([]byte, size)...)
	le.PutUint32(d.b[at+16:], uint32(xtcSize+size))
	return d.b[at+xtcSize:]
}

// Bytes closes the datagram and returns it; the bytes are valid until the next Begin.
func (d *Draft) Bytes() []byte {
	for len(d.open) > 0 {
		d.Close()
	}
	return d.b
}

// Writer writes the datagrams of one chunk file and of the smalldata file beside it.
type Writer struct {
	data, small io.Writer // small may be nil
	threshold   uint32
	off         int64
	shadow      []byte
}

// NewWriter makes a Writer with the usual threshold for what smalldata copies.
func NewWriter(data, small io.Writer) *Writer {
	return &Writer{data: data, small: small, threshold: smlThreshold}
}

// Write appends a datagram.
func (w *Writer) Write(b []byte) error {
	if len(b) > maxDatagram {
		return fmt.Errorf("xtc1: a datagram of %d bytes does not fit the format, at most %d", len(b), maxDatagram)
	}
	at := w.off
	n, err := w.data.Write(b)
	w.off += int64(n)
	if err != nil || w.small == nil {
		return err
	}
	w.shadow = appendShadow(w.shadow[:0], b, at, w.threshold)
	_, err = w.small.Write(w.shadow)
	return err
}

// appendShadow appends what stands in smalldata for the datagram b at an offset of the data file; of an
// event without content that is nothing. b is a sound datagram.
func appendShadow(dst, b []byte, at int64, threshold uint32) []byte {
	root := parseXtc(b[rootAt:])
	service := parseHead(b).service()
	if service == trL1Accept && root.extent == xtcSize {
		return dst
	}
	start := len(dst)
	dst = append(dst, b[:headSize]...)
	recorder := xtc{log: levelRecorder << 24}
	switch service {
	case trConfigure:
		dst = appendLeaf(dst, recorder, idSmlDataConfig, le.AppendUint32(nil, threshold))
		dst = append(dst, b[headSize:]...)
	case trL1Accept:
		dst = appendLeaf(dst, recorder, idSmlDataOffset, le.AppendUint32(le.AppendUint64(nil, uint64(at)), root.extent))
		dst = appendProxies(dst, b[headSize:], at+headSize, threshold)
	default:
		dst = append(dst, b[headSize:]...)
	}
	le.PutUint32(dst[start+rootAt+16:], uint32(len(dst)-start-rootAt))
	return dst
}

// appendLeaf appends a leaf of version 1.
func appendLeaf(dst []byte, x xtc, id uint32, payload []byte) []byte {
	x.word, x.extent = id|1<<16, uint32(xtcSize+len(payload))
	n := len(dst)
	dst = append(dst, make([]byte, xtcSize)...)
	x.put(dst[n:])
	return append(dst, payload...)
}

// appendProxies appends the children b of a container, which lie at an offset of the data file, with
// proxies for the large ones.
func appendProxies(dst, b []byte, at int64, threshold uint32) []byte {
	for len(b) >= xtcSize {
		x := parseXtc(b)
		switch {
		case x.id() == idXtc:
			start := len(dst)
			dst = append(dst, b[:xtcSize]...)
			dst = appendProxies(dst, b[xtcSize:x.extent], at+xtcSize, threshold)
			le.PutUint32(dst[start+16:], uint32(len(dst)-start))
		case x.extent >= threshold && x.id() != idEvrData:
			proxy := le.AppendUint64(nil, uint64(at))
			proxy = le.AppendUint32(le.AppendUint32(proxy, x.word), x.extent)
			dst = appendLeaf(dst, x, idSmlDataProxy, proxy)
		default:
			dst = append(dst, b[:x.extent]...)
		}
		b = b[x.extent:]
		at += int64(x.extent)
	}
	return dst
}
