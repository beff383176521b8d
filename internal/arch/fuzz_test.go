package arch

import (
	"debug/elf"
	"encoding/binary"
	"encoding/xml"
	"testing"
)

// Whatever the notes hold, each described register has its size or no value.
func FuzzRegisters(f *testing.F) {
	f.Add(uint16(elf.EM_X86_64), allNotes(ntPRStatus)[:336], allNotes(ntXState), []byte{2, 0, 0, 0, 0, 1, 0, 0, 64, 2, 0, 0, 0, 0, 0, 0})
	f.Add(uint16(elf.EM_AARCH64), allNotes(ntPRStatus)[:392], []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, machine uint16, status, state, areas []byte) {
		notes := func(typ uint32) []byte {
			switch typ {
			case ntPRStatus:
				return status
			case ntXSaveAreas:
				return areas
			}
			return state
		}
		h, err := HostOf(elf.Machine(machine), elf.ELFCLASS64, binary.LittleEndian, notes)
		if err != nil {
			return
		}
		var d description
		if err := xml.Unmarshal(h.TargetXML(), &d); err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, f := range d.Features {
			count += len(f.Regs)
		}
		values := h.Registers(notes)
		if len(values) != count {
			t.Fatalf("%d registers described, %d given", count, len(values))
		}
		for i, v := range values {
			if v.Data != nil && len(v.Data)*8 != v.Bits {
				t.Fatalf("register %d: %d bytes for %d bits", i, len(v.Data), v.Bits)
			}
		}
	})
}
