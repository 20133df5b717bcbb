// Package trend judges how a number moves from run to run: slowly, or all at once.
package trend
