package linux

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Where KASLR has moved the kernel that runs: from where it was linked, and
// its phys_base, which is negative; and the phys_base of one before.
var offset, moved, older = uint64(0x1a00_0000), uint64(0xffff_ffff_e500_0000), uint64(0xffff_ffff_fa00_0000)

// TestFoundByScan finds the note of the kernel that runs among those that are
// left of others and of what is no note.
func TestFoundByScan(t *testing.T) {
	f := newFake(t, "X86_64", 0)
	runs, before := x86Kernel("6.1.0-1", offset, moved), x86Kernel("5.10.0-9", 0x700_0000, older)
	f.install(runs)
	f.install(before) // its memory is not overwritten
	f.x86(runs, offset)
	f.x86(runs, offset)

	f.note(0x1000, before)
	whole := elfNote(f.Arch.Order, runs.text())
	f.store(0x3000, append(slices.Clone(whole[:len(whole)/2]), make([]byte, 200)...))          // half of it
	f.store(0x5000, append(slices.Clone(whole[:len(whole)/2]), bytes.Repeat(whole, 3)[7:]...)) // overwritten with text
	f.store(0x8000-30, whole)                                                                  // at no multiple of 4
	f.store(0x9000, whole[noteTextAt:])                                                        // the text alone
	f.store(0xa000, elfNote(f.Arch.Order, "OSRELEASE=6.1.0-1\n"))                              // nothing that could be checked
	f.store(0xb000, []byte("VMCOREINFO\x00"))
	f.store(0xc000+scanBlock-16, whole) // the name goes over the end of what is read at once
	f.note(ramSize-0x1000, runs)        // the same once more

	says := f.identify()
	if !bytes.Equal(f.VMCoreInfo, whole) {
		t.Errorf("the note is %q", f.VMCoreInfo)
	}
	k := f.Kernel
	if says != "found in guest memory at 0x4bff0, confirmed by the page tables of vCPUs 0, 1" || *k.NoteAddr != 0x4bff0 {
		t.Errorf("says %q", says)
	}
	if k.Release != "6.1.0-1" || k.BuildID != "00ff" || *k.Offset != offset || uint64(*k.PhysBase) != moved || !slices.Equal(k.Confirmed, []int{0, 1}) {
		t.Errorf("%+v, offset %#x, phys_base %#x", k, *k.Offset, *k.PhysBase)
	}
}

// TestHandedOver holds a note that somebody handed over against the vCPUs.
func TestHandedOver(t *testing.T) {
	runs, before := x86Kernel("6.1.0-1", offset, moved), x86Kernel("5.10.0-9", 0x700_0000, older)
	for _, test := range []struct {
		name       string
		handed     string // the text
		kernel     bool   // of the note is in memory
		cpus       bool
		better     bool   // a scan would find the right one
		want, says string // the text, and a part of what is said
	}{
		{"right", runs.text(), true, true, false, runs.text(), "in the vmcoreinfo device, confirmed by the page tables of vCPU 0"},
		{"of the kernel before", before.text(), true, true, true, runs.text(), "is not of the kernel that the vCPUs run, and left out for the one at 0x7000"},
		{"of the kernel before, and no other", before.text(), true, true, false, before.text(), "not confirmed: no vCPU has its kernel"},
		{"no registers", runs.text(), true, false, false, runs.text(), "not confirmed by a vCPU, as no page tables can be read; its kernel is in memory"},
		{"nothing to check it with", "OSRELEASE=6.1.0-1\n", false, true, false, "OSRELEASE=6.1.0-1\n", "not confirmed"},
		{"Windows", "PAGEDU64\x0f", false, true, true, "PAGEDU64\x0f", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, "X86_64", 0)
			if test.kernel {
				f.install(runs)
				f.install(before)
			}
			if test.cpus {
				f.x86(runs, offset)
			}
			if test.better {
				f.note(0x7000, runs)
			}
			f.VMCoreInfo = elfNote(f.Arch.Order, test.handed)
			says := f.identify()
			if want := elfNote(f.Arch.Order, test.want); !bytes.Equal(f.VMCoreInfo, want) {
				t.Errorf("the note is %q, want %q", f.VMCoreInfo, want)
			}
			if !strings.Contains(says, test.says) || test.says == "" && says != "" {
				t.Errorf("says %q, want … %q …", says, test.says)
			}
		})
	}
}

// TestUndecided has notes and no vCPU that tells which one is right.
func TestUndecided(t *testing.T) {
	one, two := x86Kernel("6.1.0-1", offset, moved), x86Kernel("5.10.0-9", 0x700_0000, older)
	for _, test := range []struct {
		name    string
		present []kernel
		want    bool
		says    string
	}{
		{"one kernel is there", []kernel{one}, true, "found in guest memory at 0x1000, not confirmed by a vCPU"},
		{"both are", []kernel{one, two}, false, "2 notes of different kernels (0x1000: 6.1.0-1, 0x4000: 5.10.0-9), and no vCPU tells which one runs"},
		{"none is", nil, false, "2 notes (0x1000: 6.1.0-1, 0x4000: 5.10.0-9), and none is of a kernel that is there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, "X86_64", 0)
			for _, k := range test.present {
				f.install(k)
			}
			f.note(0x1000, one)
			f.note(0x4000, two)
			says := f.identify()
			if (f.VMCoreInfo != nil) != test.want || !strings.Contains(says, test.says) {
				t.Errorf("a note: %v; says %q, want … %q …", f.VMCoreInfo != nil, says, test.says)
			}
		})
	}
}

// TestTwoKernels has vCPUs that run different ones, as when a kernel for
// crashes has been booted by the first: most of them decide.
func TestTwoKernels(t *testing.T) {
	f := newFake(t, "X86_64", 0)
	dead, crash := x86Kernel("6.1.0-1", offset, moved), x86Kernel("5.10.0-9", 0x700_0000, older)
	f.install(dead)
	f.install(crash)
	f.x86(crash, 0x700_0000)
	f.x86(dead, offset)
	f.x86(dead, offset)
	f.note(0x1000, crash)
	f.note(0x4000, dead)
	says := f.identify()
	if f.Kernel.Release != "6.1.0-1" || !strings.Contains(says, "another kernel, 5.10.0-9, runs on vCPU 0: its VMCOREINFO, the one at 0x1000, is left out") {
		t.Errorf("%s; says %q", f.Kernel.Release, says)
	}
}

// TestProgramRuns has the only vCPU run a program, with page tables that show
// next to nothing of the kernel; the kernel's are in the page before.
func TestProgramRuns(t *testing.T) {
	f := newFake(t, "X86_64", 0)
	k := x86Kernel("6.1.0-1", offset, moved)
	f.install(k)
	f.next = 0x2010_0000 >> 4 // a multiple of 8 KiB
	s := f.x86(k, offset)
	if s.CR[3]%0x2000 != 0 {
		t.Fatalf("the kernel's table is at %#x", s.CR[3])
	}
	s.CR[3] |= 0x1000 | 0x802 // the program's, and the number of its address space
	f.note(0x1000, k)
	if says := f.identify(); !strings.Contains(says, "confirmed by the page tables of vCPU 0") {
		t.Errorf("says %q", says)
	}
}

// TestPhysBase holds the note's phys_base against the page tables, and finds
// it without a note.
func TestPhysBase(t *testing.T) {
	k := x86Kernel("6.1.0-1", offset, moved)
	t.Run("wrong", func(t *testing.T) {
		f := newFake(t, "X86_64", 0)
		f.install(k)
		f.x86(k, offset)
		wrong := k
		wrong.facts = strings.Replace(k.facts, fmt.Sprint(int64(moved)), "16777216", 1)
		f.note(0x1000, wrong)
		says := f.identify()
		if uint64(*f.Kernel.PhysBase) != moved || !strings.Contains(says, "says that phys_base is 0x1000000, the page tables of the vCPUs say -0x1b000000, which is taken") {
			t.Errorf("phys_base %#x; says %q", *f.Kernel.PhysBase, says)
		}
		if c := OpenWith(f.Machine, "f", true); c.Crash != "crash -m phys_base=0xffffffffe5000000 vmlinux-6.1.0-1 f" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("no note", func(t *testing.T) {
		f := newFake(t, "X86_64", 0)
		f.install(k)
		s := f.x86(k, offset)
		s.IDT.Base = k.va - 0x1000
		handler := k.va - 0x20_0000
		gate := binary.LittleEndian.AppendUint16(nil, uint16(handler))
		gate = binary.LittleEndian.AppendUint32(gate, 0x8e00_0010)
		gate = binary.LittleEndian.AppendUint16(gate, uint16(handler>>16))
		gate = binary.LittleEndian.AppendUint64(gate, handler>>32)
		f.store(k.pa-0x1000, gate)
		if says := f.identify(); !strings.Contains(says, "a Linux kernel which is linked at 0xffffffff81000000") || uint64(*f.Kernel.PhysBase) != moved || *f.Kernel.Offset != offset {
			t.Fatalf("says %q, %+v", says, f.Kernel)
		}
		for registers, want := range map[bool]string{true: "crash vmlinux f", false: "crash --kaslr=0x1a000000 -m phys_base=0xffffffffe5000000 vmlinux f"} {
			if c := OpenWith(f.Machine, "f", registers); c.Crash != want || c.Drgn != "" {
				t.Errorf("registers %v: %+v", registers, c)
			}
		}
	})
	t.Run("nothing", func(t *testing.T) {
		f := newFake(t, "X86_64", 0)
		if says := f.identify(); says != "" || f.Kernel.PhysBase != nil || f.Kernel.Offset != nil {
			t.Errorf("says %q, %+v", says, f.Kernel)
		}
		if c := OpenWith(f.Machine, "f", true); c.Crash != "" || c.Drgn != "" {
			t.Errorf("%+v", c)
		}
	})
}

// TestArchitectures finds notes of guests with other page tables and in the
// other byte order.
func TestArchitectures(t *testing.T) {
	t.Run("aarch64", func(t *testing.T) {
		for _, order := range []string{"aarch64-le", "aarch64-be"} {
			f := newFake(t, order, 0x4000_0000)
			const va, voffset = 0xffff_8000_0912_3000, 0xffff_7fff_c8e0_0000
			k := kernel{"6.1.0-arm64", va, va - voffset, fmt.Sprintf("NUMBER(kimage_voffset)=0x%x\nNUMBER(PHYS_OFFSET)=0x40000000\nKERNELOFFSET=0\n", uint64(voffset))}
			f.install(k)
			level0, level1, level2 := f.table(0), f.table(0), f.table(0)
			f.entry(level0+8*(va>>39&511), level1|3)
			f.entry(level1+8*(va>>30&511), level2|3)
			f.entry(level2+8*(va>>21&511), k.pa&^0x1f_ffff|1)
			s := &arch.ARM64{SCTLR: 1, TCR: 16 | 16<<16 | 2<<30, TTBR1: level0 | 1<<48}
			if order == "aarch64-be" {
				s.SCTLR |= 1 << 25
			}
			f.CPUs = []guest.CPU{{State: s, Trust: guest.Valid}}
			f.note(0x4010_0000, k)
			if says := f.identify(); says != "found in guest memory at 0x40100000, confirmed by the page tables of vCPU 0" {
				t.Errorf("%s: says %q", order, says)
			}
			if c := OpenWith(f.Machine, "/a b/f", true); c.Crash != "crash vmlinux-6.1.0-arm64 '/a b/f'" || len(c.Remarks) != 1 {
				t.Errorf("%+v", c)
			}
			f.CPUs, f.VMCoreInfo = nil, nil
			if says := f.identify(); !strings.Contains(says, "its kernel is in memory") {
				t.Errorf("%s without registers: says %q", order, says)
			}
		}
	})
	t.Run("s390", func(t *testing.T) {
		f := newFake(t, "s390", 0)
		k := kernel{"6.1.0-s390x", 0x12_3400, 0x12_3400, "KERNELOFFSET=0\n"}
		f.install(k)
		segments := f.table(0x20)
		f.entry(segments+8, 1<<20|0x400)
		s := &arch.S390X{}
		s.Control[1], s.Control[13] = 0x7fff_f000, segments|3
		f.CPUs = []guest.CPU{{State: s, Trust: guest.Valid}}
		f.note(0x20_0000, k)
		if says := f.identify(); says != "found in guest memory at 0x200000, confirmed by the page tables of vCPU 0" {
			t.Errorf("says %q", says)
		}
	})
	t.Run("ppc64", func(t *testing.T) {
		f := newFake(t, "ppc64-be", 0)
		k := kernel{"6.1.0-powerpc64", 0xc000_0000_0012_3400, 0x12_3400, ""}
		f.install(k)
		f.note(0x20_0000, k)
		if says := f.identify(); !strings.Contains(says, "not confirmed by a vCPU, as no page tables can be read; its kernel is in memory") {
			t.Errorf("says %q", says)
		}
	})
}

// TestScanHoles does not read what is a hole, and stops when it is told to.
func TestScanHoles(t *testing.T) {
	f := newFake(t, "X86_64", 0)
	k := x86Kernel("6.1.0-1", offset, moved)
	f.note(0x1000, k)
	lost := extent.Extent[addr.GPA, addr.FileOff]{Addr: 0x10_0000, Size: 0x10_0000, Kind: extent.Lost}
	if err := f.Image.Map.Insert(lost); err != nil {
		t.Fatal(err)
	}
	var p scanned
	found, _, err := scan(t.Context(), f.Image, &p, all)
	if err != nil || !slices.Equal(found, []addr.GPA{0x1000}) || p.total != ramSize-0x10_0000 {
		t.Errorf("%#x of %#x, %v", found, p.total, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	cancel(stop)
	if _, _, err := scan(ctx, f.Image, &p, all); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	f.file.Close()
	if err := Identify(t.Context(), f.Machine, &p); err == nil {
		t.Error("memory that cannot be read is no error")
	}
}

// TestScanEnds reads no more than has to be: from both ends on, until all vCPUs
// confirm a note.
func TestScanEnds(t *testing.T) {
	runs, before := x86Kernel("6.1.0-1", offset, moved), x86Kernel("5.10.0-9", 0x700_0000, older)
	const top = 0x100_0000 // of a piece at the end, bytes
	for _, tt := range []struct {
		name   string
		others int // vCPUs that run another kernel
		at     []uint64
		want   uint64
		most   int64 // bytes read
	}{
		{"in low memory", 0, []uint64{0x1000}, 0x1000, scanBlock},
		{"in high memory", 0, []uint64{ramSize - top}, ramSize - top, scanPiece + scanBlock},
		{"in both", 0, []uint64{ramSize - top, 0x1000}, 0x1000, scanBlock},
		{"in the middle", 0, []uint64{ramSize / 2, ramSize/2 - 0x1000}, ramSize/2 - 0x1000, ramSize},
		{"not of all vCPUs", 1, []uint64{0x1000}, 0x1000, ramSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "X86_64", 0)
			f.install(runs)
			f.install(before)
			f.x86(runs, offset)
			f.x86(runs, offset)
			for range tt.others {
				f.x86(before, 0x700_0000)
			}
			f.note(0x800, before)
			for _, at := range tt.at {
				f.note(at, runs)
			}
			for workers := range 4 { // of many the fastest finds it, and it must not matter
				func() {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers + 1))
					var p scanned
					m := *f.Machine
					if err := Identify(t.Context(), &m, &p); err != nil || uint64(*m.Kernel.NoteAddr) != tt.want {
						t.Errorf("found at %#x: %v", uint64(*m.Kernel.NoteAddr), err)
					}
					if done := p.done.Load(); workers == 0 && done > tt.most {
						t.Errorf("%#x bytes read, at most %#x have to be", done, tt.most)
					}
				}()
			}
		})
	}
}

// faulty is a file with a page that cannot be read.
type faulty struct {
	addr.Source
	page int64
}

func (f faulty) ReadAt(p []byte, off int64) (int, error) {
	if off <= f.page && f.page < off+int64(len(p)) {
		n, _ := f.Source.ReadAt(p[:f.page-off], off)
		return n, syscall.EIO
	}
	if f.page < off && off < f.page+4096 {
		return 0, syscall.EIO
	}
	return f.Source.ReadAt(p, off)
}

// TestScanFault passes over a page that cannot be read, and says so.
func TestScanFault(t *testing.T) {
	f := newFake(t, "X86_64", 0)
	k := x86Kernel("6.1.0-1", offset, moved)
	f.note(0x1000, k)
	f.store(0x2000, []byte{1})
	f.note(0x3000, k)
	f.Image.Files[0] = faulty{f.file, 0x2000}
	var p scanned
	found, unread, err := scan(t.Context(), f.Image, &p, all)
	if err != nil || !slices.Equal(found, []addr.GPA{0x1000, 0x3000}) || unread != 4096 {
		t.Errorf("%#x, %d bytes not read, %v", found, unread, err)
	}
	if err := Identify(t.Context(), f.Machine, &p); err != nil || !slices.ContainsFunc(f.Warnings, func(w string) bool { return strings.HasPrefix(w, "4096 bytes ") }) {
		t.Errorf("%v, %q", err, f.Warnings)
	}
}

func FuzzNote(f *testing.F) {
	k := x86Kernel("6.1.0-1", offset, moved)
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		f.Add(elfNote(order, k.text()))
		f.Add(elfNote(order, k.text())[:40])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			n, err := parseNote(order, p)
			if err != nil {
				continue
			}
			if len(n.raw) > len(p) || !bytes.Equal(elfNote(order, string(n.text))[:len(n.raw)], n.raw) && p[23] == 0 {
				t.Errorf("%q is read as %q", p, n.raw)
			}
			if n.complete() {
				if len(n.uts()) == 0 || !strings.HasPrefix(string(n.text), "OSRELEASE="+n.info.Release()+"\n") && !strings.Contains(string(n.text), "\nOSRELEASE=") {
					t.Errorf("%q is whole, and its release %q", n.text, n.info.Release())
				}
			}
		}
	})
}

// TestNoScan takes what was handed over, and looks at no memory for more.
func TestNoScan(t *testing.T) {
	const remark = "guest memory was not searched for VMCOREINFO"
	runs := x86Kernel("6.1.0-1", offset, moved)
	f := newFake(t, "X86_64", 0)
	f.install(runs)
	f.x86(runs, offset)
	f.note(0x1000, runs)
	if err := Identify(t.Context(), f.Machine, nil); err != nil || f.VMCoreInfo != nil || !slices.Contains(f.Kernel.Remarks, remark) {
		t.Errorf("%+v, %v", f.Kernel, err)
	}
	if err := Identify(t.Context(), f.Machine, &scanned{}); err != nil || f.VMCoreInfo == nil {
		t.Fatalf("%+v, %v", f.Kernel, err)
	}
	if err := Identify(t.Context(), f.Machine, nil); err != nil || f.Kernel.Release != "6.1.0-1" || slices.Contains(f.Kernel.Remarks, remark) {
		t.Errorf("handed over: %+v, %v", f.Kernel, err)
	}
}
