package dumpfile_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/dump/windmp"
	"guestcore/internal/dumpfile"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
	"guestcore/internal/verify"
	"guestcore/test/winguest"
)

// vmcoreinfo is a note of a kernel with pages of 4 KiB.
func vmcoreinfo(order binary.ByteOrder) []byte {
	text := "OSRELEASE=6.1.0-test\nPAGESIZE=4096\nNUMBER(phys_base)=4096\n"
	b := make([]byte, 12)
	order.PutUint32(b, 11)
	order.PutUint32(b[4:], uint32(len(text)))
	b = append(append(b, "VMCOREINFO\x00\x00"...), text...)
	return append(b, make([]byte, -len(text)&3)...)
}

// processors are two of an architecture, with registers of which there are
// notes: some numbers that differ.
func processors(g arch.Guest) []guest.CPU {
	state := func(n uint64) arch.State {
		switch g.Machine {
		case elf.EM_AARCH64:
			return &arch.ARM64{PC: n, PState: 5, EL: 1, V: [32][2]uint64{3: {n, n + 1}}, FPCR: uint32(n)}
		case elf.EM_ARM:
			return &arch.ARM{R: [16]uint32{15: uint32(n)}, CPSR: 0x1d3, VFP: true, FPSCR: uint32(n)}
		case elf.EM_RISCV:
			return &arch.RISCV{Narrow: g.Class == elf.ELFCLASS32, PC: n, X: [32]uint64{31: n + 1}}
		case elf.EM_LOONGARCH:
			return &arch.LoongArch{R: [32]uint64{31: n}, ERA: n + 1, FCC: [8]uint8{7: 1}}
		case elf.EM_S390:
			return &arch.S390X{PSWAddr: n, Control: [16]uint64{13: n + 1}, V: [32][2]uint64{1: {n, 2}, 31: {n, 4}}}
		case elf.EM_PPC64:
			return &arch.PPC64{NIP: n, VSR: [64][2]uint64{1: {n, 2}, 63: {n, 4}}, LittleEndian: g.Order == binary.LittleEndian}
		}
		s := &arch.X86{RIP: n, RFLAGS: 2, Regs: [16]uint64{7: n + 1}, CR: [5]uint64{1<<31 | 1, 0, n, 0x1000, 1 << 4},
			IDT: arch.X86Segment{Base: n, Limit: 0xfff}, GDT: arch.X86Segment{Base: n, Limit: 0x7f}}
		s.Segs[1] = arch.X86Segment{Selector: 8, Limit: 0xffffffff, Flags: 0xcf9b00}
		s.Segs[5] = arch.X86Segment{Selector: 0x30, Base: n, Limit: 0xffffffff, Flags: 0xcf9300}
		if s.Wide = g.Machine == elf.EM_X86_64; s.Wide {
			s.Regs[15], s.IDT.Base, s.CR[4], s.EFER = n+2, n|0xfffffe00<<32, 1<<5, arch.EFERLMA
			s.KernelGSBase = n + 3
		}
		return s
	}
	return []guest.CPU{
		{Index: 0, State: state(0x1234560), Trust: guest.Valid},
		{Index: 3, State: state(0x7654320), Trust: guest.Valid, Reason: "as TCG last stored them"},
	}
}

// common is what all formats hold of registers.
func common(c guest.CPU) string {
	if s, ok := c.State.(*arch.X86); ok {
		s := *s
		s.DR, s.FPU, s.Syscall, s.Sysenter, s.PAT, s.TSCAux, s.XCR0, s.APICBase, s.A20Mask = nil, nil, nil, nil, nil, nil, nil, nil, nil
		s.EFER &= arch.EFERLMA
		return fmt.Sprintf("%d %s %+v", c.Index, c.Label(), s)
	}
	return fmt.Sprintf("%d %s %+v", c.Index, c.Label(), c.State)
}

func commons(cpus []guest.CPU) string {
	var all []string
	for _, c := range cpus {
		all = append(all, common(c))
	}
	return strings.Join(all, "\n")
}

func convert(t *testing.T, f *dumpfile.File, w writer) *dumpfile.File {
	t.Helper()
	m, err := f.Guest("")
	if err != nil {
		t.Fatal(err)
	}
	return open(t, write(t, w, m))
}

// digest is that of all memory in a file.
func digest(t *testing.T, f *dumpfile.File) string {
	t.Helper()
	res, err := verify.Run(t.Context(), source(f).Spans(), dump.NoProgress{}, source(f))
	if err != nil {
		t.Fatal(err)
	}
	if !res.OK() || res.Bytes == 0 {
		t.Fatalf("%s: %+v", f.Path, res.Faults)
	}
	return res.Digests[0].All.String()
}

// Every format, written again in every format, and back, has the same memory,
// the same registers, the same absent memory and the same VMCOREINFO.
func TestConvert(t *testing.T) {
	for name, parts := range guests {
		for _, g := range arch.Guests {
			if name == "a PC" && g.Name != "X86_64" {
				continue // it is large
			}
			m := machine(t, g, parts)
			m.CPUs, m.VMCoreInfo = processors(g), vmcoreinfo(g.Order)
			for i, w := range writers() {
				some := []string{"elf", "kdump-lzo"} // of other guests, and as sources
				if g.Name == "X86_64" {
					some = append(some, "vbox", "flattened")
				}
				if !w.writes(g) || name != "with gaps" && i > 0 || !slices.Contains(some, w.name) {
					continue
				}
				first := open(t, write(t, w, m))
				want, absent := digest(t, first), fmt.Sprint(first.Absent)
				for _, to := range writers() {
					if !to.writes(g) || g.Name != "X86_64" && !slices.Contains(some, to.name) {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%s", name, g.Name, w.name, to.name), func(t *testing.T) {
						second := convert(t, first, to)
						for _, f := range []*dumpfile.File{first, second, convert(t, second, w)} {
							if got := digest(t, f); got != want {
								t.Errorf("%s has other memory, %s: %v and %v", f.Format, got, source(f).Spans(), source(first).Spans())
							}
							if got := fmt.Sprint(f.Absent); !sameSpans(f.Absent, first.Absent) {
								t.Errorf("%s lacks %s, not %s", f.Format, got, absent)
							}
							again, err := f.Guest("")
							if err != nil {
								t.Fatal(err)
							}
							if again.Arch.Name != g.Name {
								t.Errorf("%s is taken for one of %s", f.Format, again.Arch)
							}
							if diff := cmp.Diff(commons(m.CPUs), commons(again.CPUs)); diff != "" {
								t.Errorf("%s has other registers (-want +got):\n%s", f.Format, diff)
							}
							if !bytes.Equal(again.VMCoreInfo, m.VMCoreInfo) {
								t.Errorf("%s has another VMCOREINFO: %q", f.Format, again.VMCoreInfo)
							}
						}
					})
				}
			}
		}
	}
}

// sameSpans reports whether the same memory is missing, whatever the reason.
func sameSpans(a, b []guest.Missing) bool {
	spans := func(all []guest.Missing) (out []verify.Span) {
		for _, x := range all {
			out = append(out, verify.Span{Start: x.Addr, End: x.Addr + addr.GPA(x.Size)})
		}
		return verify.Join(out)
	}
	return slices.Equal(spans(a), spans(b))
}

// A dump that lacks memory is refused as a source, unless what there is is
// asked for; and what lacks is labelled.
func TestConvertPartial(t *testing.T) {
	m := machine(t, arch.Guests[2], guests["with gaps"])
	for _, w := range writers() {
		f := open(t, write(t, w, m))
		again, err := f.Guest("")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (vmcore.Format{}).Plan(again, dump.Options{}); err == nil || !strings.Contains(err.Error(), "0x40020000-0x40027000") {
			t.Errorf("%s: %v", w.name, err)
		}
		job, err := vmcore.Format{}.Plan(again, dump.Options{Partial: true})
		if err != nil {
			t.Fatal(err)
		}
		if absent := job.Plan().Absent; !sameSpans(absent, f.Absent) || absent[0].Reason == "" {
			t.Errorf("%s: %+v", w.name, absent)
		}
	}
}

// What a kdump file has of zeros takes no room in a dump with holes, and is not
// asked for; split files are no different.
func TestConvertZeros(t *testing.T) {
	const size = 16 << 20
	m := machine(t, arch.Guests[2], []dumptest.Part{
		{Addr: 0, Size: 0x10000}, {Addr: 0x10000, Size: size, Kind: dumptest.Zero}, {Addr: size + 0x10000, Size: 0x3000},
	})
	for _, w := range writers() {
		if !strings.HasPrefix(w.name, "kdump") && w.name != "flattened" {
			continue
		}
		path := write(t, w, m)
		files := []*dumpfile.File{open(t, path)}
		if w.name == "kdump-zlib" {
			parts, err := dumpfile.OpenParts(split(t, path, 1000, 3000, (size+0x13000)/4096))
			if err != nil {
				t.Fatal(err)
			}
			defer parts.Close()
			files = append(files, parts)
		}
		for _, f := range files {
			again, err := f.Guest("")
			if err != nil {
				t.Fatal(err)
			}
			job, err := vmcore.Format{}.Plan(again, dump.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if plan := job.Plan(); plan.Size < size || plan.Space > 1<<20 {
				t.Errorf("%s: a dump of %d bytes is to take %d", f.Format, plan.Size, plan.Space)
			}
			if got, want := digest(t, open(t, write(t, writers()[0], again))), digest(t, f); got != want {
				t.Errorf("%s: other memory", f.Format)
			}
		}
	}
}

// Where a format stores memory as it is the kernel can copy it: the map leads
// into the file itself.
func TestStoredPlainly(t *testing.T) {
	m := machine(t, arch.Guests[2], guests["a PC"])
	for _, w := range writers() {
		f := open(t, write(t, w, m))
		again, err := f.Guest("")
		if err != nil {
			t.Fatal(err)
		}
		_, plain := again.Image.Files[0].(*os.File)
		if want := !strings.HasPrefix(w.name, "kdump") && w.name != "flattened"; plain != want {
			t.Errorf("%s is a file to copy from: %v", w.name, plain)
		}
		p := make([]byte, 0x2000)
		if _, err := again.Image.ReadAt(p, 0xe8000); err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
		want := make([]byte, len(p))
		if m.Image.ReadAt(want, 0xe8000); !bytes.Equal(p, want) {
			t.Errorf("%s: other bytes", w.name)
		}
	}
}

// The architecture can be given; registers of another one are unknown then.
func TestConvertArch(t *testing.T) {
	x64 := arch.Guests[2]
	m := machine(t, x64, guests["one page"])
	m.CPUs = processors(x64)
	f := open(t, write(t, writers()[0], m))
	for name, want := range map[string]bool{"386": true, "s390": false, "X86_64": true} {
		again, err := f.Guest(name)
		if err != nil {
			t.Fatal(err)
		}
		if has := again.CPUs != nil && again.CPUs[0].State != nil; has != want {
			t.Errorf("as %s the dump of an X86_64 has registers: %v", name, again.CPUs)
		}
		if again.Arch.Name != name || (name != "X86_64") != (again.CPUs == nil || again.CPUs[0].Notes == nil) {
			t.Errorf("%s: %s, %+v", name, again.Arch, again.CPUs)
		}
	}
	if _, err := f.Guest("vax"); err == nil {
		t.Error("a VAX is not refused")
	}
}

// A PC's firmware is ROM, by its place, and a kdump file does without.
func TestROM(t *testing.T) {
	m := machine(t, arch.Guests[2], []dumptest.Part{{Addr: 0, Size: 0x4000}, {Addr: 0xffff0000, Size: 0x10000}})
	f := open(t, write(t, writers()[0], m))
	again, err := f.Guest("")
	if err != nil || !again.Image.Ranges[1].ROM || again.Image.Ranges[0].ROM {
		t.Errorf("%v: %+v", err, again.Image.Ranges)
	}
	if kd := convert(t, f, writers()[1]); len(kd.Ranges) != 1 {
		t.Errorf("the kdump file has %+v", kd.Ranges)
	}
}

// windowsDump is a file of a guest that looks like Windows.
func windowsDump(t *testing.T, k winguest.Kind) (path string, content []byte) {
	t.Helper()
	g := winguest.New(k)
	g.SetRuns([]winguest.Run{{Base: winguest.Base / 4096, Count: 256}})
	image := g.Image()
	content = append(bytes.Clone(g.Header), image...)
	path = t.TempDir() + "/memory.dmp"
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// A Windows crash dump, written in any format, and from that as a Windows
// crash dump again, is the same file.
func TestConvertWindows(t *testing.T) {
	for _, k := range []winguest.Kind{{Wide: true, Encoded: true}, {PAE: true}} {
		path, content := windowsDump(t, k)
		first := open(t, path)
		win := writer{"win-dmp", windmp.Format{}, dump.Options{}}
		for _, to := range append(writers(), win) {
			second := convert(t, first, to)
			if digest(t, second) != digest(t, first) {
				t.Errorf("%s has other memory", to.name)
			}
			back := convert(t, second, win)
			if got, err := os.ReadFile(back.Path); err != nil || !bytes.Equal(got, content) {
				t.Errorf("by way of %s the file is another one: %v", to.name, err)
			}
		}
	}
}

// Memory that is in a file of which only a part is there is absent, and said
// to be.
func TestImageExtents(t *testing.T) {
	m := machine(t, arch.Guests[2], guests["a PC"])
	path := write(t, writers()[0], m)
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, fi.Size()-0x8000); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	again, err := f.Guest("")
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Missing) != 1 || again.Missing[0].Size != 0x8000 || again.Image.Map.Size(extent.Omitted) != 0x8000 || again.Image.Size() != m.Image.Size() {
		t.Errorf("%+v, %+v", again.Missing, again.Image.Ranges)
	}
}
