package matrix

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"testing"

	"guestcore/test/rig"
)

// exception is a difference between our notes and QEMU's that stays, and why.
type exception struct {
	cells       cell
	note, field string // as a difference names them; no field stands for all
	reason      string
}

// swapped in the place of a field stands for all that have in QEMU's the bytes of ours in reverse.
const swapped = "(swapped)"

// explained are the differences that stay. Each must be in every cell that it speaks of.
var explained = slices.Concat(s390xExplained, ppc64Explained, hostExplained)

func (e exception) explains(d difference) bool {
	return e.note == d.note && (e.field == "" || e.field == d.field || e.field == swapped && d.swapped())
}

// swapped reports whether the bytes of the one number are those of the other in reverse.
func (d difference) swapped() bool {
	ours, err := strconv.ParseUint(d.ours, 0, 64)
	own, err2 := strconv.ParseUint(d.own, 0, 64)
	return err == nil && err2 == nil && (own == bits.ReverseBytes64(ours) ||
		own == uint64(bits.ReverseBytes32(uint32(ours))) && ours>>32 == 0 || own == uint64(bits.ReverseBytes16(uint16(ours))) && ours>>16 == 0)
}

// unexplained returns the differences found in a cell that no exception explains, and those that an exception explains but that
// are not there.
func (c cell) unexplained(found []difference) []difference {
	var left []difference
	used := make([]bool, len(explained))
	for _, d := range found {
		i := slices.IndexFunc(explained, func(e exception) bool { return e.cells.cover(c) && e.explains(d) })
		if i < 0 {
			left = append(left, d)
			continue
		}
		used[i] = true
	}
	for i, e := range explained {
		if e.cells.cover(c) && !used[i] {
			left = append(left, difference{note: e.note, field: e.field, ours: "what QEMU has",
				own: fmt.Sprintf("something else, says the table of exceptions (%s): take that out", e.reason)})
		}
	}
	return left
}

// TestExceptions holds the table to speaking of cells that there are.
func TestExceptions(t *testing.T) {
	for _, e := range explained {
		some := slices.ContainsFunc(guests, func(g guest) bool {
			return slices.ContainsFunc(slices.Concat(builds, hostBuilds), func(b rig.Build) bool {
				return g.without[b] == "" && e.cells.cover(cell{g.target, g.name, b})
			})
		})
		if !some || e.reason == "" {
			t.Errorf("the exception of %s in %s %s has no cell or no reason", e.cells, e.note, e.field)
		}
	}
}
