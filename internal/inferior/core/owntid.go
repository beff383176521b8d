package core

import (
	"debug/elf"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
)

// tidAt are the places where C libraries of x86-64 keep the number by which a
// thread knows itself, from the thread pointer on, bytes.
var tidAt = []uint64{
	0x2d0, // glibc, struct pthread behind 704 bytes of header and a list (nptl/descr.h)
	0x30,  // musl since 1.2, struct pthread (src/internal/pthread_impl.h)
}

// maxTID is the largest number of a thread (PID_MAX_LIMIT,
// include/linux/threads.h).
const maxTID = 4 << 20

// findOwnTIDs says of the threads how they know themselves. gdb's gcore, run
// outside of a container, notes the numbers that the threads have there; the
// kernel's cores have the process's own. Numbers are believed if they can be
// those of all threads.
func (p *Process) findOwnTIDs() {
	if p.head.machine != elf.EM_X86_64 {
		return
	}
	for _, at := range tidAt {
		if own := p.ownTIDs(at); own != nil {
			for i := range p.notes.threads {
				p.notes.threads[i].Inner = own[i]
			}
			return
		}
	}
}

// ownTIDs are what all threads have at an offset from their thread pointers,
// nil if that is not a number of its own for each.
func (p *Process) ownTIDs(at uint64) []int {
	var own []int
	seen := map[int]bool{}
	for i := range p.notes.threads {
		base, ok := fsBase(&p.notes.threads[i], p.head)
		if !ok {
			return nil
		}
		if e, ok := p.mappings.Find(addr.HVA(base + at)); !ok || e.Kind != extent.Data { // in no file
			return nil
		}
		var b [4]byte
		if _, err := p.ReadAt(b[:], int64(base+at)); err != nil {
			return nil
		}
		tid := int(p.head.order.Uint32(b[:]))
		if tid == 0 || tid > maxTID || seen[tid] {
			return nil
		}
		seen[tid] = true
		own = append(own, tid)
	}
	return own
}

// fsBase is the thread pointer of x86-64, the 22nd of its registers
// (struct user_regs_struct, arch/x86/include/asm/user_64.h).
func fsBase(t *inferior.Thread, h header) (uint64, bool) {
	const at = 112 + 21*8
	desc := t.Note(ntPRStatus)
	if len(desc) < at+8 {
		return 0, false
	}
	return h.order.Uint64(desc[at:]), true
}
