package sweep

import "unsafe"

const pageSize = 4096

// get returns memory for n pixels with unknown content, which begins at a page.
func (s *Source) get(n int) ([]uint16, error) {
	b, err := s.pool.Get(2 * n)
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), cap(b)/2)[:n], err
}

// put takes memory from get back.
func (s *Source) put(px []uint16) {
	s.pool.Put(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(px))), 2*cap(px))[:2*len(px)])
}

// alignedPage returns memory for one page of a file that is read directly.
func alignedPage() []byte {
	raw := make([]byte, 2*pageSize)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) % pageSize)
	return raw[skip : skip+pageSize]
}
