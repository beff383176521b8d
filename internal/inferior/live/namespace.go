package live

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ownTID is the number by which a process in a PID namespace of its own, as in
// a container, knows its thread tid; 0 if the kernel does not say. dir is the
// process's folder in /proc. Of the numbers in NSpid (proc_pid_status(5), Linux
// 4.1) the last one is the innermost namespace's.
func ownTID(dir string, tid int) int {
	status, err := os.ReadFile(filepath.Join(dir, "task", strconv.Itoa(tid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		numbers, ok := strings.CutPrefix(line, "NSpid:")
		if fields := strings.Fields(numbers); ok && len(fields) > 0 {
			own, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				return 0
			}
			return own
		}
	}
	return 0
}
