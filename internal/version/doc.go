// Package version says which build of the software is running.
//
// Every output carries this string, so that a constant can be traced to the code that made it. `make build`
// sets it to what git describe says; a plain go build has the build information that the go command stamps
// into each binary (module version, or the commit and whether the work tree was modified).
package version
