package frame

import "sync/atomic"

// OpenFetching is OpenPread for which every frame is fetched by who computes, even a small or coded one.
func OpenFetching(files []File, opt Options) (Source, error) {
	return openNear(files, opt, func(Sweep, int, int) bool { return true })
}

// OpenAlternating is OpenPread for which only every second superblock is near.
func OpenAlternating(files []File, opt Options) (Source, error) {
	var n atomic.Int32
	return openNear(files, opt, func(Sweep, int, int) bool { return n.Add(1)%2 == 0 })
}

// openLoading is OpenPread for which nothing is near.
func openLoading(files []File, opt Options) (Source, error) {
	return openNear(files, opt, func(Sweep, int, int) bool { return false })
}

func openNear(files []File, opt Options, nearby func(Sweep, int, int) bool) (Source, error) {
	s, err := openPread(files, opt)
	if err != nil {
		return nil, err
	}
	s.nearby = nearby
	return s, nil
}
