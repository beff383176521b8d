package note

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// at is a number in a note, by its offset and size in bytes.
type at struct {
	name            string
	note, off, size int
	want            uint64
}

// checkNumbers reads numbers of a byte order out of notes.
func checkNumbers(t *testing.T, notes []parsed, order binary.ByteOrder, numbers []at) {
	t.Helper()
	for _, n := range numbers {
		b := notes[n.note].Desc[n.off : n.off+n.size]
		got := uint64(0)
		for i := range b {
			if order == binary.LittleEndian {
				got = got<<8 | uint64(b[len(b)-1-i])
			} else {
				got = got<<8 | uint64(b[i])
			}
		}
		if got != n.want {
			t.Errorf("%s: %#x at %d of note %d, want %#x", n.name, got, n.off, n.note, n.want)
		}
	}
}

// types are name, type and size of each note of a CPU.
func types(notes []parsed) string {
	var out []string
	for _, n := range notes {
		if n.Name != "GUESTCORE" {
			out = append(out, fmt.Sprintf("%s %#x %d", n.Name, n.Type, len(n.Desc)))
		}
	}
	return strings.Join(out, ", ")
}

// The offsets are those of the kernel's headers (arch/s390/include/asm), not of
// the code.
func TestS390XNotes(t *testing.T) {
	s := &arch.S390X{
		PSWMask: 0x0705300180000000, PSWAddr: 0xaddd, FPC: 0xf9c, Prefix: 0x9000,
		CPUTimer: 0x717, ClockComparator: 0xccc, TODProgrammable: 0x70d, GuardedStorage: [4]uint64{1, 2, 3, 4},
	}
	for i := range uint64(16) {
		s.GPR[i], s.Access[i], s.Control[i] = 0x100+i, 0x200+uint32(i), 0x300+i
	}
	for i := range uint64(32) {
		s.V[i] = [2]uint64{0x400 + i, 0x500 + i}
	}
	notes := parse(t, Of(machine(t, "s390", guest.CPU{Index: 2, State: s, Trust: guest.Valid}), &dump.Content{}, dump.Options{}).Bytes, binary.BigEndian)
	const want = "CORE 0x1 336, CORE 0x2 136, LINUX 0x305 4, LINUX 0x304 128, LINUX 0x301 8, LINUX 0x302 8, LINUX 0x303 4, " +
		"LINUX 0x309 128, LINUX 0x30a 256, LINUX 0x30b 32"
	if got := types(notes); got != want {
		t.Fatalf("notes %s, want %s", got, want)
	}
	checkNumbers(t, notes, binary.BigEndian, []at{
		{"pid", 0, 32, 4, 3}, {"psw mask", 0, 112, 8, 0x0705300180000000}, {"psw address", 0, 120, 8, 0xaddd},
		{"r0", 0, 128, 8, 0x100}, {"r15", 0, 248, 8, 0x10f}, {"a0", 0, 256, 4, 0x200}, {"a15", 0, 316, 4, 0x20f}, {"orig_r2", 0, 320, 8, 0},
		{"fpc", 1, 0, 4, 0xf9c}, {"f0", 1, 8, 8, 0x400}, {"f15", 1, 128, 8, 0x40f},
		{"prefix", 2, 0, 4, 0x9000}, {"c1", 3, 8, 8, 0x301}, {"timer", 4, 0, 8, 0x717}, {"comparator", 5, 0, 8, 0xccc}, {"programmable", 6, 0, 4, 0x70d},
		{"v0 low", 7, 0, 8, 0x500}, {"v15 low", 7, 120, 8, 0x50f}, {"v16 high", 8, 0, 8, 0x410}, {"v16 low", 8, 8, 8, 0x510}, {"v31 low", 8, 248, 8, 0x51f},
		{"gsepla", 9, 24, 8, 4},
	})
}
