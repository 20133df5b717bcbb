package xtc1

import (
	"encoding/binary"
	"fmt"
	"strings"
)

var le = binary.LittleEndian

// Sizes of heads, in bytes.
const (
	headSize  = 40 // datagram head, the root's Xtc header included
	xtcSize   = 20
	rootAt    = 20 // offset of the root's Xtc header in a datagram
	aliasSize = 40
)

// maxDatagram is the largest datagram that psana reads; a larger extent is damage.
const maxDatagram = 256 << 20

// Fiducials count at 360 Hz and wrap.
const (
	fiducialWrap = 0x1ffe0 // valid fiducials are below
	fiducialMask = 0x1ffff
	maxSlip      = 85 // seconds within which equal fiducials mean the same shot
)

// controlStream is the first of the streams that slow recorders write beside the DAQ's.
const controlStream = 80

// Transitions (bits 0-3 of the control byte; kind, bits 4-5, is 0 for these).
const (
	trConfigure       = 4
	trUnconfigure     = 5
	trBeginRun        = 6
	trEndRun          = 7
	trBeginCalibCycle = 8
	trEndCalibCycle   = 9
	trEnable          = 10
	trDisable         = 11
	trL1Accept        = 12
)

var transitionNames = []string{"Unknown", "Reset", "Map", "Unmap", "Configure", "Unconfigure", "BeginRun", "EndRun",
	"BeginCalibCycle", "EndCalibCycle", "Enable", "Disable", "L1Accept"}

// groupMask takes the readout groups out of the env word of an L1Accept.
const groupMask = 0xff

// envTrimmed marks an L1Accept whose payload the level-3 filter has removed.
const envTrimmed = 1 << 31

// Levels of a source (bits 24-31 of src.log).
const (
	levelSource   = 1
	levelSegment  = 2
	levelEvent    = 3
	levelRecorder = 4
)

// Damage bits.
const (
	damageIncomplete = 1 << 15 // of a container: psana does not look into it
	damageContains   = 1 << 16
)

// Type ids that matter for area detectors.
const (
	idAny              = 0
	idXtc              = 1
	idFrame            = 2
	idFrameFexConfig   = 7
	idRunControlConfig = 10
	idPnccdFrame       = 11
	idPnccdConfig      = 12
	idPrincetonFrame   = 17
	idPrincetonConfig  = 18
	idEvrData          = 19
	idCspadElement     = 28
	idCspadConfig      = 29
	idCspad2x2Element  = 41
	idCspad2x2Config   = 43
	idTimepixData      = 50
	idCspadCompressed  = 51
	idFliConfig        = 55
	idFliFrame         = 56
	idAndorConfig      = 60
	idAndorFrame       = 61
	idAliasConfig      = 69
	idEpixConfig       = 74
	idEpixElement      = 75
	idPimaxConfig      = 80
	idPimaxFrame       = 81
	idEpix10kConfig    = 83
	idEpix100aConfig   = 84
	idGenericPgpConfig = 85
	idEpixSConfig      = 88
	idSmlDataConfig    = 89
	idSmlDataOffset    = 90
	idSmlDataProxy     = 91
	idAndor3dConfig    = 96
	idAndor3dFrame     = 97
	idJungfrauConfig   = 107
	idJungfrauElement  = 108
	idZylaConfig       = 110
	idZylaFrame        = 111
	idEpix10kaConfig   = 112
	idPixisConfig      = 113
	idPixisFrame       = 114
	idUxiConfig        = 115
	idUxiFrame         = 116
	idEpix10ka2MConfig = 117
	idEpix10kaArray    = 118
	idEpix10kaQuadConf = 120
	idIStarConfig      = 121
	idAlviumConfig     = 122
	idVimbaFrame       = 123
	compressed         = 1 << 31 // bit of the type word: the payload is a chain of compressed blocks
	smlThreshold       = 1024    // default extent from which the smalldata writer puts proxies
	smlOffsetSize      = xtcSize + 12
	smlProxySize       = xtcSize + 16
)

var detectorNames = strings.Fields(`NoDetector AmoIMS AmoGD AmoETOF AmoITOF AmoMBES AmoVMI AmoBPS Camp EpicsArch BldEb
	SxrBeamline SxrEndstation XppSb1Ipm XppSb1Pim XppMonPim XppSb2Ipm XppSb3Ipm XppSb3Pim
	XppSb4Pim XppGon XppLas XppEndstation AmoEndstation CxiEndstation XcsEndstation MecEndstation
	CxiDg1 CxiDg2 CxiDg3 CxiDg4 CxiKb1 CxiDs1 CxiDs2 CxiDsu CxiSc1 CxiDsd XcsBeamline
	CxiSc2 MecXuvSpectrometer MecXrtsForw MecXrtsBack MecFdi MecTimeTool MecTargetChamber
	FeeHxSpectrometer XrayTransportDiagnostic Lamp MfxEndstation MfxDg1 MfxDg2 XrtDiag DetLab`)

var deviceNames = strings.Fields(`NoDevice Evr Acqiris Opal1000 Tm6740 pnCCD Princeton Fccd Ipimb Encoder Cspad AcqTDC
	Xamps Cspad2x2 Fexamp Gsc16ai Phasics Timepix Opal2000 Opal4000 OceanOptics Opal1600
	Opal8000 Fli Quartz4A150 Andor USDUSB OrcaFl40 Imp Epix Rayonix EpixSampler Pimax
	Fccd960 Epix10k Epix100a EpixS Gotthard DualAndor Wave8 LeCroy ControlsCamera Archon
	Jungfrau Zyla Epix10ka Pixis Uxi Epix10ka2M StreakC7700 Epix10kaQuad JungfrauSegment
	JungfrauSegmentM2 JungfrauSegmentM3 JungfrauSegmentM4 iStar QuadAdc Alvium`)

// name returns names[n], or the number where there is no name: newer data may have more.
func name(names []string, n uint32) string {
	if n < uint32(len(names)) {
		return names[n]
	}
	return fmt.Sprint(n)
}

// source is the physical part of a detector's address: detector<<24 | detId<<16 | device<<8 | devId.
// The process id beside it in the file changes from run to run and identifies nothing.
type source uint32

// String returns the source as psana prints it, e.g. XppGon.0:Epix100a.1.
func (s source) String() string {
	return fmt.Sprintf("%s.%d:%s.%d", name(detectorNames, uint32(s>>24)), uint8(s>>16), s.device(), uint8(s))
}

func (s source) device() string { return name(deviceNames, uint32(s>>8)&0xff) }

// dettype returns the type name under which constants of the source are kept, in lower case: the device's
// name but for two.
func (s source) dettype() string {
	switch d := s.device(); d {
	case "DualAndor":
		return "andor3d"
	case "StreakC7700":
		return "streak"
	default:
		return strings.ToLower(d)
	}
}

// plain returns the source's name with the characters replaced that the original tools replace in names of
// directories, e.g. XppGon-0-Cspad-0.
func (s source) plain() string { return strings.NewReplacer(":", "-", ".", "-").Replace(s.String()) }

// xtc is the header of a container or leaf.
type xtc struct {
	damage   uint32
	log, phy uint32
	word     uint32 // type id, version, compressed bit
	extent   uint32 // with this header
}

func parseXtc(b []byte) xtc {
	_ = b[xtcSize-1]
	return xtc{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint32(b[16:])}
}

func (x xtc) level() uint32   { return x.log >> 24 }
func (x xtc) id() uint16      { return uint16(x.word) }
func (x xtc) version() uint16 { return uint16(x.word >> 16 & 0x7fff) }

// put writes the header.
func (x xtc) put(b []byte) {
	for i, v := range []uint32{x.damage, x.log, x.phy, x.word, x.extent} {
		le.PutUint32(b[4*i:], v)
	}
}

// head is the head of a datagram without the root.
type head struct {
	sec, nsec uint32
	control   uint8
	fiducial  uint32
	env       uint32
}

func parseHead(b []byte) head {
	_ = b[headSize-1]
	return head{nsec: le.Uint32(b), sec: le.Uint32(b[4:]), control: b[11], fiducial: le.Uint32(b[12:]) & fiducialMask, env: le.Uint32(b[16:])}
}

// put writes the head; ticks and vector are 0.
func (h head) put(b []byte) {
	le.PutUint32(b, h.nsec)
	le.PutUint32(b[4:], h.sec)
	le.PutUint32(b[8:], uint32(h.control)<<24)
	le.PutUint32(b[12:], h.fiducial)
	le.PutUint32(b[16:], h.env)
}

// service returns the transition, or -1 for occurrences and markers.
func (h head) service() int {
	if h.control>>4&3 != 0 {
		return -1
	}
	return int(h.control & 15)
}

// ts returns the time as one number, seconds since 1970 above nanoseconds.
func (h head) ts() uint64 { return uint64(h.sec)<<32 | uint64(h.nsec) }
