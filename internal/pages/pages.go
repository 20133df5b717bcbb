package pages

import "rawstatus/internal/config"

// Maker makes reports by the settings of a site.
type Maker struct {
	Site *config.Site
	Log  Log
}

// Log takes what a maker has to say.
type Log interface {
	Infof(format string, args ...any)
	Warnf(format string, args ...any)
}
