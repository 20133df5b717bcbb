// Package command is the shell that both programs share: global flags, configuration, log, signals,
// errors and exit codes.
//
// A program is a [Program]: a name, a sentence and the list of its commands. [Program.Run] parses the
// command line, prepares the [Env] that all commands get, runs one command and turns its outcome into
// an exit code. It writes nowhere but to the two writers given, and never ends the process itself.
//
// A command may rely on this: the context of its action is cancelled by the first SIGINT or SIGTERM
// (the second one kills the process), Env is complete before its action starts, and the error it
// returns is printed for it, once.
package command
