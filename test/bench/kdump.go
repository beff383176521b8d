package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"guestcore/test/rig"
)

// What is promised of the kdump formats.
const (
	leastKdump = 1.8  // makedumpfile's time by ours
	mostSize   = 1.05 // our size by that of makedumpfile's file
)

// contenders are the formats and makedumpfile's flag for each; Debian's makedumpfile has no Snappy.
var contenders = []struct{ format, flag string }{
	{"kdump-zlib", "-c"}, {"kdump-lzo", "-l"}, {"kdump-zstd", "-z"}, {"kdump-snappy", ""},
}

// kdump compresses the memory of two guests, from the core, and has Debian unstable's makedumpfile compress our ELF dump of it.
func (b *bench) kdump(ctx context.Context) error {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	guest, err := rig.Boot(ctx, qemu, rig.PC)
	if err != nil {
		return err
	}
	if err := b.kdumpOf(ctx, "1 GiB fresh from boot", guest.Core); err != nil {
		return err
	}
	core, err := b.randomCore(ctx)
	if err != nil {
		return err
	}
	defer os.Remove(core)
	return b.kdumpOf(ctx, "2 GiB of random bytes", core)
}

func (b *bench) kdumpOf(ctx context.Context, what, core string) error {
	makedumpfile, err := rig.Sid("makedumpfile")
	if err != nil {
		return err
	}
	elf, out := filepath.Join(b.dir, "elf"), filepath.Join(b.dir, "out")
	defer os.Remove(elf)
	defer os.Remove(out)
	if _, err := timed(ctx, b.dir, b.program, "dump", core, elf); err != nil {
		return err
	}
	for _, c := range contenders {
		ours := []string{b.program, "dump", "--format", c.format, core, out}
		if c.flag == "" {
			took, err := contest(ctx, b.dir, out, ours)
			if err != nil {
				return err
			}
			b.add(what+", guestcore dump --format "+c.format, took[0].String(), "", false)
			continue
		}
		theirs := []string{makedumpfile, "--message-level", "0", c.flag, "-d", "1", elf, out}
		took, err := contest(ctx, b.dir, out, ours, theirs)
		if err != nil {
			return err
		}
		size, err := b.sizes(ctx, out, ours, theirs)
		if err != nil {
			return err
		}
		faster, larger := took[1].by(took[0]), float64(size[0])/float64(size[1])
		b.add(fmt.Sprintf("%s, makedumpfile %s -d 1", what, c.flag), took[1].String(), "", false)
		b.add("  guestcore dump --format "+c.format, fmt.Sprintf("%v, %.1f times faster", took[0], faster),
			fmt.Sprintf("at least %.1f times", leastKdump), faster < leastKdump)
		b.add("  size of its file", fmt.Sprintf("%.1f MB, %.2f × makedumpfile's", float64(size[0])/1e6, larger),
			fmt.Sprintf("at most %.2f ×", mostSize), larger > mostSize)
	}
	return nil
}

// sizes runs commands that write the file out and returns how long it is after each.
func (b *bench) sizes(ctx context.Context, out string, commands ...[]string) ([]int64, error) {
	var all []int64
	for _, c := range commands {
		if err := os.RemoveAll(out); err != nil {
			return nil, err
		}
		if _, err := timed(ctx, b.dir, c[0], c[1:]...); err != nil {
			return nil, err
		}
		info, err := os.Stat(out)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(c, " "), err)
		}
		all = append(all, info.Size())
	}
	return all, nil
}
