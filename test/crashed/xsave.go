package crashed

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

const (
	ntXState     = 0x202
	ntXSaveAreas = 0x205
	xcr0At       = 464 // in NT_X86_XSTATE
	// What a processor with AVX-512 and no more has, and the size of
	// its XSAVE area.
	plainXCR0, plainSize = 0xe7, 2688
)

// PlainXSave copies a core as a processor would have left it whose XSAVE area
// is of a size that every gdb knows: since version 14 gdb reads no more than
// SSE from one it does not know (AMX, notably). The areas' contents stay. It
// is false if the processor has no AVX-512.
func PlainXSave(t testing.TB, core string) (string, bool) {
	t.Helper()
	data, err := os.ReadFile(core)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	changed := false
	for _, p := range f.Progs {
		if p.Type == elf.PT_NOTE {
			changed = plainNotes(data[p.Off:p.Off+p.Filesz]) || changed
		}
	}
	out := filepath.Join(t.TempDir(), "core")
	if err := os.WriteFile(out, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return out, changed
}

// plainNotes changes the notes of XSAVE where they stand. What becomes free
// is a note of a type that means nothing.
func plainNotes(notes []byte) (changed bool) {
	const header, meaningless = 12, 0x7fff
	word := binary.LittleEndian
	for len(notes) >= header {
		desc := header + int(word.Uint32(notes)+3)&^3
		size := int(word.Uint32(notes[4:]))
		end := desc + (size+3)&^3
		switch word.Uint32(notes[8:]) {
		case ntXSaveAreas:
			word.PutUint32(notes[8:], meaningless)
		case ntXState:
			xcr0 := word.Uint64(notes[desc+xcr0At:])
			if xcr0&plainXCR0 != plainXCR0 || size < plainSize+header {
				break
			}
			word.PutUint64(notes[desc+xcr0At:], plainXCR0)
			word.PutUint32(notes[4:], plainSize)
			rest := notes[desc+plainSize : end]
			word.PutUint32(rest, 0)
			word.PutUint32(rest[4:], uint32(len(rest)-header))
			word.PutUint32(rest[8:], meaningless)
			changed = true
		}
		notes = notes[end:]
	}
	return changed
}
