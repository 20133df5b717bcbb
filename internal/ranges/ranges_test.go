package ranges

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

func TestParseKeepsTheOrder(t *testing.T) {
	for text, want := range map[string]List{
		"":         nil,
		"7":        {{7, 7}},
		"5,8-11":   {{5, 5}, {8, 11}},
		"3,1-2":    {{3, 3}, {1, 2}},
		"-1,0-2":   {{-1, -1}, {0, 2}},
		"-1-2":     {{-1, 2}},
		"007-0009": {{7, 9}},
	} {
		got, err := Parse(text, -1, 9999)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseRefusesWhatIsNoList(t *testing.T) {
	for text, want := range map[string]string{
		"x":         `"x" is not a number`,
		"1,":        `"" is not a number`,
		"1-":        `"" is not a number`,
		"-":         `"-" is not a number`,
		"1 ":        `"1 " is not a number`,
		"1:2":       `"1:2" is not a number`,
		"1-2-3":     `"2-3" is not a number`,
		"5-4":       `"5-4" is no number or range from 0 to 9999`,
		"-1":        `"-1" is no number or range from 0 to 9999`,
		"9990-9999": "",
		"9990-1e4":  `"1e4" is not a number`,
		"10000":     `"10000" is no number or range from 0 to 9999`,
	} {
		if _, err := Parse(text, 0, 9999); err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse("0-1048576", 0, math.MaxInt); err == nil || err.Error() != `"0-1048576" is no number or range from 0 on` {
		t.Errorf("an endless list: %v", err)
	}
}

// FuzzParse: what Parse accepts is read the same after String, and Of makes the shortest list of the same numbers.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "1", "1,2,3", "0-3,7,5-6", "-1-4", "99999999999999999999", "1--2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(text, -5, 500)
		if err != nil {
			return
		}
		if again, err := Parse(list.String(), -5, 500); err != nil || !slices.Equal(again, list) {
			t.Errorf("%q is %v, then %v, %v", text, list, again, err)
		}
		numbers := list.Numbers()
		short := Of(numbers)
		slices.Sort(numbers)
		numbers = slices.Compact(numbers)
		if got := short.Numbers(); !slices.Equal(got, numbers) {
			t.Errorf("%q: %v are %v, want %v", text, short, got, numbers)
		}
		for k := 1; k < len(short); k++ {
			if short[k].First <= short[k-1].Last+1 {
				t.Errorf("%q: %v is not the shortest list", text, short)
			}
		}
		for n := -6; n < 502; n++ {
			if list.Has(n) != slices.Contains(numbers, n) {
				t.Errorf("%q has %d: %v", text, n, list.Has(n))
			}
		}
	})
}
