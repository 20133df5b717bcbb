//go:build !amd64 || noasm

package kernel

var best = portable
