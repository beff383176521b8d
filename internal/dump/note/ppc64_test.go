package note

import (
	"encoding/binary"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// The offsets are those of the kernel's headers (arch/powerpc/include/uapi/asm),
// not of the code.
func TestPPC64Notes(t *testing.T) {
	s := &arch.PPC64{
		NIP: 0x111, MSR: 0x222, CTR: 0x333, LR: 0x444, XER: 0x555, CR: 0x666, FPSCR: 0x777, VSCR: 0x10001, VRSAVE: 0x888,
		SPEAcc: 0x999, SPEFSCR: 0xaaa,
	}
	for i := range s.GPR {
		s.GPR[i] = 0x1000 + uint64(i)
	}
	for i := range s.VSR {
		s.VSR[i] = [2]uint64{0x2000 + uint64(i), 0x3000 + uint64(i)}
	}
	cpu := guest.CPU{Index: 6, State: s, Trust: guest.Valid}
	numbers := []at{
		{"pid", 0, 32, 4, 7}, {"gpr0", 0, 112, 8, 0x1000}, {"gpr31", 0, 360, 8, 0x101f}, {"nip", 0, 368, 8, 0x111}, {"msr", 0, 376, 8, 0x222},
		{"orig_gpr3", 0, 384, 8, 0}, {"ctr", 0, 392, 8, 0x333}, {"link", 0, 400, 8, 0x444}, {"xer", 0, 408, 8, 0x555}, {"ccr", 0, 416, 8, 0x666},
		{"softe", 0, 424, 8, 0}, {"f0", 1, 0, 8, 0x2000}, {"f31", 1, 248, 8, 0x201f}, {"fpscr", 1, 256, 8, 0x777},
		{"vscr", 2, 524, 4, 0x10001}, {"vs0 low", 3, 0, 8, 0x3000}, {"vs31 low", 3, 248, 8, 0x301f},
		{"evr0", 4, 0, 4, 0}, {"acc", 4, 128, 8, 0x999}, {"spefscr", 4, 136, 4, 0xaaa},
	}
	for _, tt := range []struct {
		name      string
		order     binary.ByteOrder
		high, low int // of a vector's halves
	}{{"ppc64-be", binary.BigEndian, 0, 8}, {"ppc64-le", binary.LittleEndian, 8, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			notes := parse(t, Of(machine(t, tt.name, cpu), &dump.Content{}, dump.Options{}).Bytes, tt.order)
			if got, want := types(notes), "CORE 0x1 504, CORE 0x2 264, CORE 0x100 544, CORE 0x102 256, CORE 0x101 140"; got != want {
				t.Fatalf("notes %s, want %s", got, want)
			}
			checkNumbers(t, notes, tt.order, append(numbers,
				at{"v0 high", 2, tt.high, 8, 0x2020}, at{"v0 low", 2, tt.low, 8, 0x3020}, at{"v31 low", 2, 31*16 + tt.low, 8, 0x303f}))
		})
	}
}
