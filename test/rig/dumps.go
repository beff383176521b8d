package rig

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// dumps has QEMU write all that a Config asks for.
func (g *guest) dumps(ctx context.Context, config Config) error {
	for _, w := range config.Saved {
		arguments := map[string]any{"val": w.Begin, "size": w.Length, "filename": w.savedFile()}
		if _, err := g.qmp.call("pmemsave", arguments); err != nil {
			return err
		}
		if err := sparse(ctx, filepath.Join(g.dir, w.savedFile())); err != nil {
			return err
		}
	}
	if err := g.dump(ctx, qmpDump, nil); err != nil {
		if len(config.Saved) == 0 {
			return err
		}
		os.Remove(filepath.Join(g.dir, qmpDump)) // QEMU leaves an empty file
	}
	for _, w := range config.Windows {
		if err := g.dump(ctx, w.file(), map[string]any{"begin": w.Begin, "length": w.Length}); err != nil {
			return err
		}
	}
	if config.Paging {
		if err := g.dump(ctx, pagingDump, map[string]any{"paging": true}); err != nil {
			return err
		}
		for _, w := range config.Windows {
			if err := g.dump(ctx, "paging-"+w.file(), map[string]any{"paging": true, "begin": w.Begin, "length": w.Length}); err != nil {
				return err
			}
		}
	}
	for _, format := range config.Dumps {
		if err := g.dumpAs(format); err != nil {
			return err
		}
		if err := sparse(ctx, filepath.Join(g.dir, "qmp."+format)); err != nil {
			return err
		}
	}
	for _, format := range config.Refused {
		refusal := g.dumpAs(format)
		if refusal == nil {
			return fmt.Errorf("QEMU did not refuse to dump the guest as %s", format)
		}
		if err := os.WriteFile(filepath.Join(g.dir, refusalFile(format)), []byte(refusal.Error()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// dumpAs has QEMU dump the guest in one of its other formats.
func (g *guest) dumpAs(format string) error {
	_, err := g.qmp.call("dump-guest-memory", map[string]any{"paging": false, "protocol": "file:qmp." + format, "format": format})
	return err
}

// refusalFile is the name of the file with QEMU's refusal of a format.
func refusalFile(format string) string { return "refused." + format + ".txt" }

// dump has QEMU dump the guest, with more arguments than the usual ones.
func (g *guest) dump(ctx context.Context, file string, more map[string]any) error {
	arguments := map[string]any{"paging": false, "protocol": "file:" + file}
	maps.Copy(arguments, more)
	if _, err := g.qmp.call("dump-guest-memory", arguments); err != nil {
		return err
	}
	return sparse(ctx, filepath.Join(g.dir, file))
}

// file is the name of QEMU's dump of a window.
func (w Window) file() string { return fmt.Sprintf("qmp-%x-%x.elf", w.Begin, w.Length) }

// savedFile is the name of the file with the bytes of a window.
func (w Window) savedFile() string { return fmt.Sprintf("saved-%x-%x", w.Begin, w.Length) }

// sparse gives the zeros of a file back to the file system.
func sparse(ctx context.Context, path string) error {
	result, err := Run(ctx, bootLimit, "", "fallocate", "--dig-holes", path)
	if err == nil && result.Status != 0 {
		err = fmt.Errorf("making %s sparse: %s", path, result.Output)
	}
	return err
}
