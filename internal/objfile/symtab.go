package objfile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
)

// symtab is a symbol table and its strings as they lie in the file. Names are searched for in the bytes; nothing is indexed:
// a scan of 100,000 entries takes less than a millisecond.
type symtab struct {
	from  Table
	order binary.ByteOrder
	is32  bool
	syms  []byte // Elf32_Sym or Elf64_Sym entries
	strs  []byte // names, NUL-terminated
}

// Bytes of a symbol table entry, elf.h.
const symSize32, symSize64 = 16, 24

// symtab reads the table of a section name, nil if there is none. It is read once. The caller holds File.mu.
func (img *image) symtab(name string) (*symtab, error) {
	if t, ok := img.tables[name]; ok {
		return t, nil
	}
	t, err := img.readSymtab(name)
	if err != nil {
		return nil, err
	}
	img.tables[name] = t
	return t, nil
}

func (img *image) readSymtab(name string) (*symtab, error) {
	s := img.elf.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil, nil
	}
	if int(s.Link) >= len(img.elf.Sections) {
		return nil, fmt.Errorf("%s: section %s: names in section %d of %d", img.path, name, s.Link, len(img.elf.Sections))
	}
	t := &symtab{from: Table{img.path, name}, order: img.elf.ByteOrder, is32: img.elf.Class == elf.ELFCLASS32}
	var err error
	if t.syms, err = img.bytes(name); err != nil {
		return nil, err
	}
	strs := img.elf.Sections[s.Link]
	if t.strs, err = img.raw(strs); err != nil {
		return nil, fmt.Errorf("%s: section %s: %w", img.path, strs.Name, err)
	}
	return t, nil
}

// entry is one symbol without its name.
type entry struct {
	name        uint32 // offset in strs
	info        byte
	shndx       elf.SectionIndex
	value, size uint64
}

func (e entry) typ() elf.SymType  { return elf.ST_TYPE(e.info) }
func (e entry) bind() elf.SymBind { return elf.ST_BIND(e.info) }

func (t *symtab) len() int {
	if t.is32 {
		return len(t.syms) / symSize32
	}
	return len(t.syms) / symSize64
}

func (t *symtab) nameOff(i int) uint32 {
	if t.is32 {
		return t.order.Uint32(t.syms[i*symSize32:])
	}
	return t.order.Uint32(t.syms[i*symSize64:])
}

func (t *symtab) entry(i int) entry {
	if t.is32 { // name, value, size, info, other, shndx
		b := t.syms[i*symSize32:]
		return entry{t.order.Uint32(b), b[12], elf.SectionIndex(t.order.Uint16(b[14:])),
			uint64(t.order.Uint32(b[4:])), uint64(t.order.Uint32(b[8:]))}
	}
	b := t.syms[i*symSize64:] // name, info, other, shndx, value, size
	return entry{t.order.Uint32(b), b[4], elf.SectionIndex(t.order.Uint16(b[6:])),
		t.order.Uint64(b[8:]), t.order.Uint64(b[16:])}
}

// name is the string at an offset of the string table.
func (t *symtab) name(off uint32) string {
	if uint64(off) >= uint64(len(t.strs)) {
		return ""
	}
	b := t.strs[off:]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func (t *symtab) symbol(e entry) Symbol {
	return Symbol{Name: t.name(e.name), Value: e.value, Size: e.size, Type: e.typ(), Bind: e.bind(), From: t.from}
}

// find finds a defined symbol of exactly that name, a global one before a local one.
func (t *symtab) find(name string) (Symbol, bool) {
	offs := t.nameOffsets(name)
	if len(offs) == 0 {
		return Symbol{}, false
	}
	var local *entry
	for i := range t.len() {
		if _, ok := slices.BinarySearch(offs, t.nameOff(i)); !ok {
			continue
		}
		e := t.entry(i)
		switch {
		case !e.defined():
		case e.bind() != elf.STB_LOCAL:
			return t.symbol(e), true
		case local == nil:
			local = &e
		}
	}
	if local == nil {
		return Symbol{}, false
	}
	return t.symbol(*local), true
}

// nameOffsets finds every place of the string table that reads name, sorted. A linker lets names share their tails, so that
// a name may begin in the middle of a longer one.
func (t *symtab) nameOffsets(name string) []uint32 {
	needle := append([]byte(name), 0)
	if len(needle) == 1 || bytes.IndexByte(needle, 0) != len(needle)-1 {
		return nil
	}
	var offs []uint32
	for at := 0; ; at++ {
		i := bytes.Index(t.strs[at:], needle)
		if i < 0 {
			return offs
		}
		at += i
		offs = append(offs, uint32(at))
	}
}

// findStatic finds the object of a static variable in a function. GCC names it "name.N" and clang "function.name", with ".N"
// after it where there are several. The name must be the only one of its kind: GCC does not say which function it belongs to.
func (t *symtab) findStatic(function, name string) (Symbol, bool) {
	var found *entry
	for i := range t.len() {
		e := t.entry(i)
		if e.typ() != elf.STT_OBJECT || e.bind() != elf.STB_LOCAL || !e.defined() {
			continue
		}
		if s := t.name(e.name); isNumbered(s, name) || s == function+"."+name || isNumbered(s, function+"."+name) {
			if found != nil {
				return Symbol{}, false
			}
			found = &e
		}
	}
	if found == nil {
		return Symbol{}, false
	}
	return t.symbol(*found), true
}

// isNumbered says whether s is name + "." + digits.
func isNumbered(s, name string) bool {
	if len(s) < len(name)+2 || s[:len(name)] != name || s[len(name)] != '.' {
		return false
	}
	for _, c := range s[len(name)+1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func (e entry) defined() bool {
	switch e.typ() {
	case elf.STT_SECTION, elf.STT_FILE:
		return false
	}
	return e.shndx != elf.SHN_UNDEF
}

// at finds the symbol that covers an address, or a symbol of no size that comes last before it, not below low. Of several that
// begin at the same place the global one with a type is taken.
func (t *symtab) at(vaddr, low uint64) (entry, bool) {
	var best entry
	var ok bool
	for i := range t.len() {
		e := t.entry(i)
		if e.value > vaddr || e.value < low || !e.defined() || e.typ() == elf.STT_TLS || e.shndx >= elf.SHN_LORESERVE && e.shndx != elf.SHN_XINDEX {
			continue
		}
		if e.size != 0 && vaddr-e.value >= e.size {
			continue
		}
		if !ok || e.value > best.value || e.value == best.value && e.rank() > best.rank() {
			if t.isMark(e) {
				continue
			}
			best, ok = e, true
		}
	}
	return best, ok
}

// isMark says whether it is an assembler's mark ("$x", ".L3"), not a name.
func (t *symtab) isMark(e entry) bool {
	if e.typ() != elf.STT_NOTYPE {
		return false
	}
	name := t.name(e.name)
	return name == "" || name[0] == '$' || name[0] == '.'
}

func (e entry) rank() int {
	r := 0
	if e.typ() != elf.STT_NOTYPE {
		r += 2
	}
	if e.bind() != elf.STB_LOCAL {
		r++
	}
	return r
}
