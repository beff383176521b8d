// Package gdbstub is a virtual machine as QEMU's own gdbstub shows it (-s,
// -gdb): guest memory by the packets of its physical mode, and where that is
// by QEMU's monitor behind qRcmd. It needs no symbols and no layouts, and a
// QEMU that still answers.
//
// Its neighbour, package qemu, looks into the process instead.
package gdbstub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
	"guestcore/internal/qemu"
	"guestcore/internal/rsp/client"
)

// Machine is a machine behind a gdbstub.
type Machine struct {
	ctx    context.Context
	c      *client.Client
	ranges []qemuRange
	arch   string // as target.xml has it, "" if there is none
	since  time.Time

	mu   sync.Mutex // held while the stub is asked
	gone bool       // the stub has been left, with the machine running
}

// Is reports whether a server is QEMU's gdbstub: it alone knows the packet
// (gdbstub.c, QEMU 4.1).
func Is(ctx context.Context, c *client.Client) bool {
	b, err := c.Ask(ctx, "qqemu.PhyMemMode")
	return err == nil && (string(b) == "0" || string(b) == "1")
}

// Open asks where guest memory is, and has the stub read by guest-physical
// addresses until the machine is closed. The connection stays the caller's.
func Open(ctx context.Context, c *client.Client) (*Machine, error) {
	text, err := c.Monitor(ctx, "info mtree -f")
	if err != nil {
		return nil, fmt.Errorf("QEMU's gdbstub: info mtree -f: %w", err)
	}
	m := &Machine{ctx: ctx, c: c, since: time.Now()}
	if m.ranges, err = parseFlatView(string(text)); err != nil {
		return nil, fmt.Errorf("QEMU's gdbstub: %w", err)
	}
	if xml, err := c.Object(ctx, "features", "target.xml"); err == nil {
		_, rest, _ := strings.Cut(string(xml), "<architecture>")
		m.arch, _, _ = strings.Cut(rest, "<")
	}
	if _, err := c.Ask(ctx, "Qqemu.PhyMemMode:1"); err != nil {
		return nil, fmt.Errorf("QEMU's gdbstub: physical mode: %w", err)
	}
	return m, nil
}

// Close has the stub read as gdb expects it again.
func (m *Machine) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return nil
	}
	_, err := m.c.Ask(context.WithoutCancel(m.ctx), "Qqemu.PhyMemMode:0")
	return err
}

// archNames are gdb's names of architectures that only one of ours has.
var archNames = map[string]string{
	"i386:x86-64": "X86_64", "i386": "386", "aarch64": "aarch64-le", "arm": "arm", "s390:64-bit": "s390",
	"riscv:rv64": "riscv64", "riscv:rv32": "riscv32", "loongarch64": "loongarch64", "Loongarch64": "loongarch64",
}

// Guest is the machine as a dump takes it. The stub's registers are not read.
func (m *Machine) Guest(archName string) (*guest.Machine, error) {
	if arch.IsAuto(archName) {
		if archName = archNames[m.arch]; archName == "" {
			return nil, fmt.Errorf("%w of the guest is not known, QEMU's gdbstub calls it %q: name it, one of %s",
				qemu.ErrArch, m.arch, strings.Join(arch.GuestNames(), ", "))
		}
	}
	g, err := arch.GuestByName(archName)
	if err != nil {
		return nil, err
	}
	im := &guest.Image{Files: []addr.Source{m}, Map: &extent.Map[addr.GPA, addr.FileOff]{}}
	var devices []guest.Range
	for _, r := range m.ranges {
		if r.kind == "i/o" {
			devices = append(devices, guest.Range{Addr: r.start, Size: r.size()})
		}
		if !r.dumped() {
			continue
		}
		if err := im.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: r.start, Size: r.size(), Off: addr.InFile(0, int64(r.start))}); err != nil {
			return nil, fmt.Errorf("guest memory: %w", err)
		}
		if n := len(im.Ranges); n > 0 && r.follows {
			im.Ranges[n-1].Size += r.size()
			continue
		}
		im.Ranges = append(im.Ranges, guest.Range{Addr: r.start, Size: r.size(), ROM: r.kind == "rom"})
	}
	if len(im.Ranges) == 0 {
		return nil, errors.New("QEMU's gdbstub lists no RAM")
	}
	return &guest.Machine{Arch: g, Image: im, Devices: devices,
		Warnings: []string{"QEMU's gdbstub was asked for memory only: no registers are in the file"}}, nil
}

// Rows are the ranges of memory, for the table that a dump prints. Where
// QEMU has them mapped is not known.
func (m *Machine) Rows() []qemu.Row {
	var rows []qemu.Row
	count := 0
	for _, r := range m.ranges {
		if !r.dumped() {
			continue
		}
		if !r.follows {
			count++
		}
		rows = append(rows, qemu.Row{Start: r.start, End: r.end, Joined: r.follows, Count: count})
	}
	return rows
}

// Name says where the memory is.
func (m *Machine) Name() string { return "QEMU's gdbstub" }

// ReadAt reads guest-physical memory.
func (m *Machine) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c.ReadMemory(m.ctx, p, uint64(off))
}
