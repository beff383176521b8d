package core

import (
	"debug/elf"
	"encoding/binary"
	"slices"
	"testing"
)

// Threads know themselves by what the C library keeps, if each has a number of
// its own there.
func TestOwnTIDs(t *testing.T) {
	for _, test := range []struct {
		name string
		at   uint64 // from the thread pointers on
		tids []uint32
		want []int
	}{
		{"glibc", 0x2d0, []uint32{7, 1, 4 << 20}, []int{7, 1, 4 << 20}},
		{"musl", 0x30, []uint32{1, 2, 3}, []int{1, 2, 3}},
		{"another library", 0x100, []uint32{1, 2, 3}, []int{1000, 1001, 1002}},
		{"twice the same", 0x2d0, []uint32{1, 2, 2}, []int{1000, 1001, 1002}},
		{"a thread without", 0x2d0, []uint32{1, 0, 3}, []int{1000, 1001, 1002}},
		{"no number of a thread", 0x2d0, []uint32{1, 2, 4<<20 + 1}, []int{1000, 1001, 1002}},
		{"memory that the core lacks", 0x7fe, []uint32{1, 2, 3}, []int{1000, 1001, 1002}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(elf.ELFCLASS64, binary.LittleEndian)
			b.auxv()
			memory := make([]byte, 0x1800)
			for i, tid := range test.tids {
				base := uint64(i) * 0x800
				if at := base + test.at; at+4 <= uint64(len(memory)) {
					binary.LittleEndian.PutUint32(memory[at:], tid)
				}
				b.thread(1000+i, 0)
				binary.LittleEndian.PutUint64(b.notes[len(b.notes)-336+112+21*8:], 0x5000+base)
			}
			b.loads = []load{{vaddr: 0x5000, data: memory, memsz: 0x1800, flags: elf.PF_R | elf.PF_W}}
			var got []int
			threads := parseBytes(t, b.bytes(), Options{}).Threads()
			for i := range threads {
				got = append(got, threads[i].OwnTID())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
