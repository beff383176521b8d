package vbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/guest"
)

// pc is the memory of a small PC, with a gap and absent memory.
var pc = []dumptest.Part{
	{Addr: 0, Size: 0xa0000},
	{Addr: 0xc0000, Size: 0x20000, Kind: dumptest.Hole},
	{Addr: 0xe0000, Size: 0x3000},
	{Addr: 0xe3000, Size: 0x5000, Kind: dumptest.Zero},
	{Addr: 0xe8000, Size: 0x8000},
	{Addr: 0xfffc0000, Size: 0x40000},
	{Addr: 1 << 32, Size: 0x10000, Split: true},
}

// devices of the PC; some end within a page, and some lie over memory or meet.
var devices = []guest.Range{
	{Addr: 0xa0000, Size: 0x20000},
	{Addr: 0xfec00000, Size: 0x20},
	{Addr: 0xfec00400, Size: 0x800},
	{Addr: 0xfec01000, Size: 0x10},
	{Addr: 0xfffc0000, Size: 0x1000},
	{Addr: 1 << 51, Size: ^uint64(0) - 1<<51},
}

func guestArch(t testing.TB, name string) arch.Guest {
	t.Helper()
	g, err := arch.GuestByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func machine(t testing.TB, parts ...dumptest.Part) *guest.Machine {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), parts...)
	m.Devices = devices
	return m
}

// write dumps m and returns the path and the plan.
func write(t testing.TB, f dump.Format, m *guest.Machine, o dump.Options) (string, dump.Plan) {
	t.Helper()
	job, err := f.Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), f.Name())
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != job.Plan().Size {
		t.Fatalf("the file is %+v (%v), planned were %d bytes", fi, err, job.Plan().Size)
	}
	return path, job.Plan()
}

// TestShape holds a file against what VirtualBox writes, as readelf sees it.
func TestShape(t *testing.T) {
	readelf, err := exec.LookPath("readelf")
	if err != nil {
		t.Fatal("no readelf: install binutils")
	}
	m := machine(t, pc...)
	s := numbered()
	m.CPUs = []guest.CPU{{Index: 0, State: s, Trust: guest.Valid}, {Index: 1, State: s, Trust: guest.Valid}}
	path, _ := write(t, Formats()[0], m, dump.Options{Creator: "test"})
	cmd := exec.Command(readelf, "-hlnW", path)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"Magic: 7f 45 4c 46 02 01 00 00 00 00 00 00 00 00 00 00",
		"Type: CORE (Core file)", "Machine: Advanced Micro Devices X86-64", "Version: 0x1",
		"Start of program headers: 64 (bytes into file)", "Size of program headers: 56 (bytes)", "Number of program headers: 7",
		"Size of section headers: 64 (bytes)", "Number of section headers: 0",
		"NOTE 0x0001c8 0x0000000000000000 0x0000000000000000 0x004520 0x004520 R 0",
		"LOAD 0x005000 0x0000000000000000 0x0000000000000000 0x0a0000 0x0a0000 R 0",
		"LOAD 0x0a5000 0x0000000000000000 0x00000000000a0000 0x000000 0x020000 R 0",
		"LOAD 0x0a5000 0x0000000000000000 0x00000000000c0000 0x030000 0x030000 R 0",
		"LOAD 0x0d5000 0x0000000000000000 0x00000000fec00000 0x000000 0x002000 R 0",
		"LOAD 0x0d5000 0x0000000000000000 0x00000000fffc0000 0x050000 0x050000 R 0",
		"LOAD 0x125000 0x0000000000000000 0x0008000000000000 0x000000 0x8000000000000 R 0",
		"VBCORE 0x00000018 Unknown note type: (0x00000b00) description data: de c0 1a c0 06 00 01 00 18 00 00 00 00 00 00 00 00 00 00 00 02 00 00 00",
		"VBCPU 0x00002248 Unknown note type: (0x00000b01)", "GUESTCORE 0x00000023",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("readelf does not print %q:\n%.1500s", want, text)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The first note, byte by byte: the NUL is not counted, the name is padded.
	if want := []byte("\x06\x00\x00\x00\x18\x00\x00\x00\x00\x0b\x00\x00VBCORE\x00\x00\xde\xc0\x1a\xc0"); !bytes.HasPrefix(b[0x1c8:], want) {
		t.Errorf("the notes begin with %q, want %q", b[0x1c8:0x1c8+len(want)], want)
	}
	for at, a := range map[int]addr.GPA{0x5000: 0, 0xa5000: 0xc0000, 0xd5000: 0xfffc0000, 0x115000: 1 << 32} {
		if got := b[at : at+0x10000]; !bytes.Equal(got, dumptest.Want(pc, a, 0x10000)) {
			t.Errorf("memory at %v is not at offset %#x", a, at)
		}
	}
}

// numbered is a processor of which each register has another value, so that a
// register in the wrong place is seen.
func numbered() *arch.X86 {
	n := uint64(0x1122334455667700)
	next := func() uint64 { n++; return n }
	seg := func() arch.X86Segment {
		return arch.X86Segment{Selector: uint32(next() & 0xffff), Base: next(), Limit: uint32(next()), Flags: uint32(next()) & 0xffff << 8}
	}
	s := &arch.X86{Wide: true, DR: &[8]uint64{}, Syscall: &arch.X86Syscall{}, Sysenter: &arch.X86Sysenter{}, FPU: &arch.X86FPU{}}
	for i := range s.Regs {
		s.Regs[i] = next()
	}
	s.RIP, s.RFLAGS = next(), next()
	for i := range s.Segs {
		s.Segs[i] = seg()
	}
	s.LDT, s.TR = seg(), seg()
	s.GDT, s.IDT = arch.X86Segment{Base: next(), Limit: 0x7f}, arch.X86Segment{Base: next(), Limit: 0xfff}
	for _, i := range []int{0, 2, 3, 4} {
		s.CR[i] = next()
	}
	for i := range s.DR {
		s.DR[i] = next()
	}
	s.EFER, s.KernelGSBase = next(), next()
	*s.Syscall = arch.X86Syscall{STAR: next(), LSTAR: next(), CSTAR: next(), FMASK: next()}
	*s.Sysenter = arch.X86Sysenter{CS: next(), EIP: next(), ESP: next()}
	pat, aux, xcr0, apic := next(), next(), uint64(7), next()
	s.PAT, s.TSCAux, s.XCR0, s.APICBase = &pat, &aux, &xcr0, &apic
	s.FPU.Control, s.FPU.Status, s.FPU.Tags, s.FPU.MXCSR = 0x37f, 0x3800, 0x81, 0x1f80
	for i := range s.FPU.ST {
		for j := range s.FPU.ST[i] {
			s.FPU.ST[i][j] = byte(0x80 + 16*i + j)
		}
	}
	s.FPU.Vectors = make([][64]byte, 16)
	for i := range s.FPU.Vectors {
		for j := range 32 {
			s.FPU.Vectors[i][j] = byte(1 + 3*i + 5*j)
		}
	}
	return s
}

// TestOffsets holds what is written of a processor against the offsets that
// VirtualBox's headers have, field by field.
func TestOffsets(t *testing.T) {
	s := numbered()
	type fields map[int]uint64 // of 64 bits
	seg := func(f fields, at int, x arch.X86Segment) {
		f[at], f[at+8], f[at+16] = x.Base, uint64(x.Limit)|uint64(x.Flags>>8)<<32, uint64(x.Selector)
	}
	core := fields{
		0: s.Regs[0], 0x8: s.Regs[3], 0x10: s.Regs[1], 0x18: s.Regs[2], 0x20: s.Regs[6], 0x28: s.Regs[7], 0x30: s.Regs[8], 0x68: s.Regs[15],
		0x70: s.RIP, 0x78: s.Regs[4], 0x80: s.Regs[5], 0x88: s.RFLAGS,
		0x120: s.CR[0], 0x128: s.CR[2], 0x130: s.CR[3], 0x138: s.CR[4], 0x140: s.DR[0], 0x178: s.DR[7],
		0x180: s.GDT.Base, 0x188: 0x7f, 0x190: s.IDT.Base, 0x198: 0xfff,
		0x1d0: s.Sysenter.CS, 0x1d8: s.Sysenter.EIP, 0x1e0: s.Sysenter.ESP,
		0x1e8: s.EFER, 0x1f0: s.Syscall.STAR, 0x1f8: *s.PAT, 0x200: s.Syscall.LSTAR, 0x208: s.Syscall.CSTAR, 0x210: s.Syscall.FMASK,
		0x218: s.KernelGSBase, 0x220: *s.APICBase, 0x228: *s.TSCAux, 0x230: 7, 0x238: 0, 0x240: 832,
		0x248: 0x81_3800_037f, 0x248 + 24: 0x1f80, 0x248 + 512: 7,
	}
	for i, at := range map[int]int{1: 0x90, 3: 0xa8, 0: 0xc0, 4: 0xd8, 5: 0xf0, 2: 0x108} {
		seg(core, at, s.Segs[i])
	}
	seg(core, 0x1a0, s.LDT)
	seg(core, 0x1b8, s.TR)
	old := fields{
		0: 0x81_3800_037f, 24: 0x1f80, 512: s.Regs[7], 520: s.Regs[6], 528: s.Regs[5], 536: s.Regs[0], 544: s.Regs[3], 552: s.Regs[2], 560: s.Regs[1],
		568: s.Regs[4], 576: uint64(s.Segs[2].Selector) << 32, 584: uint64(s.Segs[5].Selector) | uint64(s.Segs[4].Selector)<<32,
		592: uint64(s.Segs[0].Selector) | uint64(s.Segs[3].Selector)<<32, 600: uint64(s.Segs[1].Selector),
		608: s.RFLAGS, 616: s.RIP, 624: s.Regs[8], 680: s.Regs[15], 688: s.Segs[0].Base, 704: s.Segs[1].Base, 768: s.Segs[5].Base,
		784: s.CR[0], 808: s.CR[4], 816: s.DR[0], 872: s.DR[7], 882: s.GDT.Base, 894: s.IDT.Base,
		904: uint64(s.LDT.Selector) | uint64(s.TR.Selector)<<32, 912: s.Sysenter.CS, 928: s.Sysenter.ESP, 936: s.EFER, 952: *s.PAT, 984: s.KernelGSBase,
		992: s.LDT.Base, 1008: s.TR.Base, 1016: uint64(s.TR.Limit) | uint64(s.TR.Flags>>8)<<32,
	}
	before := fields{} // format 0x00010005 has no TSC_AUX
	for at, v := range core {
		switch {
		case at > 0x228:
			before[at-8] = v
		case at < 0x228:
			before[at] = v
		}
	}
	for i, c := range []struct {
		size   int
		fields fields
		area   int // of FXSAVE
	}{{8776, core, 0x248}, {8768, before, 0x240}, {1024, old, 0}} {
		v := versions[i]
		b := v.cpu(s)
		if len(b) != c.size {
			t.Errorf("%s: %d bytes, want %d", v.name, len(b), c.size)
			continue
		}
		for at, want := range c.fields {
			if got := binary.LittleEndian.Uint64(b[at:]); got != want {
				t.Errorf("%s: %#x at %#x, want %#x", v.name, got, at, want)
			}
		}
		st, xmm := b[c.area+32+16:], b[c.area+160+16*15:]
		if !bytes.Equal(st[:16], append(s.FPU.ST[1][:], 0, 0, 0, 0, 0, 0)) || !bytes.Equal(xmm[:16], s.FPU.Vectors[15][:16]) {
			t.Errorf("%s: st1 %x, xmm15 %x", v.name, st[:16], xmm[:16])
		}
		if ymm := b[min(c.area+576+16*15, len(b)-16):]; i < 2 && !bytes.Equal(ymm[:16], s.FPU.Vectors[15][16:32]) {
			t.Errorf("%s: upper half of ymm15 %x", v.name, ymm[:16])
		}
	}
}

// TestAbsent has zeros where memory is absent, and says so.
func TestAbsent(t *testing.T) {
	parts := []dumptest.Part{
		{Addr: 0, Size: 0x2000},
		{Addr: 0x2000, Size: 0x3000, Kind: dumptest.Absent},
		{Addr: 0x5000, Size: 0x1000},
		{Addr: 0x6000, Size: 0x2000, Kind: dumptest.Lost},
	}
	m := machine(t, parts...)
	m.Devices = nil
	var missing *dump.MissingError
	if _, err := Formats()[0].Plan(m, dump.Options{}); !errors.As(err, &missing) {
		t.Errorf("absent memory, unasked: %v", err)
	}
	path, plan := write(t, Formats()[0], m, dump.Options{Partial: true})
	if len(plan.Absent) != 2 || plan.Memory != 0x3000 || !slices.ContainsFunc(plan.Remarks, func(r string) bool { return strings.Contains(r, "zeros stand for what is absent") }) {
		t.Errorf("the plan is %+v", plan)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := b[len(b)-0x8000:]; !bytes.Equal(got, dumptest.Want(parts, 0, 0x8000)) {
		t.Error("memory is not as it is to be")
	}
	if !bytes.Contains(b[:0x1000], []byte("\nABSENT=0x2000-0x5000 ")) {
		t.Error("no note tells of it")
	}
}

// TestRegisters says which registers are not known, or have no place.
func TestRegisters(t *testing.T) {
	full, bare := numbered(), &arch.X86{Wide: true, RIP: 1}
	xcr0 := uint64(0x2e7)
	full.XCR0 = &xcr0
	m := machine(t, pc...)
	m.CPUs = []guest.CPU{
		{Index: 0, State: full, Trust: guest.Valid},
		{Index: 1, State: bare, Trust: guest.Valid},
		{Index: 2, State: bare, Trust: guest.Stale, Reason: "KVM had newer ones"},
		{Index: 3, State: bare, Trust: guest.Valid},
	}
	for i, want := range [][]string{
		{"CPU 2 are stale", "registers dr, fpu, syscall, sysenter, pat, tsc_aux, xcr0, apic_base of CPU 1, 3 are not known", "registers opmask, pkru of CPU 0 are not known"},
		{"registers tsc_aux of CPU 0 are left out: vbox-6.0"},
		{"registers tsc_aux, xcr0, apic_base, ymm of CPU 0 are left out: vbox-4.0"},
	} {
		path, plan := write(t, Formats()[i], m, dump.Options{})
		for _, w := range want {
			if !slices.ContainsFunc(plan.Remarks, func(r string) bool { return strings.Contains(r, w) }) {
				t.Errorf("%s: no remark has %q: %q", plan.Format, w, plan.Remarks)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b[:0x10000], []byte("VBCPU\x00")); n != 4 {
			t.Errorf("%s: %d processors", plan.Format, n)
		}
		if !bytes.Contains(b[:0x10000], []byte("\nCPU1-UNKNOWN=dr fpu syscall sysenter pat tsc_aux xcr0 apic_base\n")) {
			t.Errorf("%s: the note does not say what is unknown", plan.Format)
		}
	}
	for i := range m.CPUs {
		m.CPUs[i].State, m.CPUs[i].Trust = nil, guest.Unknown
	}
	path, _ := write(t, Formats()[0], m, dump.Options{})
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b[:0x10000], []byte("VBCPU")) {
		t.Errorf("processors of which nothing is known have notes (%v)", err)
	}
}

func TestRefuse(t *testing.T) {
	m := machine(t, pc...)
	arm := dumptest.Machine(t, t.TempDir(), guestArch(t, "aarch64-le"), pc...)
	for _, c := range []struct {
		m    *guest.Machine
		o    dump.Options
		want string
	}{
		{arm, dump.Options{}, "for guests of x86, and this one is of aarch64-le: use the elf format"},
		{m, dump.Options{Level: 3}, "leave --level out"},
		{m, dump.Options{Flattened: true}, "leave --flattened out"},
		{m, dump.Options{Align: 3}, "power of two"},
		{many(t, maxSegments+1), dump.Options{}, "65535 ranges, VirtualBox's format holds 65534: use the elf format"},
	} {
		if _, err := Formats()[0].Plan(c.m, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := Formats()[0].Plan(many(t, maxSegments), dump.Options{}); err != nil {
		t.Error(err)
	}
}

// many is a machine with n ranges of memory that touch no other.
func many(t *testing.T, n int) *guest.Machine {
	var parts []dumptest.Part
	for i := range n {
		parts = append(parts, dumptest.Part{Addr: addr.GPA(i) << 13, Size: 0x1000, Kind: dumptest.Zero})
	}
	m := machine(t, parts...)
	m.Devices = nil
	return m
}

// TestWindow writes what was asked for, of devices too.
func TestWindow(t *testing.T) {
	m := machine(t, pc...)
	planned, err := Formats()[0].Plan(m, dump.Options{Window: dump.Window{Begin: 0x90000, Length: 0x40000}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range planned.(*job).layout.segments {
		got = append(got, fmt.Sprintf("%#x+%#x %v", uint64(s.addr), s.size, s.parts != nil))
	}
	if want := "0x90000+0x10000 true, 0xa0000+0x20000 false, 0xc0000+0x10000 true"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}

func TestNames(t *testing.T) {
	table := dump.Table(Formats())
	for name, want := range map[string]string{"vbox": "vbox", "VBOX-6.0": "vbox-6.0", "vbox-0x00010005": "vbox-6.0", "vbox-0x00010000": "vbox-4.0"} {
		if f, err := table.Find(name); err != nil || f.Name() != want {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

// TestFirst is the form of 2010, and says how far it is known.
func TestFirst(t *testing.T) {
	m := machine(t, pc...)
	m.CPUs = []guest.CPU{{Index: 0, State: numbered(), Trust: guest.Valid}}
	path, plan := write(t, Formats()[3], m, dump.Options{})
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "\x09\x00\x00\x00\x10\x00\x00\x00\x00\x0b\x00\x00VBOXCORE\x00\x00\x00\x00\xde\xc0\x1a\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00" +
		"\x08\x00\x00\x00\x00\x04\x00\x00\x01\x0b\x00\x00VBOXCPU\x00"
	if !bytes.Contains(b[:0x1000], []byte(want)) || !slices.Contains(plan.Remarks, unseen) {
		t.Errorf("%q, remarks %q", b[:0x400], plan.Remarks)
	}
}
