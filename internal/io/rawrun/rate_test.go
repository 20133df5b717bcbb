package rawrun

import (
	"math/rand/v2"
	"testing"
)

// rhythms are the ways in which detectors take part in events: in which of n, if nothing is lost.
var rhythms = map[string]func(n int) []bool{
	"all":          func(n int) []bool { return pattern(n, "x") },
	"every second": func(n int) []bool { return pattern(n, "x.") },
	"every tenth":  func(n int) []bool { return pattern(n, "....x.....") },
	"two of three": func(n int) []bool { return pattern(n, "xx.") },
	"burst":        func(n int) []bool { return pattern(n, "xxxx....") },
	"clock of its own": func(n int) []bool { // 10.3 events
		b := make([]bool, n)
		for k := 0; int(float64(k)*10.3) < n; k++ {
			b[int(float64(k)*10.3)] = true
		}
		return b
	},
}

func pattern(n int, p string) []bool {
	b := make([]bool, n)
	for i := range b {
		b[i] = p[i%len(p)] == 'x'
	}
	return b
}

func count(b []bool) (n int) {
	for _, v := range b {
		if v {
			n++
		}
	}
	return n
}

// TestOwnOfRhythms wants no event more for a detector from which nothing is lost, and about as many as are
// lost, or more, where some are: a short irregular run has no rhythm, and then it should be in all events.
func TestOwnOfRhythms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, make := range rhythms {
		for _, n := range []int{30, 100, 1000} {
			took := make(n)
			have := count(took)
			if own := count(Own(took, nil)); own != have {
				t.Errorf("%s of %d: %d events are its own, it took part in %d", name, n, own, have)
			}
			for _, part := range [][2]int{{0, n / 3}, {n / 3, n / 2}, {n / 2, n}} { // a block is lost
				took := make(n)
				for i := part[0]; i < part[1]; i++ {
					took[i] = false
				}
				lost := have - count(took)
				if found := count(Own(took, nil)) - count(took); found < lost*8/10-1 || name == "all" && found != lost {
					t.Errorf("%s of %d: %d lost in %v, %d found", name, n, lost, part, found)
				}
			}
			took = make(n)
			lost := 0
			for i := range took {
				if took[i] && rng.IntN(10) == 0 {
					took[i] = false
					lost++
				}
			}
			if found := count(Own(took, nil)) - count(took); found < lost*6/10-1 && have > 20 {
				t.Errorf("%s of %d: %d lost at random, %d found", name, n, lost, found)
			}
		}
	}
}

// TestOwnOfGroups wants a detector in the events of its readout groups, whatever its rhythm.
func TestOwnOfGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	took, groups := make([]bool, 500), make([]uint16, 500)
	want := 0
	for i := range groups {
		if groups[i] = 1; rng.IntN(7) == 0 {
			groups[i] = 5
			want++
			took[i] = rng.IntN(4) != 0
		}
	}
	if own := count(Own(took, groups)); own != want {
		t.Errorf("%d events of its groups, %d are taken for its own", want, own)
	}
	if own := count(Own(make([]bool, 500), groups)); own != 0 {
		t.Errorf("a detector that was never there should be in %d events", own)
	}
	one := make([]bool, 500)
	one[250] = true
	if own := count(Own(one, nil)); own != 1 {
		t.Errorf("one event says nothing of a rhythm, %d are taken for its own", own)
	}
}

// TestTwoLosses takes any two events of short runs away: they are lost, whatever lies between them. (Random
// runs found two losses taken for a rhythm.)
func TestTwoLosses(t *testing.T) {
	for n := 6; n <= 40; n++ {
		for i := range n {
			for j := range i {
				took := pattern(n, "x")
				took[i], took[j] = false, false
				if own := count(Own(took, nil)); own != n {
					t.Fatalf("%d events without %d and %d: %d are its own", n, j, i, own)
				}
			}
		}
	}
}
