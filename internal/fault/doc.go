// Package fault sorts the errors that reach a user into classes, each with an exit code.
//
// Exit codes are an interface: jobs go back into the queue on Temporary and Busy and on nothing else, campaigns and
// crontabs branch on the others. The table in codes is the only place where they are written down;
// the help texts and the documentation are made from it.
package fault
