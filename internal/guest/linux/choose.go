package linux

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/guest"
)

// candidate is a note and what speaks for it.
type candidate struct {
	*note
	seen    []seen // by the vCPUs that have its kernel
	asked   int    // vCPUs that could be asked
	present bool   // memory has its kernel where the note says, whoever runs it
}

func judge(m *guest.Machine, n *note) *candidate {
	c := &candidate{note: n}
	if n.complete() {
		c.seen, c.asked = n.ask(m)
		c.present = n.present(m)
	}
	return c
}

// settled reports whether there is no need to look for a better one: a vCPU
// confirms it or, with none to ask, memory does.
func (c *candidate) settled() bool {
	return len(c.seen) > 0 || c.asked == 0 && c.present
}

// unanimous reports whether all vCPUs that can be asked run the kernel of c, so
// that none of another runs.
func (c *candidate) unanimous() bool { return c.asked > 0 && len(c.seen) == c.asked }

// choose says which of the notes is the machine's, and sets m.VMCoreInfo and
// what there is to say. It is nil if none is.
func choose(m *guest.Machine, all []*candidate) *candidate {
	var chosen *candidate
	for _, c := range all {
		if len(c.seen) > 0 && (chosen == nil || c.betterSeen(chosen)) {
			chosen = c
		}
	}
	if chosen == nil {
		return unconfirmed(m, all)
	}
	for _, c := range all {
		if c != chosen && len(c.seen) > 0 {
			m.Warnings = append(m.Warnings, fmt.Sprintf("another kernel, %s, runs on %s: its VMCOREINFO, %v, is left out, as a dump can have one only and %s runs on %s",
				c.info.Release(), cpuList(c.cpus()), c.note, chosen.info.Release(), cpuList(chosen.cpus())))
		}
	}
	chosen.use(m)
	return chosen
}

// betterSeen reports whether more vCPUs run the kernel of c than that of d or,
// of as many, the first one does.
func (c *candidate) betterSeen(d *candidate) bool {
	if len(c.seen) != len(d.seen) {
		return len(c.seen) > len(d.seen)
	}
	return c.seen[0].cpu < d.seen[0].cpu
}

// unconfirmed chooses where no vCPU confirms any: what QEMU would take or the
// only one whose kernel is in memory.
func unconfirmed(m *guest.Machine, all []*candidate) *candidate {
	var present []*candidate
	for _, c := range all {
		if c.handed {
			return c
		}
		if c.present {
			present = append(present, c)
		}
	}
	switch len(present) {
	case 1:
		present[0].use(m)
		return present[0]
	case 0:
		if len(all) > 0 {
			m.Warnings = append(m.Warnings, fmt.Sprintf("no VMCOREINFO is in the dump: guest memory has %s (%s), and none is of a kernel that is there",
				plural(len(all), "note"), nameThem(all)))
		}
	default:
		m.Warnings = append(m.Warnings, fmt.Sprintf("no VMCOREINFO is in the dump: guest memory has %s of different kernels (%s), and no vCPU tells which one runs",
			plural(len(present), "note"), nameThem(present)))
	}
	return nil
}

// use makes the note the machine's.
func (c *candidate) use(m *guest.Machine) {
	if c.handed {
		return
	}
	if m.VMCoreInfo != nil {
		m.Warnings = append(m.Warnings, fmt.Sprintf("the VMCOREINFO in %s is not of the kernel that the vCPUs run, and left out for %v", notedIn(m), c.note))
	}
	m.VMCoreInfo = c.raw
}

// notedIn is where the machine's VMCOREINFO was handed over.
func notedIn(m *guest.Machine) string { return cmp.Or(m.NotedIn, "the vmcoreinfo device") }

// describe fills in m.Kernel.
func (c *candidate) describe(m *guest.Machine) {
	k := m.Kernel
	k.System, k.Release, k.BuildID = "Linux", c.info.Release(), c.info["BUILD-ID"]
	if off, ok := c.info.KernelOffset(); ok {
		k.Offset = &off
	}
	k.Note = "in " + notedIn(m)
	if !c.handed {
		k.Note = fmt.Sprintf("found in guest memory at %#x", uint64(c.addr))
		k.NoteAddr = &c.addr
	}
	switch k.Confirmed = c.cpus(); {
	case len(c.seen) > 0:
		k.Note += ", confirmed by the page tables of " + cpuList(k.Confirmed)
	case c.asked == 0 && c.present:
		k.Note += ", not confirmed by a vCPU, as no page tables can be read; its kernel is in memory"
	case c.asked == 0:
		k.Note += ", not confirmed"
	default:
		k.Note += ", not confirmed: no vCPU has its kernel"
	}
}

func (c *candidate) cpus() []int {
	var out []int
	for _, s := range c.seen {
		out = append(out, s.cpu)
	}
	return out
}

// nameThem names notes and their kernels for a message.
func nameThem(all []*candidate) string {
	const most = 4
	var out []string
	for _, c := range all[:min(len(all), most)] {
		out = append(out, fmt.Sprintf("%#x: %s", uint64(c.addr), c.info.Release()))
	}
	if more := len(all) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}

// cpuList is "vCPU 0" or "vCPUs 0, 1, 3".
func cpuList(cpus []int) string {
	var names []string
	for _, n := range slices.Sorted(slices.Values(cpus)) {
		names = append(names, fmt.Sprint(n))
	}
	what := "vCPU "
	if len(names) > 1 {
		what = "vCPUs "
	}
	return what + strings.Join(names, ", ")
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
