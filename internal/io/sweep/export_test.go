package sweep

import "rawstatus/internal/io/frame"

// OpenCached is Open for which frames are always in the page cache, even small ones.
func OpenCached(files []frame.File, opt Options) (*Source, error) {
	return openAs(files, opt, func(*run) bool { return true })
}

// OpenAhead is Open for which no frame is in the page cache.
func OpenAhead(files []frame.File, opt Options) (*Source, error) {
	return openAs(files, opt, func(*run) bool { return false })
}

func openAs(files []frame.File, opt Options, cached func(*run) bool) (*Source, error) {
	s, err := Open(files, Cached, opt)
	if err == nil {
		s.cached = cached
	}
	return s, err
}

// OpenDirect is Open past the page cache.
func OpenDirect(files []frame.File, opt Options) (*Source, error) { return Open(files, Direct, opt) }
