package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"guestcore/test/rig"
)

// What is promised of the writer.
const (
	mostReflink  = 0.1     // s
	mostGrowth   = 1 << 20 // bytes of a file system that shares blocks
	mostSparse   = 1.5     // our time by that of cp --sparse=always
	leastFresh   = 50      // the script's time by ours
	mostFull     = 1.05    // our time by that of the better of cp and dd
	rounds       = 7
	settle       = 300 * time.Millisecond // for what a sync leaves to the disk
	fullRAM      = 2 << 30
	firmwareHole = 1 << 20 // where the firmware lies, which is not filled
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
	var before, after syscall.Statfs_t
	syscall.Sync()
	if err := syscall.Statfs(xfs, &before); err != nil {
		return err
	}
	took, err := contest(ctx, b.dir, out, []string{b.program, "dump", core, out})
	if err != nil {
		return err
	}
	syscall.Sync()
	if err := syscall.Statfs(xfs, &after); err != nil {
		return err
	}
	grown := int64(before.Bfree-after.Bfree) * before.Bsize
	b.add("XFS, guestcore dump of "+what, took[0].String(), fmt.Sprintf("at most %.1f s", mostReflink), took[0].median() > mostReflink)
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
	byCopy, byScript := took[0].by(took[1]), script/took[0].median()
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
	bytes := filepath.Join(b.dir, "random")
	if _, err := timed(ctx, b.dir, "dd", "if=/dev/urandom", "of="+bytes, "bs=1M", "iflag=count_bytes", fmt.Sprintf("count=%d", fullRAM-firmwareHole)); err != nil {
		return err
	}
	core, err := bareCore(ctx, qemu, b.dir, "-machine", "pc", "-m", fmt.Sprintf("%dM", fullRAM>>20),
		"-device", fmt.Sprintf("loader,file=%s,addr=%#x,force-raw=on", bytes, firmwareHole))
	if err != nil {
		return err
	}
	defer os.Remove(core)
	if err := os.Remove(bytes); err != nil {
		return err
	}
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
	return nil
}

// contest runs the commands in turn, several rounds, and returns the times of each. All write the file out, which is removed
// before each, and nobody pays for what another wrote.
func contest(ctx context.Context, dir, out string, commands ...[]string) ([]times, error) {
	all := make([]times, len(commands))
	for range rounds {
		for i, c := range commands {
			if err := os.RemoveAll(out); err != nil {
				return nil, err
			}
			syscall.Sync()
			time.Sleep(settle)
			took, err := timed(ctx, dir, c[0], c[1:]...)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], took.Seconds())
		}
	}
	return all, os.RemoveAll(out)
}

// times are those of a command, in seconds, in the order of the rounds.
type times []float64

func (t times) median() float64 {
	t = slices.Sorted(slices.Values(t))
	return t[len(t)/2]
}

func (t times) String() string { return fmt.Sprintf("%.3f s", t.median()) }

// by is the median of the ratios of what ran in the same round: a machine that is busy for a while is so for both.
func (t times) by(others ...times) float64 {
	var ratios times
	for i := range t {
		best := others[0][i]
		for _, o := range others[1:] {
			best = min(best, o[i])
		}
		ratios = append(ratios, t[i]/best)
	}
	return ratios.median()
}

func timed(ctx context.Context, dir, name string, args ...string) (time.Duration, error) {
	result, err := rig.Run(ctx, limit, dir, name, args...)
	if err == nil && result.Status != 0 {
		err = errors.New(result.Output)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return result.Time, nil
}

// bareCore is the core, in a new folder in dir, of a guest that never ran.
func bareCore(ctx context.Context, qemu rig.QEMU, dir string, args ...string) (string, error) {
	dir, err := os.MkdirTemp(dir, "guest.")
	if err != nil {
		return "", err
	}
	return rig.BareCore(ctx, dir, qemu, args...)
}

// ram is a file with just the guest's memory of so many bytes, stored as the core stores it, holes and zeros.
func (b *bench) ram(core string, size int64) (string, error) {
	segments, err := elf.Open(core)
	if err != nil {
		return "", err
	}
	defer segments.Close()
	i := slices.IndexFunc(segments.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_LOAD && p.Filesz >= uint64(size) })
	if i < 0 {
		return "", fmt.Errorf("%s has no segment of %d bytes", core, size)
	}
	in, err := os.Open(core)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(b.dir, "ram"))
	if err != nil {
		return "", err
	}
	defer out.Close()
	return out.Name(), copyStored(out, in, int64(segments.Progs[i].Off), size)
}

// copyStored copies n bytes from start of in on, without the holes.
func copyStored(out, in *os.File, start, n int64) error {
	if err := out.Truncate(n); err != nil {
		return err
	}
	for at := start; ; {
		data, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) || data >= start+n {
			return nil
		}
		if err != nil {
			return err
		}
		if at, err = in.Seek(data, unix.SEEK_HOLE); err != nil {
			return err
		}
		at = min(at, start+n)
		section := io.NewSectionReader(in, data, at-data)
		if _, err := io.Copy(io.NewOffsetWriter(out, data-start), section); err != nil {
			return err
		}
	}
}

// mountXFS makes an XFS that can share blocks in an image in dir.
func mountXFS(ctx context.Context, dir string, size int64) (string, func(), error) {
	image, at := filepath.Join(dir, "xfs.img"), filepath.Join(dir, "xfs")
	if err := os.Mkdir(at, 0o755); err != nil {
		return "", nil, err
	}
	for _, c := range [][]string{
		{"truncate", fmt.Sprintf("--size=%d", size), image},
		{"mkfs.xfs", "-q", "-m", "reflink=1", image},
		{"mount", "-o", "loop", image, at},
	} {
		if _, err := timed(ctx, dir, c[0], c[1:]...); err != nil {
			return "", nil, fmt.Errorf("an XFS to measure on (needs xfsprogs and root): %w", err)
		}
	}
	return at, func() {
		syscall.Unmount(at, syscall.MNT_DETACH)
		os.Remove(image)
	}, nil
}
