package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"guestcore/test/rig"
)

// What is promised of the writer.
const (
	mostReflink = 0.1     // s
	mostGrowth  = 1 << 20 // bytes of a file system that shares blocks
	mostSparse  = 1.5     // our time by that of cp --sparse=always
	leastFresh  = 50      // the script's time by ours
	mostFull    = 1.05    // our time by that of the better of cp and dd
	mostPeak    = 256 << 20
	fullRAM     = 2 << 30
)

// reflink dumps guests of 1 and 64 GiB whose cores lie on an XFS.
func (b *bench) reflink(ctx context.Context) error {
	xfs, unmount, err := mountXFS(ctx, b.dir, 100<<30)
	if err != nil {
		return err
	}
	defer unmount()
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	guest, err := rig.Boot(ctx, qemu, rig.PC)
	if err != nil {
		return err
	}
	small := filepath.Join(xfs, "core1")
	if _, err := timed(ctx, b.dir, "cp", "--sparse=always", guest.Core, small); err != nil {
		return err
	}
	large, err := bareCore(ctx, qemu, xfs, "-machine", "q35,memory-backend=ram",
		"-m", "64G", "-object", "memory-backend-ram,id=ram,size=64G,reserve=off")
	if err != nil {
		return err
	}
	for _, c := range []struct{ what, core string }{{"1 GiB", small}, {"64 GiB, sparse", large}} {
		if err := b.reflinkOf(ctx, xfs, c.what, c.core); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) reflinkOf(ctx context.Context, xfs, what, core string) error {
	out := filepath.Join(xfs, "vmcore")
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	took, err := contest(ctx, b.dir, out, []string{b.program, "dump", core, out})
	if err != nil {
		return err
	}
	var before, after syscall.Statfs_t
	syscall.Sync()
	if err := syscall.Statfs(xfs, &before); err != nil {
		return err
	}
	if _, err := timed(ctx, b.dir, b.program, "dump", core, out); err != nil {
		return err
	}
	syscall.Sync()
	if err := syscall.Statfs(xfs, &after); err != nil {
		return err
	}
	grown := int64(before.Bfree-after.Bfree) * before.Bsize
	b.add("XFS, guestcore dump of "+what, fmt.Sprintf("%.3f s at best, %v in the middle", took[0].best(), took[0]),
		fmt.Sprintf("at most %.1f s", mostReflink), took[0].best() > mostReflink)
	b.add("  growth of the file system", fmt.Sprintf("%d KiB", grown>>10), fmt.Sprintf("at most %d KiB", mostGrowth>>10), grown > mostGrowth)
	return nil
}

// fresh dumps a guest of 1 GiB that has just booted.
func (b *bench) fresh(ctx context.Context) error {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	guest, err := rig.Boot(ctx, qemu, rig.PC)
	if err != nil {
		return err
	}
	ram, err := b.ram(guest.Core, 1<<30)
	if err != nil {
		return err
	}
	defer os.Remove(ram)
	out := filepath.Join(b.dir, "out")
	took, err := contest(ctx, b.dir, out, []string{b.program, "dump", guest.Core, out}, []string{"cp", "--sparse=always", ram, out})
	if err != nil {
		return err
	}
	script, err := b.script(ctx)
	if err != nil {
		return err
	}
	byCopy, byScript := took[0].by(took[1]), script/took[0].best()
	b.add("1 GiB fresh from boot, ext4: cp --sparse=always of the RAM", took[1].String(), "", false)
	b.add("  gdb with QEMU's Python script", fmt.Sprintf("%.2f s", script), "", false)
	b.add("  guestcore dump", fmt.Sprintf("%v, %.2f × cp", took[0], byCopy), fmt.Sprintf("at most %.2f ×", mostSparse), byCopy > mostSparse)
	b.add("  guestcore dump", fmt.Sprintf("%.0f times faster than the script", byScript), fmt.Sprintf("at least %d times", leastFresh),
		byScript < leastFresh)
	return nil
}

// script takes the time, in seconds, of the script on the same guest in the QEMU that has the debug information it needs.
func (b *bench) script(ctx context.Context) (float64, error) {
	qemu, err := rig.DebugQEMU()
	if err != nil {
		return 0, err
	}
	guest, err := rig.Boot(ctx, qemu, rig.PC)
	if err != nil {
		return 0, err
	}
	out := filepath.Join(b.dir, "fresh.elf")
	defer os.Remove(out)
	result, err := rig.RunScript(ctx, qemu.Exe, guest.Core, out)
	return result.Time.Seconds(), err
}

// random dumps a guest of 2 GiB that is full of random bytes.
func (b *bench) random(ctx context.Context) error {
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
	ram, err := b.ram(core, fullRAM)
	if err != nil {
		return err
	}
	defer os.Remove(ram)
	out := filepath.Join(b.dir, "out")
	took, err := contest(ctx, b.dir, out,
		[]string{b.program, "dump", core, out},
		[]string{"cp", "--sparse=never", ram, out},
		[]string{"dd", "if=" + ram, "of=" + out, "bs=4M", "oflag=direct"})
	if err != nil {
		return err
	}
	by := took[0].by(took[1], took[2])
	b.add("2 GiB of random bytes, ext4: cp --sparse=never of the RAM", took[1].String(), "", false)
	b.add("  dd bs=4M oflag=direct of the RAM", took[2].String(), "", false)
	b.add("  guestcore dump", fmt.Sprintf("%v, %.2f × the better", took[0], by), fmt.Sprintf("at most %.2f ×", mostFull), by > mostFull)
	result, err := rig.Run(ctx, limit, b.dir, b.program, "dump", core, out)
	if err != nil {
		return err
	}
	b.add("  memory of guestcore dump at its peak", fmt.Sprintf("%d MiB", result.Peak>>20), fmt.Sprintf("at most %d MiB", mostPeak>>20),
		result.Status != 0 || result.Peak > mostPeak)
	return os.RemoveAll(out)
}
