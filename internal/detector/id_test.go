package detector

import "testing"

func TestIsPlaceholder(t *testing.T) {
	for _, id := range []string{"", "serial1234", "Serial1234", "serial 1234", "serial0042", "detnum1234", "1234", "12345", "0", "0000", "--", "0-0-0",
		"0000000000-0000000000-0000000000", "none", "N/A", "unknown", "xxxx", "SN0000", "serial", "???", "serial1234-ASIC-02"} {
		if !IsPlaceholder(id) {
			t.Errorf("%q is taken for an id", id)
		}
	}
	for _, id := range []string{"3925999616-0996579585-0553648138-1232098304-1221641739-2650251521-3976200215", "8000000020000-230920-20004002c",
		"190408-181206-50c246df50010d", "0000000001-0000000100-0000000000-0000000000-0000000000-0000000000-0000000000", "XppGon-0-Cspad-0", "id0", "opal-00012", "4321", "A1234"} {
		if IsPlaceholder(id) {
			t.Errorf("%q is taken for a placeholder", id)
		}
	}
}
