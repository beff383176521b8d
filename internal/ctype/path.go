package ctype

import (
	"fmt"
	"strconv"
	"strings"
)

// step is one step of a member path: a name, or an index in brackets.
type step struct {
	name  string // "": an index
	index uint64
}

// parsePath splits "cp15.ttbr0_el[1]" into its steps.
func parsePath(path string) ([]step, error) {
	var steps []step
	for _, part := range strings.Split(path, ".") {
		name, rest, _ := strings.Cut(part, "[")
		if name == "" {
			return nil, fmt.Errorf("path %q: a name is missing: %w", path, ErrNoMember)
		}
		steps = append(steps, step{name: name})
		if len(name) == len(part) {
			continue
		}
		for _, idx := range strings.Split(rest, "[") {
			digits, ok := strings.CutSuffix(idx, "]")
			n, err := strconv.ParseUint(digits, 0, 64)
			if !ok || err != nil {
				return nil, fmt.Errorf("path %q: %q is no index: %w", path, "["+idx, ErrNoMember)
			}
			steps = append(steps, step{index: n})
		}
	}
	return steps, nil
}
