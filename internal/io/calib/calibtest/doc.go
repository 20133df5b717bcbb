// Package calibtest holds every store to the same behaviour.
package calibtest
