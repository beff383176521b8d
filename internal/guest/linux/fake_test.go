package linux

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

const ramSize = 64 << 20

// fake is a machine with 64 MiB of memory at base, in a file with holes.
type fake struct {
	*guest.Machine
	t    *testing.T
	file *os.File
	base uint64
	next uint64 // where the next page table goes
}

func newFake(t *testing.T, archName string, base uint64) *fake {
	t.Helper()
	g, err := arch.GuestByName(archName)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "ram"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := file.Truncate(ramSize); err != nil {
		t.Fatal(err)
	}
	im := &guest.Image{
		Ranges: []guest.Range{{Addr: addr.GPA(base), Size: ramSize}},
		Map:    &extent.Map[addr.GPA, addr.FileOff]{}, Files: []addr.Source{file},
	}
	if err := im.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: addr.GPA(base), Size: ramSize}); err != nil {
		t.Fatal(err)
	}
	return &fake{&guest.Machine{Arch: g, Image: im}, t, file, base, base + 0x2000_000}
}

// store puts bytes into memory.
func (f *fake) store(pa uint64, p []byte) {
	f.t.Helper()
	if _, err := f.file.WriteAt(p, int64(pa-f.base)); err != nil {
		f.t.Fatal(err)
	}
}

// table is a page table without entries; every entry is none.
func (f *fake) table(none uint64) uint64 {
	pa := f.next
	f.next += 16 << 10
	for i := range uint64(2048) {
		f.entry(pa+8*i, none)
	}
	return pa
}

func (f *fake) entry(pa, entry uint64) {
	b := make([]byte, 8)
	f.Arch.Order.PutUint64(b, entry)
	f.store(pa, b)
}

// kernel is a Linux kernel in a fake.
type kernel struct {
	release string
	va, pa  uint64 // of init_uts_ns
	facts   string // lines of its VMCOREINFO of its own
}

// text is its VMCOREINFO.
func (k kernel) text() string {
	return fmt.Sprintf("OSRELEASE=%s\nBUILD-ID=00ff\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=%x\nOFFSET(uts_namespace.name)=4\n%s", k.release, k.va, k.facts)
}

// install puts its names into memory.
func (f *fake) install(k kernel) {
	names := make([]byte, 4+6*65)
	copy(names[4:], "Linux")
	copy(names[4+130:], k.release)
	f.store(k.pa, names)
}

// elfNote is a VMCOREINFO note.
func elfNote(order binary.ByteOrder, text string) []byte {
	b := make([]byte, 12)
	order.PutUint32(b, 11)
	order.PutUint32(b[4:], uint32(len(text)))
	b = append(b, "VMCOREINFO\x00\x00"...)
	b = append(b, text...)
	return append(b, make([]byte, -len(text)&3)...)
}

// note puts a kernel's note into memory.
func (f *fake) note(pa uint64, k kernel) {
	f.store(pa, elfNote(f.Arch.Order, k.text()))
}

// x86Kernel is a kernel that KASLR has moved, by an offset and to phys_base.
func x86Kernel(release string, offset, base uint64) kernel {
	va := uint64(0xffff_ffff_8210_0000) + offset
	return kernel{release, va, va - 0xffff_ffff_8000_0000 + base,
		fmt.Sprintf("NUMBER(phys_base)=%d\nSYMBOL(init_top_pgt)=%x\nKERNELOFFSET=%x\n", int64(base), va+0x10000, offset)}
}

// x86 adds a vCPU that has memory mapped from a kernel's first page on, 16 MiB of it.
func (f *fake) x86(k kernel, offset uint64) *arch.X86 {
	pml4, pdpt, pd := f.table(0), f.table(0), f.table(0)
	f.entry(pml4+8*511, pdpt|3)
	f.entry(pdpt+8*510, pd|3)
	text := 0xffff_ffff_8100_0000 + offset
	base := k.pa - (k.va - text)
	for i := range uint64(16) {
		f.entry(pd+8*(text>>21&511+i), base+i<<21|0x81)
	}
	s := &arch.X86{Wide: true, EFER: 1 << 10}
	s.CR = [5]uint64{1 << 31, 0, 0, pml4, 1 << 5}
	f.CPUs = append(f.CPUs, guest.CPU{Index: len(f.CPUs), State: s, Trust: guest.Valid})
	return s
}

// scanned notes how much a scan has to go through.
type scanned struct {
	total int64
	done  atomic.Int64
}

func (s *scanned) Start(total int64) { s.total = total }
func (s *scanned) Add(n int64)       { s.done.Add(n) }

// all is for a scan that goes to the end.
func all(addr.GPA) bool { return false }

// identify runs Identify and returns all that it has to say.
func (f *fake) identify() string {
	f.t.Helper()
	if err := Identify(f.t.Context(), f.Machine, &scanned{}); err != nil {
		f.t.Fatal(err)
	}
	return strings.Join(append(append([]string{f.Kernel.Note}, f.Kernel.Remarks...), f.Warnings...), "\n")
}
