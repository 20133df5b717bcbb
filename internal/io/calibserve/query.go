package calibserve

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// query is the part of MongoDB's query language that calibration software uses: every field must fulfil
// all of its conditions.
type query map[string][]condition

type condition struct {
	op    string
	value any
}

var operators = []string{"$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in"}

// parseQuery reads a query; an empty text selects everything.
func parseQuery(text string) (query, error) {
	q := query{}
	if text == "" {
		return q, nil
	}
	var raw map[string]any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf("query_string is not a JSON object: %w", err)
	}
	for field, v := range raw {
		if field == "_id" {
			v = plainIDs(v)
		}
		ops, ok := v.(map[string]any)
		if !ok {
			q[field] = []condition{{"$eq", v}}
			continue
		}
		for op, value := range ops {
			if !slices.Contains(operators, op) {
				return nil, fmt.Errorf("operator %q of field %q is not supported, only %s", op, field, strings.Join(operators, " "))
			}
			if _, isList := value.([]any); op == "$in" && !isList {
				return nil, fmt.Errorf("$in of field %q wants a list", field)
			}
			q[field] = append(q[field], condition{op, value})
		}
	}
	return q, nil
}

// plainIDs takes the wrapping off ids: psana asks for {"_id": "ObjectId(6b0b...)"}, also inside of
// operators and lists.
func plainIDs(v any) any {
	switch v := v.(type) {
	case string:
		if inner, ok := strings.CutPrefix(v, "ObjectId("); ok && strings.HasSuffix(inner, ")") {
			return strings.Trim(strings.TrimSuffix(inner, ")"), `'"`)
		}
	case []any:
		for i := range v {
			v[i] = plainIDs(v[i])
		}
	case map[string]any:
		if id, ok := v["$oid"].(string); ok && len(v) == 1 {
			return id
		}
		for key := range v {
			v[key] = plainIDs(v[key])
		}
	}
	return v
}

// selects reports whether a document fulfils the query.
func (q query) selects(doc map[string]any) bool {
	for field, conditions := range q {
		v, there := doc[field]
		for _, c := range conditions {
			if !c.holds(v, there) {
				return false
			}
		}
	}
	return true
}

// holds reports whether a value fulfils the condition. As in MongoDB an order exists only between values of
// one type: run_end "end" is neither above nor below a number.
func (c condition) holds(v any, there bool) bool {
	switch c.op {
	case "$eq":
		return there && equal(v, c.value)
	case "$ne":
		return !there || !equal(v, c.value)
	case "$in":
		return there && slices.ContainsFunc(c.value.([]any), func(x any) bool { return equal(v, x) })
	}
	order, ok := compare(v, c.value)
	if !ok {
		return false
	}
	switch c.op {
	case "$lt":
		return order < 0
	case "$lte":
		return order <= 0
	case "$gt":
		return order > 0
	}
	return order >= 0
}

// equal compares simple values; lists and objects are equal to nothing.
func equal(a, b any) bool {
	switch a.(type) {
	case nil, bool, float64, string:
		switch b.(type) {
		case nil, bool, float64, string:
			return a == b
		}
	}
	return false
}

func compare(a, b any) (order int, ok bool) {
	switch x := a.(type) {
	case float64:
		if y, same := b.(float64); same {
			switch {
			case x < y:
				return -1, true
			case x > y:
				return 1, true
			}
			return 0, true
		}
	case string:
		if y, same := b.(string); same {
			return strings.Compare(x, y), true
		}
	}
	return 0, false
}
