package qemu

import (
	"bytes"
	"debug/elf"

	"guestcore/internal/addr"
)

// named finds what in QEMU's static data begins with a pointer to one of the
// names, by name: entries of tables, most of them. There is nothing to be found
// without QEMU's executable, which has the strings.
func (vm *VM) named(names []string) map[string][]addr.HVA {
	out := map[string][]addr.HVA{}
	if vm.src.Exe == nil {
		return out
	}
	pointers := vm.exeStrings(names)
	for _, s := range vm.src.Exe.Segments() {
		if s.Type != elf.PT_LOAD || s.Flags&elf.PF_W == 0 {
			continue
		}
		start := vm.src.Bias + addr.HVA(s.Vaddr)
		data := make([]byte, min(s.Filesz, maxData))
		n, _ := vm.space.Mem.ReadAt(data, int64(start))
		for i := 0; i+8 <= n; i += 8 {
			if name, ok := pointers[addr.HVA(vm.space.Word(data[i:]))]; ok {
				out[name] = append(out[name], start+addr.HVA(i))
			}
		}
	}
	return out
}

// exeStrings finds strings in the executable's read-only data, by their
// addresses in the process. Linkers let a string be the end of another one.
func (vm *VM) exeStrings(texts []string) map[addr.HVA]string {
	out := map[addr.HVA]string{}
	for _, seg := range vm.src.Exe.Segments() {
		if seg.Type != elf.PT_LOAD || seg.Flags&(elf.PF_W|elf.PF_X) != 0 {
			continue
		}
		text := make([]byte, min(seg.Filesz, maxData))
		n, _ := vm.src.Exe.ReadVaddr(text, seg.Vaddr)
		text = text[:n]
		for _, s := range texts {
			needle := append([]byte(s), 0)
			for at := 0; ; at++ {
				i := bytes.Index(text[at:], needle)
				if i < 0 {
					break
				}
				at += i
				out[vm.src.Bias+addr.HVA(seg.Vaddr)+addr.HVA(at)] = s
			}
		}
	}
	return out
}
