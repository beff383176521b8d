package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Trace runs a program in a QEMU, with more arguments, in the empty folder dir, and returns what QEMU logs of its first vCPU: the
// registers before each block of code that it executes.
func Trace(ctx context.Context, dir string, qemu QEMU, program Program, args ...string) ([]byte, error) {
	config := Config{
		Args:  append(append([]string{"-d", "cpu,nochain", "-D", "trace"}, program.Args...), args...),
		Files: map[string][]byte{program.File: program.Image},
		Bare:  true, SMP: "1",
	}
	g, err := start(ctx, dir, qemu, config)
	if err != nil {
		return nil, err
	}
	defer g.cmd.Wait()
	defer g.cmd.Cancel()
	if err := g.awaitWords(ctx, []Word{{Addr: program.Done, Value: program.DoneValue}}); err != nil {
		return nil, fmt.Errorf("%w\nQEMU's stderr:\n%s", err, &g.stderr)
	}
	if _, err := g.qmp.call("stop", nil); err != nil { // the log is whole
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "trace"))
}
