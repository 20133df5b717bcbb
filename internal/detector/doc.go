// Package detector is the table of detector families: what the pixels of a type mean and where its
// constants live. Everything that depends on a detector's type looks it up here.
package detector
