// Package compare finds how status files differ: two files, or what a repository has of two runs or at two times.
package compare
