// Package elogtest is a logbook for tests. It answers as the logbook server's public source does.
package elogtest
