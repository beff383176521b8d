// Package linux is what a Linux kernel left of itself in the memory of a
// machine: its VMCOREINFO note, and from that and from page tables where it
// runs. Debuggers open a dump with it.
//
// A note is not believed since it is there. Memory holds notes of kernels that
// ran before, of a kernel loaded for a crash, of machines inside the machine,
// in dump files that lie in the page cache, and halves of each. The one that
// counts leads from its own symbol, through the page tables of a vCPU, to the
// names of the kernel that it tells of.
//
// It knows guest memory and registers, from packages guest and arch. It knows
// no hypervisor, and no kernel's symbols but those in the note.
package linux

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// Identify finds out what kernel the machine runs, and sets m.Kernel. A note
// that somebody handed over, in m.VMCoreInfo, is checked; where it is missing
// or no vCPU confirms it, memory is scanned for a better one, which becomes
// m.VMCoreInfo; to its end, unless one is found that all vCPUs confirm. Without
// a p it is not scanned. What a dump will lack for it goes to m.Warnings, what
// else there is to say to m.Kernel.Remarks. The error is that of ctx or of the
// source.
func Identify(ctx context.Context, m *guest.Machine, p Progress) error {
	m.Kernel = &guest.Kernel{}
	var all []*candidate
	if m.VMCoreInfo != nil {
		n, err := parseNote(m.Arch.Order, m.VMCoreInfo)
		if err == nil && !strings.HasPrefix(string(n.text), "OSRELEASE=") {
			return nil // of another system: Windows has its dump's header there
		}
		if err == nil {
			n.handed = true
			all = append(all, judge(m, n))
		}
	}
	switch unsettled := len(all) == 0 || !all[0].settled(); {
	case unsettled && p == nil:
		m.Kernel.Remarks = append(m.Kernel.Remarks, "guest memory was not searched for VMCOREINFO")
	case unsettled:
		found, err := search(ctx, m, p)
		if err != nil {
			return fmt.Errorf("scanning guest memory for VMCOREINFO: %w", err)
		}
		for _, c := range found {
			if !slices.ContainsFunc(all, func(d *candidate) bool { return d.same(c.note) }) {
				all = append(all, c)
			}
		}
	}
	chosen := choose(m, all)
	if chosen != nil {
		chosen.describe(m)
	}
	if isX86(m) {
		reckonPhysBase(m, chosen)
	}
	return nil
}

// search scans memory for whole notes, without those that say the same as one
// before, until there is one than which none can be better.
func search(ctx context.Context, m *guest.Machine, p Progress) ([]*candidate, error) {
	j := &judgements{m: m, by: map[string]*candidate{}}
	addrs, unread, err := scan(ctx, m.Image, p, func(a addr.GPA) bool {
		c := j.of(a)
		return c != nil && c.unanimous()
	})
	if err != nil {
		return nil, err
	}
	if unread > 0 {
		m.Warnings = append(m.Warnings, fmt.Sprintf("%d bytes of guest memory could not be read in the search for VMCOREINFO", unread))
	}
	var all []*candidate
	for _, a := range addrs {
		c := j.of(a)
		if c != nil && !slices.ContainsFunc(all, func(d *candidate) bool { return d.same(c.note) }) {
			all = append(all, c)
		}
	}
	return all, nil
}

// judgements are those of notes in memory, each asked for once. A page cache
// may hold one thousands of times.
type judgements struct {
	m  *guest.Machine
	mu sync.Mutex
	by map[string]*candidate // by the note's text
}

// of is what speaks for the note at an address; nil if there is no whole one.
func (j *judgements) of(a addr.GPA) *candidate {
	n, err := readNote(j.m.Image, j.m.Arch.Order, a)
	if err != nil || !n.complete() {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if c := j.by[string(n.text)]; c != nil {
		twin := *c
		twin.note = n
		return &twin
	}
	c := judge(j.m, n)
	j.by[string(n.text)] = c
	return c
}
