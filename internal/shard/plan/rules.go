package plan

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
)

// RuleNames lists the names of all rules, as plan.json has them.
func RuleNames() []string { return jsonNames(reflect.TypeFor[Rules]()) }

func jsonNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// notFinite names the first number of a struct that is NaN or infinite, which JSON cannot hold; empty: none.
func notFinite(of any) string {
	v := reflect.ValueOf(of)
	for i, name := range jsonNames(v.Type()) {
		if f := v.Field(i); f.CanFloat() && f.Float()-f.Float() != 0 {
			return name
		}
	}
	return ""
}

// field finds a rule by its name, in which - may stand for _ as in the flags.
func (r *Rules) field(name string) (reflect.Value, error) {
	name = strings.ReplaceAll(name, "-", "_")
	if i := slices.Index(RuleNames(), name); i >= 0 {
		return reflect.ValueOf(r).Elem().Field(i), nil
	}
	if slices.Contains(append(jsonNames(reflect.TypeFor[Selection]()), "profile", "features", "ctype", "compat"), name) {
		return reflect.Value{}, fault.New(fault.Usage, "%s decides what is counted: to change it raw data must be read again", name).
			WithHint("make a new plan; what can be changed without raw data: %s", strings.Join(RuleNames(), ", "))
	}
	return reflect.Value{}, fault.New(fault.Usage, "there is no rule %q", name).WithHint("rules: %s", strings.Join(RuleNames(), ", "))
}

// Set changes the rule of this name to a value given as text.
func (r *Rules) Set(name, value string) error {
	f, err := r.field(name)
	if err != nil {
		return err
	}
	switch f.Kind() {
	case reflect.Float64:
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fault.New(fault.Usage, "%s %q: wanted a number", name, value)
		}
		f.SetFloat(v)
	case reflect.Int:
		v, err := strconv.Atoi(value)
		if err != nil {
			return fault.New(fault.Usage, "%s %q: wanted a whole number", name, value)
		}
		f.SetInt(int64(v))
	default:
		if value == "off" {
			value = ""
		}
		f.SetString(value)
	}
	return nil
}

// Value returns the value of the rule of this name; whole reports that it is a whole number.
func (r Rules) Value(name string) (v float64, whole bool, err error) {
	f, err := r.field(name)
	switch {
	case err != nil:
		return 0, false, err
	case f.CanInt():
		return float64(f.Int()), true, nil
	case f.CanFloat():
		return f.Float(), false, nil
	}
	return 0, false, fault.New(fault.Usage, "rule %s is not a number", name)
}

// WithRules returns the plan with other rules, to judge again what its tasks have counted. What identifies
// the plan and what its tasks do stays; a note says which rules are others.
func (p *Plan) WithRules(r Rules) (*Plan, error) {
	q := *p
	q.Params.Rules = r
	family, _ := detector.Lookup(p.Dataset.Type)
	if err := q.Params.Validate(family); err != nil {
		return nil, err
	}
	if others := r.Against(p.Params.Rules); others != "" {
		q.Dataset.Notes = append(slices.Clip(p.Dataset.Notes), "judged again by other rules than the plan's: "+others)
	}
	return &q, nil
}

// Against lists the rules of r that differ from those of a plan; empty when none does.
func (r Rules) Against(planned Rules) string {
	var others []string
	was, is := reflect.ValueOf(planned), reflect.ValueOf(r)
	for i, name := range RuleNames() {
		if a, b := was.Field(i).Interface(), is.Field(i).Interface(); a != b {
			others = append(others, fmt.Sprintf("%s = %v (plan: %v)", name, b, a))
		}
	}
	return strings.Join(others, ", ")
}
