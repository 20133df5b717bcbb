package fault

import "testing"

func TestCountUsesThePlural(t *testing.T) {
	for want, got := range map[string]string{"0 panels": Count(0, "panel"), "1 panel": Count(1, "panel"), "2 bad pixels": Count(uint64(2), "bad pixel")} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNearestFindsTheWordThatWasMeant(t *testing.T) {
	names := []string{"run", "reduce", "reeval", "n", "repository"}
	for word, want := range map[string]string{"rnu": "run", "redcue": "reduce", "repositroy": "repository", "repo": "repository", "x": "", "nothing": "", "n": ""} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}
