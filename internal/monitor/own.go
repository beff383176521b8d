package monitor

import (
	"context"
	"io"
	"slices"
	"strings"
)

// ownPrefix marks a command as guestcore's where another server has commands
// too.
const ownPrefix = "guestcore "

// unmistakable are the commands that no other server has, but for QEMU's
// monitor, whose dump-guest-memory does the same.
var unmistakable = []string{"dump-guest-memory", "info flatview", "info ramblocks", "info machine", "info symbols", "info kernel"}

// IsOwn reports whether a command line is guestcore's where it stands before
// another server with commands of its own: one that begins with "guestcore",
// or one that only guestcore has.
func IsOwn(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line+" ", ownPrefix) || slices.ContainsFunc(unmistakable, func(name string) bool {
		return line == name || strings.HasPrefix(line, name+" ")
	})
}

// RunOwn is [Monitor.Run] for a line that [IsOwn].
func (m *Monitor) RunOwn(ctx context.Context, line string, out io.Writer) error {
	line = strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(line+" ", ownPrefix); ok {
		line = rest
	}
	return m.Run(ctx, line, out)
}
