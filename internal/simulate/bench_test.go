package simulate

import "testing"

func BenchmarkFrame(b *testing.B) {
	g, err := NewGenerator(Config{Panels: 1, Dead: 50, Hot: 50, Noisy: 50, Saturated: 50, Cold: 50})
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 2*g.cfg.Rows*g.cfg.Cols)
	b.SetBytes(int64(len(dst)))
	for event := range b.N {
		g.Frame(dst, event%g.cfg.Events, 0)
	}
}
