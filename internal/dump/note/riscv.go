package note

import (
	"debug/elf"

	"guestcore/internal/arch"
)

// riscvNotes are NT_PRSTATUS alone (target/riscv/arch_dump.c, QEMU 7.2): 376
// bytes with the process id at 32 and pc and x1 to x31 at 112; of a 32-bit
// machine 204 bytes, and there at 24 and 72.
func riscvNotes(s *arch.RISCV, index int, g arch.Guest) []elfNote {
	values := s.X
	values[0] = s.PC // x0, which is always 0, has no place
	size, id, regs := 376, 32, 112
	if g.Class == elf.ELFCLASS32 {
		size, id, regs = 204, 24, 72
	}
	b := make([]byte, size)
	g.Order.PutUint32(b[id:], uint32(index)+1)
	for i, v := range values {
		if g.Class == elf.ELFCLASS32 {
			g.Order.PutUint32(b[regs+4*i:], uint32(v))
		} else {
			g.Order.PutUint64(b[regs+8*i:], v)
		}
	}
	return []elfNote{{nameCore, ntPRStatus, b}}
}
