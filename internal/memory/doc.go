// Package memory prepares the heap for large arrays.
package memory
