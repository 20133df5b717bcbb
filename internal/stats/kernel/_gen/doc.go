// Command gen writes the vector assembly of package kernel.
//
// Run it through go generate in the package; it is a module of its own so that users of the package
// never need avo.
package main
