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

	"golang.org/x/sys/unix"

	"guestcore/test/rig"
)

// bareCore is the core, in a new folder in dir, of a guest that never ran.
func bareCore(ctx context.Context, qemu rig.QEMU, dir string, args ...string) (string, error) {
	dir, err := os.MkdirTemp(dir, "guest.")
	if err != nil {
		return "", err
	}
	return rig.BareCore(ctx, dir, qemu, args...)
}

// firmware is where the firmware of a pc lies: below that many bytes.
const firmware = 1 << 20

// randomArgs make a pc whose RAM of so many bytes is full of those of a file but for where the firmware lies.
func (b *bench) randomArgs(size int64) []string {
	return []string{"-machine", "pc", "-m", fmt.Sprintf("%dM", size>>20),
		"-device", fmt.Sprintf("loader,file=%s,addr=%#x,force-raw=on", b.randomFile(size), firmware)}
}

func (b *bench) randomFile(size int64) string {
	return filepath.Join(b.dir, fmt.Sprintf("random-%dM", size>>20))
}

// randomCore is the core of a pc whose RAM of so many bytes is full of random ones, which stay in randomFile.
func (b *bench) randomCore(ctx context.Context, qemu rig.QEMU, size int64) (string, error) {
	if _, err := timed(ctx, b.dir, "dd", "if=/dev/urandom", "of="+b.randomFile(size), "bs=1M", "iflag=count_bytes", fmt.Sprintf("count=%d", size-firmware)); err != nil {
		return "", err
	}
	return bareCore(ctx, qemu, b.dir, b.randomArgs(size)...)
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
		os.Remove(at)
		os.Remove(image)
	}, nil
}

// largestSegment is the address of the core's largest segment.
func largestSegment(core string) (uint64, error) {
	f, err := elf.Open(core)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var largest elf.ProgHeader
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Filesz > largest.Filesz {
			largest = p.ProgHeader
		}
	}
	if largest.Filesz < findSize {
		return 0, fmt.Errorf("%s has no segment of %d bytes", core, findSize)
	}
	return largest.Vaddr, nil
}
