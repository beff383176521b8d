package winguest

import (
	"encoding/binary"
	"fmt"
)

const (
	pageSize = 4096
	frames   = 256
	// Base is where the memory that Image makes begins, in the guest-physical address space. Behind it come the page tables.
	Base = 1 << 20
	// bootPages are the frames at Base that are what Boot says, one after another; the others are used in no order.
	bootPages = 4
)

// memory is a MiB of physical memory and page tables that map it.
type memory struct {
	kind  Kind
	bytes []byte
	used  int               // frames
	root  uint64            // of the page tables, physical
	pages map[uint64]uint64 // the frame of a virtual page
}

func newMemory(k Kind) memory {
	m := memory{kind: k, bytes: make([]byte, frames*pageSize), used: bootPages, pages: map[uint64]uint64{}}
	m.root = m.frame()
	const present, large = 0x63, 0xe3 // and writable, accessed, dirty
	switch {
	case k.Wide:
		m.setEntry(m.table(m.table(m.root, 0), 0), 0, large)
		m.setEntry(m.table(m.table(m.root, 0), 3), apic>>21&511, apic|large)
	case k.PAE:
		m.setEntry(m.table(m.root, 0), 0, large)
		m.setEntry(m.table(m.root, 3), apic>>21&511, apic|large)
	default:
		m.setEntry(m.root, 0, large)
		m.setEntry(m.root, apic>>22, apic&^0x3fffff|large)
	}
	return m
}

// apic is where a processor has its local interrupt controller. The MiB's own addresses and those below it are mapped to
// themselves, for the program that starts the guest, and the controller is.
const apic = 0xfee00000

// frame is the physical address of a frame that nobody has: a neighbour in virtual memory is none in physical.
func (m *memory) frame() uint64 {
	const step = 101 // prime to their number
	n := bootPages + (m.used-bootPages)*step%(frames-bootPages)
	if m.used++; m.used > frames {
		panic("winguest: the guest's memory is full")
	}
	return Base + uint64(n)*pageSize
}

// entrySize is that of a page table's entry, bytes.
func (m *memory) entrySize() uint64 {
	if m.kind.Wide || m.kind.PAE {
		return 8
	}
	return 4
}

func (m *memory) setEntry(table, index, entry uint64) {
	b := binary.LittleEndian.AppendUint64(nil, entry)
	m.PutPhysical(table+index*m.entrySize(), b[:m.entrySize()])
}

func (m *memory) entry(table, index uint64) uint64 {
	var b [8]byte
	copy(b[:m.entrySize()], m.bytes[table-Base+index*m.entrySize():])
	return binary.LittleEndian.Uint64(b[:])
}

// table is the table that an entry of another leads to, which is made if there is none.
func (m *memory) table(parent, index uint64) uint64 {
	if e := m.entry(parent, index); e != 0 {
		return e &^ 0xfff
	}
	t, flags := m.frame(), uint64(0x63)
	if m.kind.PAE && !m.kind.Wide && parent == m.root {
		flags = 1 // the others are reserved
	}
	m.setEntry(parent, index, t|flags)
	return t
}

// last is the page table that has a virtual address, and the index in it.
func (m *memory) last(va uint64) (table, index uint64) {
	switch {
	case m.kind.Wide:
		return m.table(m.table(m.table(m.root, va>>39&511), va>>30&511), va>>21&511), va >> 12 & 511
	case m.kind.PAE:
		return m.table(m.table(m.root, va>>30&3), va>>21&511), va >> 12 & 511
	}
	return m.table(m.root, va>>22&1023), va >> 12 & 1023
}

// Map gives frames to n bytes of virtual memory.
func (m *memory) Map(va, n uint64) {
	for page := va &^ (pageSize - 1); page < va+n; page += pageSize {
		f := m.frame()
		m.pages[page] = f
		m.MapTo(page, f)
	}
}

// MapTo maps a page to any physical page.
func (m *memory) MapTo(va, pa uint64) {
	table, index := m.last(va)
	m.setEntry(table, index, pa|0x63)
}

// Unmap takes a page out of the page tables. What it holds stays in physical memory.
func (m *memory) Unmap(va uint64) {
	table, index := m.last(va)
	m.setEntry(table, index, 0)
}

// Put stores bytes at a virtual address, whose pages may have been unmapped.
func (m *memory) Put(va uint64, p []byte) {
	for n := 0; n < len(p); {
		at := va + uint64(n)
		f, ok := m.pages[at&^(pageSize-1)]
		if !ok {
			panic(fmt.Sprintf("winguest: %#x was never mapped", at))
		}
		n += copy(m.bytes[f-Base+at%pageSize:][:pageSize-at%pageSize], p[n:])
	}
}

// Bytes are n bytes at a virtual address.
func (m *memory) Bytes(va, n uint64) []byte {
	var p []byte
	for ; n > 0; n-- {
		p = append(p, m.bytes[m.pages[va&^(pageSize-1)]-Base+va%pageSize])
		va++
	}
	return p
}

// Physical is where a virtual address is in physical memory, mapped or once mapped.
func (m *memory) Physical(va uint64) uint64 { return m.pages[va&^(pageSize-1)] + va%pageSize }

// PutPhysical stores bytes at a physical address.
func (m *memory) PutPhysical(pa uint64, p []byte) { copy(m.bytes[pa-Base:], p) }

// CR3 is where the page tables are.
func (m *memory) CR3() uint64 { return m.root }
