package procmaps

import (
	"bufio"
	"io"
	"slices"
	"strings"
)

// Flags of a mapping that a userfaultfd fills, in VmFlags of /proc/PID/smaps
// (proc_pid_smaps(5)): pages that are missing, and those that are in a file
// but not mapped. One that only watches writes, "uw", changes nothing of what
// is there.
var filledFlags = []string{"um", "ui"}

// FilledByOthers reports whether some mapping in smaps has pages that a
// userfaultfd fills. What cannot be read to its end may have.
func FilledByOthers(smaps io.Reader) bool {
	lines := bufio.NewScanner(smaps)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:")
		if ok && slices.ContainsFunc(strings.Fields(flags), func(f string) bool { return slices.Contains(filledFlags, f) }) {
			return true
		}
	}
	return lines.Err() != nil
}
