// Package xtc1 reads and writes XTC, the event files of LCLS-I, and indexes the area detectors in them.
//
// This comment is the specification of the format as the package reads it. All numbers are
// little-endian. A file is a plain sequence of datagrams without header or trailer. What is said here
// was checked against files that the original library (pdsdata) wrote, and byte by byte against
// smalldata that its tool made; what could only be read in its sources is marked [S].
//
// # Datagram
//
//	 0  u32  nanoseconds
//	 4  u32  seconds since 1970, UTC
//	 8  u32  bits 0-23 ticks; bits 24-27 transition; 28-29 kind: 0 is a transition; 31 extended
//	12  u32  bits 0-16 fiducial, 17-31 vector
//	16  u32  env word
//	20       root Xtc, whose extent counts from here
//
// The next datagram starts at 20 + extent. A datagram beyond 256 MiB, or an extent below 20, is damage:
// the file cannot be read further. A file may end anywhere.
//
// Transitions: 4 Configure, 5 Unconfigure, 6 BeginRun (env: run number), 7 EndRun, 8 BeginCalibCycle,
// 9 EndCalibCycle, 10 Enable, 11 Disable, 12 L1Accept, the event. Fiducials count at 360 Hz and wrap at
// 131040; events with a fiducial from there on have none and are left out, as in psana [S]. Env bit 31
// of an event says that the level-3 trigger has removed its content: it is left out, too.
//
// # Xtc
//
//	 0  u32  damage
//	 4  u32  source: bits 24-31 level, bits 0-23 process id (means nothing)
//	 8  u32  source: by level; of a detector (level 1): detector<<24 | id<<16 | device<<8 | id
//	12  u32  bits 0-15 type id, 16-30 version, 31: the payload is compressed
//	16  u32  extent, with these 20 bytes
//
// Type id 1 is a container: its payload is a sequence of Xtc. Every other id is a leaf. A child that
// does not fit its container ends the walk of that container [S]. Containers nest: event builder (level
// 3), readout node (level 2), detector; no depth is assumed, up to 16.
//
// A detector's name is Detector.id:Device.id, e.g. XppGon.0:Epix100a.1, with the spellings of layout.go;
// a number without a name is printed as number.
//
// Damage bits: 1 DroppedContribution, 11 Uninitialized, 12 OutOfOrder, 13 OutOfSynch, 14 UserDefined, 15
// IncompleteContribution, 16 ContainsIncomplete, 24-31 of the user. A frame is used if its leaf has no
// damage at all; damage of the containers around is reported beside it. A container with bit 15 is not
// looked into [S]. A leaf of type 0 (Any) carries only damage. frame.Extent has room for the low 16
// bits; bit 16 becomes bit 15 there.
//
// # Configurations
//
// Leaves in Configure describe the detectors. They may come again in BeginCalibCycle: gain modes may
// change then, shapes and ids must not. Their sizes, versions and fields are the table configTypes in
// config.go; of data the table dataTypes in frames.go. A type or version that is not there is an error
// that names it, never a guess; detectors beside it can be read.
//
//	Epix100a 84/75, Epix10ka 112/75   one panel; rows = asics down x readable rows, cols = asics across x pixels;
//	Epix 74/75, Epix10k 83/75, EpixS 88/75    pixels at 32
//	Epix10kaQuad 120/118, 2M 117/118  4 or 16 panels of 352 x 384 from 4 on
//	Jungfrau 107/108                  n panels; data version 1: from 12 on, version 2: from 16 + 20n on
//	CsPad 29/28                       quads in any order; each 32 bytes with its number in bits 24-25 of the word at
//	                                  4, the sections that the masks name (185 x 388), 4 bytes
//	CsPad2x2 43/41                    two sections, pixel by pixel in turn, from 32 on
//	Camera 2                          width, height, depth, offset, pixels of 1 byte (depth to 8) or 2; any camera device
//	Princeton 18/17, Fli 55/56, Andor 60/61, DualAndor 96/97, Pimax 80/81, Pixis 113/114, Zyla 110/111,
//	iStar 121/111, Uxi 115/116, Alvium 122/123, pnCCD 12/11, Timepix 50 (version 1: four chips
//	                                  from 8 on, see codec.Timepix)
//
// Not read: CspadCompressedElement (51; psana ignores it), streams described by GenericPgpConfig (85).
//
// # Panels
//
// A panel's segment is its place in psana's array: module, element, or 8 x quad + section of a CsPad.
// Sections that a CsPad's configuration leaves out are no panels. The type is the device's name in
// lower case (DualAndor: andor3d, StreakC7700: streak).
//
// Ids are formed as in the original tools: Epix100a and Epix10ka: first word of the configuration,
// carrier, digital, analog ids, seven numbers %010d joined by '-'; Quad and 2M: version of the
// configuration, carrier of the element, digital of its quad, two zeros; Jungfrau from version 3 on:
// module version, firmware version, serial number in hex, a zero as nothing. All others, and Jungfraus
// before: the detector's name with '-' for '.' and ':'.
//
// # Gain modes
//
// Jungfrau gainMode 0 Normal and 5 HighGain0 are g0, 1 FixedGain1 and 3 ForcedGain1 g1, 2 FixedGain2 and
// 4 ForcedGain2 g2. Of an Epix10ka panel the mode counts that more than half of the pixels have: bits 2-3
// of the pixel's configuration and trbit (bit 4 of register 23) of its asic, 11+1 FH, 11+0 FM, 10 FL, 00+1
// AHL-H, 00+0 AML-M.
//
// # Compressed payloads
//
// Bit 31 of the type word: the payload is a chain of blocks, u32 hs, header[hs], u32 engine, u32
// reserved, u32 dsize, u32 csize, data[csize], padded to four bytes. Expanded, it is the headers and
// dsize bytes each, one after the other. The heads of frames (quads of a CsPad, a camera's) are in the
// headers, so that an index needs no decompression; extents are whole blocks with the codec
// codec.Unpack.
//
// # Files of a run
//
//	<exp>-r<run %04d>-s<stream %02d>-c<chunk %02d>.xtc[.inprogress]
//	smalldata/<exp>-r<run %04d>-s<stream %02d>-c<chunk %02d>.smd.xtc
//
// exp is the experiment's name or, in old files, e and its number. Chunks of a stream follow each other
// without a new Configure. Streams below 80 are written by the DAQ, each event whole in one of them;
// streams from 80 on by slow recorders. Events of the DAQ streams are the events of the run, in the
// order of time. Those of slow recorders belong to the event with the same fiducial that is nearest
// within 85 s; without one they are left out, as in psana [S].
//
// Calib cycles count in each stream. Where a stream has lost some with a chunk, its cycles are known by
// time. The run begins with the clock of Configure.
//
// # Smalldata
//
// The same datagrams, with two leaves added (level 4): in Configure type 89, u32 threshold; in events
// type 90, i64 offset of the datagram in the data file, u32 extent of its root. Leaves of events from
// the threshold on (1024 bytes; never EvrData) are type 91 instead, with source and damage as they were:
// i64 offset of the leaf's header in the data file, u32 type word, u32 extent. Events without content are
// left out.
//
// The reader takes places of datagrams and leaves from smalldata, and holds it to the data file: all
// offsets must follow from the sizes of what lies before, holes are read in the data file, and so is
// what comes behind the last event; the heads of some events are compared. Smalldata that contradicts
// its data file is not used, and the index has a note. Without smalldata the headers of datagrams are
// read in the data file, ahead of the chain of extents where events have equal or nearly equal sizes.
package xtc1
