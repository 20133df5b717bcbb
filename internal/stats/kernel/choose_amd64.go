//go:build !noasm

package kernel

var best = portable
