package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"guestcore/test/rig"
)

// mostConvert is what is promised of a conversion: its time by that of the dump of the core in the same format.
const mostConvert = 1.2

// convert writes a dump of 2 GiB in other formats, beside dumps of the core.
func (b *bench) convert(ctx context.Context) error {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	core, err := b.randomCore(ctx, qemu, fullRAM)
	os.Remove(b.randomFile(fullRAM))
	if err != nil {
		return err
	}
	defer os.Remove(core)
	out := filepath.Join(b.dir, "out")
	for _, way := range []struct{ from, to string }{{"elf", "elf"}, {"elf", "kdump-lzo"}, {"kdump-lzo", "elf"}, {"kdump-lzo", "kdump-lzo"}} {
		in := filepath.Join(b.dir, "in")
		if _, err := timed(ctx, b.dir, b.program, "dump", "--format", way.from, core, in); err != nil {
			return err
		}
		took, err := contest(ctx, b.dir, out,
			[]string{b.program, "dump", "--format", way.to, core, out},
			[]string{b.program, "convert", "--format", way.to, in, out})
		if err != nil {
			return err
		}
		by := took[1].by(took[0])
		b.add(fmt.Sprintf("2 GiB of random bytes, ext4: guestcore dump --format %s", way.to), took[0].String(), "", false)
		b.add(fmt.Sprintf("  guestcore convert, from %s to %s", way.from, way.to), fmt.Sprintf("%v, %.2f × the dump", took[1], by),
			fmt.Sprintf("at most %.2f ×", mostConvert), by > mostConvert)
		if err := os.Remove(in); err != nil {
			return err
		}
	}
	return nil
}
