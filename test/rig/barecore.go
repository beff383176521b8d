package rig

import (
	"context"
	"fmt"
	"path/filepath"
)

// BareCore makes a core, in the empty folder dir, of a QEMU with these arguments whose guest never ran. There is no oracle:
// it is for guests whose memory is too large to be dumped by QEMU, or known.
func BareCore(ctx context.Context, dir string, qemu QEMU, args ...string) (string, error) {
	g, err := start(ctx, dir, qemu, Config{Args: append([]string{"-S"}, args...), Bare: true})
	if err != nil {
		return "", err
	}
	if _, err = g.qmp.call("query-status", nil); err == nil { // the machine is there when it answers
		err = abort(g.cmd)
	}
	if err != nil {
		g.cmd.Cancel()
		g.cmd.Wait()
		return "", fmt.Errorf("%w\nQEMU's stderr:\n%s", err, &g.stderr)
	}
	return filepath.Join(dir, "core"), nil
}
