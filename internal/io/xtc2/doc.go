// Package xtc2 reads (and for simulated runs writes) XTC2, the raw data format of LCLS-II, and indexes
// runs of it.
//
// The text below is the format as far as a reader needs it. It is known from the original library's
// behaviour on real and library-written files (marked V), and from the code of the data acquisition
// where no file at hand shows it (marked C). All integers are little-endian. Nothing is aligned or
// padded: fields and datagrams follow each other byte by byte.
//
// # File
//
// A file is datagram after datagram to its end; there is no header, index or trailer. The first
// datagram of a stream's first file is a Configure (V).
//
//	datagram header, 24 bytes
//	 0  u32  ts_low    nanoseconds
//	 4  u32  ts_high   seconds since 1990-01-01T00:00:00Z
//	 8  u32  env       bits 27..24 service, bits 15..0 readout groups
//	12  u32  src       node id of the writer               \
//	16  u16  damage    of the whole datagram                \ root Xtc
//	18  u16  contains  0                                    /
//	20  u32  extent    bytes from offset 12 to the end     /
//
// The next datagram begins 12 + extent bytes later; 12 <= extent <= 2^31-1. The time-stamp
// ts_high<<32 | ts_low identifies an event and is compared unsigned. It need not ascend: edited files
// repeat and turn back time (V).
//
//	service  0 ClearReadout  1 Reset      2 Configure  3 Unconfigure  4 BeginRun    5 EndRun      6 BeginStep
//	         7 EndStep       8 Enable     9 Disable   10 SlowUpdate  11 EndOfBatch 12 L1Accept
//
// 12 is one event, 11 is treated likewise. A datagram without payload is normal, for events too (C).
//
// # Container
//
// An Xtc is a header of 12 bytes and extent-12 bytes of payload; the next sibling begins at its end.
//
//	0  u32  src       Names, ShapesData: NamesId in bits 27..0; else unused
//	4  u16  damage
//	6  u16  contains  bits 11..0 type id: 0 Parent, 1 ShapesData, 2 Shapes, 3 Data, 4 Names
//	8  u32  extent    with this header, >= 12
//
// The payload of a Parent is containers, Parents among them (V); other types are skipped by extent. A
// child that does not fit into its parent ends the reading of that parent; what was found is kept.
//
// # Names: what values mean
//
//	 0     u32   numArrays   fields of rank > 0
//	 4     256   detType
//	 260   256   detName
//	 516   256   detId       serial of the panel, may be empty
//	 772   256   alg         "raw": frames, "config": configuration
//	 1028  u32   version     major<<16 | minor<<8 | micro
//	 1032  u32   segment
//	 1036  n x 524: 256 alg, u32 version, 256 name, u32 type, u32 rank (0 scalar, 1..5)
//
//	type  0 UINT8  1 UINT16  2 UINT32  3 UINT64  4 INT8  5 INT16  6 INT32  7 INT64  8 FLOAT  9 DOUBLE
//	      10 CHARSTR (rank 1, text to the first NUL)  11 ENUMVAL (int32, "name:Enum")  12 ENUMDICT (int32, "Label:Enum")
//
// Strings end at the first NUL; behind it is uninitialised memory (V). Names come in Configure
// datagrams and hold for all ShapesData of the stream with their NamesId, those in the same Configure
// included, until the next Configure replaces the whole table (V). Only the NamesId is unique:
// detName, segment, alg and version are not (V). Of two Names with one NamesId the last holds.
//
// # ShapesData: values
//
// Payload: one Shapes and one Data, in either order (V); Shapes may be missing if there are no arrays.
// Shapes holds 20 bytes, five u32 dimensions, for each field of rank > 0 in the order of Names; the
// first rank of them count, bytes behind the last whole Shape are ignored (V). Data holds the values of
// all fields in the order of Names without gaps, arrays with the last dimension fastest. A field that
// does not fit into its Data is missing; Data may be longer than its fields.
//
// # Damage
//
//	bit 0 Truncated  1 OutOfOrder  2 OutOfSynch  3 Corrupted  4 DroppedContribution  5 MissingData  6 TimedOut
//
// Bits 12..15 are a number of the detector's own. Policy for a frame: Truncated, OutOfOrder,
// OutOfSynch, Corrupted or MissingData in its ShapesData or Data rejects the panel. If no panel of the
// datagram is damaged in this way, Truncated, Corrupted or MissingData of the root rejects all panels of
// the datagram. DroppedContribution, TimedOut and OutOfOrder of the root alone reject nothing. A
// Corrupted container is not entered, as in the original library; Corrupted roots thus reject always.
// DroppedContribution of one stream's datagram is also set in the damage of panels that the event
// lacks, since it says that contributions were lost.
//
// # Run
//
// runinfo (expt CHARSTR, runnum UINT32) comes in BeginRun; its numbers go before those of the file
// name. The run's time is the BeginRun's. Runs may follow each other in a file: each ends at EndRun, at
// the next BeginRun or Configure, or with the file (V). Steps are delimited by BeginStep; the scan
// detector (step_docstring, JSON) says which gain mode a calibration step has. An Enable with chunkinfo
// (filename CHARSTR, chunkid UINT32) is the last datagram of its file; the next file continues the
// stream without Configure (V).
//
//	<dir>/<exp>-r<run %04d>-s<stream %03d>-c<chunk %03d>.xtc2
//	<dir>/smalldata/<exp>-r<run %04d>-s<stream %03d>-c000.smd.xtc2
//
// ".inprogress" is appended while files are copied. A smalldata file is the stream with each event
// replaced by one ShapesData of smdinfo: intOffset and intDgramSize (UINT64) of the event in its chunk
// file (V). Its events have damage 0 whatever the event has, so the events' headers are read anyway.
//
// # Panels
//
// A segment's frames are the field raw, else image, else value of its Names with alg raw: UINT16 of
// rank 2 is one panel, of rank 3 as many as the first dimension says. Types with a codec (epixuhr,
// epixuhr3x2: package frame) have stored forms of their own.
//
// # Gain modes
//
// Jungfrau: gainMode of the step's JSON, else its step number in a pedestal scan, else
// user.gainMode of the panel's configuration: 0 DYNAMIC (g0), 1 FORCE_SWITCH_G1, 2 FORCE_SWITCH_G2,
// 3 FIX_G1, 4 FIX_G2. epix10ka: step 0..4 of a pedestal scan is FH, FM, FL, AHL-H, AML-M; else by the
// configuration of most pixels, with cbits = (asicPixelConfig & 12) | trbit<<4: 28 FH, 12 FM, 8 or 24
// FL, 16 AHL, 0 AML (C; FL is V).
//
// # What an index costs
//
// Pixels are not read. With smalldata: the smalldata file in pieces of 1 MiB and, for each event, the
// headers within it, many events at once. Without: the chain of datagram headers of each stream, read
// ahead as long as events keep their size. One event takes one read of 512 bytes and, where all headers
// are read, one more for each further panel in its datagram.
//
// # Prediction
//
// Else headers behind the first 512 bytes are not read where they can be predicted. The first event of a
// datagram size in a stream and configuration that has no damage and in which nothing had to be noted is
// the template of later events of that size; four are tried, of up to 64 sizes. All bytes that were
// looked at when it was read are kept. A later event without root damage is compared with those in its
// first 512 bytes; if they are equal the rest is taken from the template, else the event is read in full.
// Which events are templates follows from their order alone, so an index is the same for any number of
// reads in flight.
//
// The bytes right before the array of a panel (ShapesData, Shapes and Data header with damage,
// NamesId, extents and dimensions) are not read: they are the heading of the frame in the index, and the task that
// reads the frame's first pixel compares it (frame.Heading). Arrays of several panels, arrays more than
// 4 KiB behind their headers, and other blocks behind the first 512 bytes have their headers read and
// compared when indexing. The heading of a frame that nobody reads is not compared at all: an index of all
// headers says where such a frame is damaged, and cannot find the panels behind it if its extent is wrong,
// while a prediction may give those panels, with headings of their own that are as they must be.
package xtc2
