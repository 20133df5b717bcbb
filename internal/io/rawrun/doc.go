// Package rawrun is what the two raw formats share: the names of files, the files of a run by stream and
// chunk, smalldata as a guide through data files, the rules by which a run is complete, and the writing
// of a run's files.
//
// # Completeness
//
// A run is judged by what its files and names give evidence of, by the same rules in both formats:
//
//   - Chunks of a stream are numbered without holes from 0; a chunk that another file announces or whose
//     smalldata file is there belongs to the run.
//   - A file whose name or size says that it is still being written is not complete.
//   - A file that cannot be read to its end is cut or damaged, and so is a stream of LCLS-II with events
//     before its Configure, which only that stream has.
//   - A stream without EndRun, where another stream has it, is cut. Where none has it, a stream that ends
//     earlier than the others is cut, unless what it lacks by its own rate is less than Options.MaxLost.
//   - A stream that is silent for much longer than its own rhythm explains has lost events (Judge).
//   - A detector should be in the events of its readout groups; one that takes part in a regular part of
//     them is slower, and is judged by that rhythm (Own).
//   - Events behind an EndRun belong to no run.
//
// An event that comes twice counts once, two files with the same events are refused (Twice).
//
// A loss that leaves no trace cannot be found: the end of the only stream of a run without EndRun, if it is cut
// between two datagrams; a stream all of whose files are gone, smalldata included; events that all
// streams lack; a BeginStep that all streams lack; in LCLS-I single events of one stream, because nothing
// says which stream an event would have come in.
//
// # Smalldata
//
// A smalldata file holds all transitions of its data file and the places of its events. It is an
// optimisation, never evidence that there is nothing more: Follow reads from the data file what lies
// between two known places and behind the last one.
package rawrun
