package dumpfile

import (
	"strconv"
	"strings"

	"guestcore/internal/guest"
)

// cpuLabel is what the GUESTCORE note says of a processor.
type cpuLabel struct {
	index   int
	trust   guest.Trust
	reason  string
	unknown []string // registers, by the names the note has for them
}

// cpuLabels are those of all processors, in the order of the note, whose lines
// are
//
//	CPU1=stale, KVM had newer ones
//	CPU1-UNKNOWN=dr fpu or: all
func (f *File) cpuLabels() []cpuLabel {
	var out []cpuLabel
	at := map[int]int{} // in out, by the processor's number
	for line := range strings.Lines(string(f.note("GUESTCORE").desc)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		number, isCPU := strings.CutPrefix(key, "CPU")
		number, unknown := strings.CutSuffix(number, "-UNKNOWN")
		index, err := strconv.Atoi(number)
		if !isCPU || err != nil || index < 0 {
			continue
		}
		i, seen := at[index]
		switch {
		case unknown && seen:
			out[i].unknown = strings.Fields(value)
		case !unknown && !seen:
			at[index] = len(out)
			out = append(out, newCPULabel(index, value))
		}
	}
	return out
}

// newCPULabel reads what [guest.CPU.Label] made.
func newCPULabel(index int, text string) cpuLabel {
	word, reason, _ := strings.Cut(text, ", ")
	l := cpuLabel{index: index, reason: reason}
	for _, t := range []guest.Trust{guest.Stale, guest.Valid} {
		if word == t.String() {
			l.trust = t
		}
	}
	return l
}
