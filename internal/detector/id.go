package detector

import "regexp"

// placeholders are texts that data acquisitions write where they know no hardware id: a default serial
// number, a word, or zeros of memory that nobody has programmed.
var placeholders = regexp.MustCompile(`(?i)^((serial|detnum|detid|sn)?[-_ #:]*(1234\d*|0+|x+)|serial[-_ #:]*\d*|detid|[-_.,:/? 0]*|` +
	`none|null|nil|nan|n/?a|unknown|undefined|unset|default|dummy|fake|test|todo|tbd)(-ASIC-\d+)?$`)

// IsPlaceholder reports whether a panel's id says nothing about the hardware. Several detectors may have
// it, so nothing can be kept under it.
func IsPlaceholder(id string) bool { return placeholders.MatchString(id) }
