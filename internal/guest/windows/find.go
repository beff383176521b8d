package windows

import (
	"context"
	"fmt"

	"guestcore/internal/guest"
)

// find makes what a crash dump needs of guest memory alone, for a guest whose
// driver left no header. What is found is held against the rest: a vCPU leads
// to the kernel's image, that to its debugger data block (KDBG), which names
// the image again, and that to all else. What cannot be found, and a header
// does without, is a remark.
func find(ctx context.Context, m *guest.Machine, o Options) (*guest.Windows, error) {
	kernel, v, err := findKernel(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("%w: the guest may be no Windows", err)
	}
	at := fmt.Sprintf("the kernel at %#x, found from %s", kernel.base, v.who)
	block, err := searchKDBG(ctx, kernel)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	plain, patches, err := block.decodedIn(m, kernel.space)
	if err != nil {
		return nil, fmt.Errorf("%s: its KDBG at %#x: %w", at, block.addr, err)
	}
	s := kernel.space
	s.image = plain.Image
	f := finder{kdbg: kdbg{s, block.addr}, machine: plain, kernel: kernel, header: NewHeader(s.word == 8), who: v.who}
	if err := f.fill(); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	w, err := build(plain, f.header, []space{f.space}, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	w.Patches = append(patches, w.Patches...)
	w.Remarks = append(f.remarks, w.Remarks...)
	w.Origin = fmt.Sprintf("guest memory: %s; KDBG is %s, at %#x", at, block.how, block.addr)
	return w, nil
}

// finder fills in a header from what KDBG leads to.
type finder struct {
	kdbg    // in the memory of machine
	machine *guest.Machine
	kernel  *image
	who     string // whose page tables led there
	header  Header
	remarks []string
}

func (f *finder) remark(format string, a ...any) {
	f.remarks = append(f.remarks, fmt.Sprintf(format, a...))
}

// fill fills the header in but for what build does for a driver's header too.
func (f *finder) fill() error {
	f.still()
	f.header.Put(KdDebuggerDataBlock, f.addr)
	f.tables()
	f.version()
	f.shared()
	if err := f.lists(); err != nil {
		return err
	}
	if err := f.processors(); err != nil {
		return err
	}
	return f.memory()
}

// still fills in what is the same in each header, and clears what a crash would
// have left: there was none to tell of or build tells of it.
func (f *finder) still() {
	h := f.header
	h.Put(DumpType, completeDump)
	for _, field := range []Field{BugcheckCode, BugcheckParameter1, BugcheckParameter2, BugcheckParameter3, BugcheckParameter4,
		MiniDumpFields, SecondaryDataState, WriterStatus, PfnDatabase, SystemTime, SystemUpTime, ProductType, SuiteMask} {
		h.Put(field, 0)
	}
	clear(h.exception())
	h.SetComment("guestcore: header made from guest memory")
	machine := uint64(0x14c)
	if h.Wide() {
		machine = 0x8664
	}
	h.Put(MachineImageType, machine)
	pae := uint64(0)
	if f.paging.CR4&(1<<5) != 0 {
		pae = 1
	}
	h.Put(PaeEnabled, pae)
}

// tables finds the page tables of the kernel's own process, the first one: a
// vCPU may run any other's, which end with that.
func (f *finder) tables() {
	f.header.Put(DirectoryTableBase, f.paging.CR3&^(PageSize-1))
	if !f.header.Wide() {
		f.header.Put(DirectoryTableBase, f.paging.CR3&^31)
	}
	table, err := f.system()
	if err == nil {
		s := f.space
		s.paging.CR3 = table
		var there bool
		if there, err = s.mayBeImage(f.kernel.base); there {
			f.header.Put(DirectoryTableBase, table)
			f.space = s
			return
		}
		if err == nil {
			err = fmt.Errorf("those at %#x do not have the kernel", table)
		}
	}
	f.remark("DirectoryTableBase is that of %s, as the kernel's own process has none that could be found: %v", f.who, err)
}

// system is the page tables of the kernel's own process.
func (f *finder) system() (uint64, error) {
	const name = "PsInitialSystemProcess"
	at := f.kernel.export(name)
	if at == 0 {
		return 0, fmt.Errorf("the kernel exports no %s", name)
	}
	process, err := f.space.pointer(at)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", name, err)
	}
	off, err := f.number(f.addr+kdbgProcessTable, 2)
	if err != nil {
		return 0, fmt.Errorf("reading OffsetEprocessDirectoryTableBase: %w", err)
	}
	table, err := f.space.pointer(process + off)
	if err != nil {
		return 0, fmt.Errorf("reading the process at %#x: %w", process, err)
	}
	if f.word == 8 {
		return table & 0xf_ffff_ffff_f000, nil // without the process-context identifier
	}
	return table &^ 31, nil
}
