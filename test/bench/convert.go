package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"guestcore/test/rig"
)

// mostConvert is what is promised of a conversion: its time by that of the dump of the core in the same format. What was
// compressed has to be unpacked, which a dump has not: of that nothing is promised.
const mostConvert = 1.2

// conversion is from one format to another.
type conversion struct{ from, to string }

// convert writes dumps in other formats, beside dumps of the core: of random bytes, which no format compresses, and of a guest
// that has just booted.
func (b *bench) convert(ctx context.Context) error {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	random, err := b.randomCore(ctx, qemu, fullRAM)
	os.Remove(b.randomFile(fullRAM))
	if err != nil {
		return err
	}
	defer os.Remove(random)
	for _, c := range []conversion{{"elf", "elf"}, {"elf", "kdump-lzo"}, {"kdump-lzo", "elf"}, {"kdump-lzo", "kdump-lzo"}} {
		if err := b.conversion(ctx, "2 GiB of random bytes, ext4", random, c, true); err != nil {
			return err
		}
	}
	fresh, err := b.freshCore(ctx)
	if err != nil {
		return err
	}
	for _, c := range []conversion{{"elf", "elf"}, {"elf", "kdump-zlib"}, {"kdump-zlib", "elf"}, {"kdump-zstd", "elf"}, {"kdump-lzo", "elf"}} {
		if err := b.conversion(ctx, "1 GiB fresh from boot, ext4", fresh, c, c.from == "elf"); err != nil {
			return err
		}
	}
	return nil
}

// conversion converts a dump of the core; promised tells that it is held to the promise.
func (b *bench) conversion(ctx context.Context, guest, core string, c conversion, promised bool) error {
	in, out := filepath.Join(b.dir, "in"), filepath.Join(b.dir, "out")
	if _, err := timed(ctx, b.dir, b.program, "dump", "--format", c.from, core, in); err != nil {
		return err
	}
	defer os.Remove(in)
	took, err := contest(ctx, b.dir, out,
		[]string{b.program, "dump", "--format", c.to, core, out},
		[]string{b.program, "convert", "--format", c.to, in, out})
	if err != nil {
		return err
	}
	by, promise := took[1].by(took[0]), ""
	if promised {
		promise = fmt.Sprintf("at most %.2f ×", mostConvert)
	}
	b.add(fmt.Sprintf("%s: guestcore dump --format %s", guest, c.to), took[0].String(), "", false)
	b.add(fmt.Sprintf("  guestcore convert, from %s to %s", c.from, c.to), fmt.Sprintf("%v, %.2f × the dump", took[1], by), promise, promised && by > mostConvert)
	return nil
}
