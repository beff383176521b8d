package vmcore

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/note"
	"guestcore/internal/guest"
)

// pc is the memory of a small PC: low memory, the ROM below 4 GiB, and memory
// above it.
var pc = []dumptest.Part{
	{Addr: 0, Size: 0xa0000},
	{Addr: 0xc0000, Size: 0x20000, Kind: dumptest.Hole},
	{Addr: 0xe0000, Size: 0x3000},
	{Addr: 0xe3000, Size: 0x5000, Kind: dumptest.Zero},
	{Addr: 0xe8000, Size: 0x8800},
	{Addr: 0xfffc0000, Size: 0x40000},
}

var above4G = append(slices.Clone(pc), dumptest.Part{Addr: 1 << 32, Size: 0x10000})

func guestArch(t testing.TB, name string) arch.Guest {
	t.Helper()
	g, err := arch.GuestByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// write dumps m to a file and returns its path.
func write(t testing.TB, m *guest.Machine, o dump.Options) (string, dump.Summary) {
	t.Helper()
	job, err := Format{}.Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vmcore")
	s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != job.Plan().Size {
		t.Fatalf("file is %v (%v), planned were %d bytes", fi.Size(), err, job.Plan().Size)
	}
	return path, s
}

// open reads a file with package debug/elf, which is not ours.
func open(t testing.TB, path string) *elf.File {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// loads are the memory segments of a file.
func loads(f *elf.File) []*elf.Prog {
	return slices.DeleteFunc(slices.Clone(f.Progs), func(p *elf.Prog) bool { return p.Type != elf.PT_LOAD })
}

// readelf runs the program of that name; it is to have nothing to complain of.
func readelf(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "readelf", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatal("no readelf: install binutils")
	}
	if text := string(out); err != nil || strings.Contains(text, "Warning") || strings.Contains(text, "Error") {
		t.Fatalf("readelf %v: %v\n%.2000s", args, err, text)
	}
	return string(out)
}

func TestEveryArch(t *testing.T) {
	machines := map[string]elf.Machine{
		"aarch64-be": elf.EM_AARCH64, "aarch64-le": elf.EM_AARCH64, "X86_64": elf.EM_X86_64, "386": elf.EM_386,
		"s390": elf.EM_S390, "ppc64-be": elf.EM_PPC64, "ppc64-le": elf.EM_PPC64,
		"arm": elf.EM_ARM, "arm-be": elf.EM_ARM, "riscv64": elf.EM_RISCV, "riscv32": elf.EM_RISCV, "loongarch64": elf.EM_LOONGARCH,
	}
	big := map[string]bool{"aarch64-be": true, "s390": true, "ppc64-be": true, "arm-be": true}
	narrow := map[string]bool{"386": true, "arm": true, "arm-be": true, "riscv32": true}
	for _, g := range arch.Guests {
		for _, tt := range []struct {
			name  string
			parts []dumptest.Part
			class elf.Class
		}{
			{"below 4 GiB", pc, map[bool]elf.Class{true: elf.ELFCLASS32, false: elf.ELFCLASS64}[narrow[g.Name]]},
			{"above 4 GiB", above4G, elf.ELFCLASS64},
		} {
			t.Run(g.Name+" "+tt.name, func(t *testing.T) {
				m := dumptest.Machine(t, t.TempDir(), g, tt.parts...)
				m.VMCoreInfo = note.Append(nil, g.Order, "VMCOREINFO", 0, []byte("OSRELEASE=6.1\n"))
				path, s := write(t, m, dump.Options{Creator: "guestcore test"})
				f := open(t, path)
				if f.Machine != machines[g.Name] || f.Class != tt.class || f.Type != elf.ET_CORE || f.Version != elf.EV_CURRENT {
					t.Errorf("header %+v, want %v %v", f.FileHeader, machines[g.Name], tt.class)
				}
				if isBig := f.ByteOrder == binary.BigEndian; isBig != big[g.Name] {
					t.Errorf("byte order %v", f.ByteOrder)
				}
				if wantRemark := g.Class != tt.class; wantRemark != strings.Contains(strings.Join(s.Remarks, ""), "ELF64 for "+g.Name) {
					t.Errorf("remarks %q", s.Remarks)
				}
				checkShape(t, path, f)
				checkMemory(t, f, m.Image.Ranges, tt.parts)
				text := readelf(t, "-hlnW", path)
				for _, want := range []string{"VMCOREINFO", "GUESTCORE"} {
					if !strings.Contains(text, want) {
						t.Errorf("readelf shows no %s:\n%s", want, text)
					}
				}
			})
		}
	}
}

// checkShape holds a file against what its readers ask for
// (crash, makedumpfile, elf2dmp).
func checkShape(t *testing.T, path string, f *elf.File) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ehdr, phoff, ehsize := int64(64), f.ByteOrder.Uint64(raw[32:]), f.ByteOrder.Uint16(raw[52:])
	if f.Class == elf.ELFCLASS32 {
		ehdr, phoff, ehsize = 52, uint64(f.ByteOrder.Uint32(raw[28:])), f.ByteOrder.Uint16(raw[40:])
	}
	if int64(phoff) != ehdr || int64(ehsize) != ehdr {
		t.Errorf("program headers at %d, ehsize %d; want both %d", phoff, ehsize, ehdr)
	}
	note := f.Progs[0]
	if note.Type != elf.PT_NOTE || note.Vaddr != 0 || note.Paddr != 0 || note.Filesz != note.Memsz {
		t.Errorf("first program header is %+v, want a PT_NOTE", note.ProgHeader)
	}
	for i, p := range f.Progs[1:] {
		if p.Type != elf.PT_LOAD || p.Flags != 0 || p.Align != 0 || p.Vaddr != p.Paddr || p.Filesz != p.Memsz {
			t.Errorf("segment %d: %+v", i, p.ProgHeader)
		}
		if p.Off%4096 != 0 {
			t.Errorf("segment %d begins at %#x, inside a page", i, p.Off)
		}
		if p.Off < note.Off+note.Filesz {
			t.Errorf("segment %d at %#x lies before the end of the notes", i, p.Off)
		}
	}
}

// checkMemory holds the segments against the ranges and every byte against
// the parts that the guest was made of.
func checkMemory(t *testing.T, f *elf.File, ranges []guest.Range, parts []dumptest.Part) {
	t.Helper()
	segments := loads(f)
	if len(segments) != len(ranges) {
		t.Fatalf("%d segments for %d ranges", len(segments), len(ranges))
	}
	for i, p := range segments {
		if p.Paddr != uint64(ranges[i].Addr) || p.Memsz != ranges[i].Size {
			t.Errorf("segment %d is %#x+%#x, want %#x+%#x", i, p.Paddr, p.Memsz, ranges[i].Addr, ranges[i].Size)
		}
		got, err := io.ReadAll(p.Open())
		if err != nil {
			t.Fatal(err)
		}
		if want := dumptest.Want(parts, ranges[i].Addr, ranges[i].Size); !bytes.Equal(got, want) {
			t.Errorf("segment %d at %#x: wrong bytes", i, p.Paddr)
		}
	}
}

func TestHolesStayHoles(t *testing.T) {
	const size = 64 << 20
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"),
		dumptest.Part{Addr: 0, Size: 1 << 20},
		dumptest.Part{Addr: 1 << 20, Size: size, Kind: dumptest.Hole},
		dumptest.Part{Addr: 1<<20 + size, Size: size, Kind: dumptest.Zero},
		dumptest.Part{Addr: 1<<20 + 2*size, Size: 1 << 20},
	)
	path, s := write(t, m, dump.Options{})
	if want := int64(2*size + 2<<20); s.Memory != want {
		t.Errorf("%d bytes of memory, want %d", s.Memory, want)
	}
	if s.Holes != 2*size || s.Copied < 2<<20 || s.Copied > 2<<20+4096 {
		t.Errorf("copied %d, holes %d", s.Copied, s.Holes)
	}
	if used := diskUse(t, path); used > 4<<20 {
		t.Errorf("the file takes %d bytes of the disk", used)
	}
}

// TestManySegments needs more program headers than e_phnum counts.
func TestManySegments(t *testing.T) {
	const n = 70_000
	var parts []dumptest.Part
	for i := range n {
		parts = append(parts, dumptest.Part{Addr: addr.GPA(i) * 0x2000, Size: 0x1000, Kind: dumptest.Zero})
	}
	parts[0].Kind, parts[n-1].Kind = dumptest.Data, dumptest.Data
	load := regexp.MustCompile(`(?m)^  LOAD +0x([0-9a-f]+) 0x[0-9a-f]+ 0x([0-9a-f]+) `)
	for _, name := range []string{"X86_64", "386", "s390"} {
		t.Run(name, func(t *testing.T) {
			g := guestArch(t, name)
			path, _ := write(t, dumptest.Machine(t, t.TempDir(), g, parts...), dump.Options{})
			text := readelf(t, "-hlW", path)
			if !strings.Contains(text, fmt.Sprintf("65535 (%d)", n+1)) {
				t.Errorf("readelf counts otherwise:\n%.1500s", text)
			}
			found := load.FindAllStringSubmatch(text, -1)
			if len(found) != n {
				t.Fatalf("readelf lists %d segments, want %d", len(found), n)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for i, x := range found {
				var off, paddr uint64
				fmt.Sscanf(x[1], "%x", &off)
				fmt.Sscanf(x[2], "%x", &paddr)
				if paddr != uint64(parts[i].Addr) {
					t.Fatalf("segment %d is at %#x, want %#x", i, paddr, parts[i].Addr)
				}
				if i > 0 && i < n-1 {
					continue
				}
				got := make([]byte, 0x1000)
				if _, err := f.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, dumptest.Want(parts, parts[i].Addr, 0x1000)) {
					t.Errorf("segment %d: wrong bytes (%v)", i, err)
				}
			}
		})
	}
}

// TestGDBReads lets gdb find the memory, with its own idea of the file.
func TestGDBReads(t *testing.T) {
	if _, err := exec.LookPath("gdb"); err != nil {
		t.Fatal("no gdb: install gdb or gdb-minimal")
	}
	path, _ := write(t, dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), above4G...), dump.Options{})
	for _, a := range []addr.GPA{0, 0x9ffff, 0xe2fff, 0xe8001, 0x100000000} {
		cmd := exec.CommandContext(t.Context(), "setsid", "-w", "timeout", "-s", "KILL", "60",
			"gdb", "-nx", "-batch", "-ex", "core-file "+path, "-ex", fmt.Sprintf("x/1xb %#x", uint64(a)))
		out, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("%#x:\t0x%02x", uint64(a), dumptest.Byte(a)); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("gdb (%v) says not %q:\n%s", err, want, out)
		}
	}
}

func diskUse(t *testing.T, path string) int64 {
	t.Helper()
	out, err := exec.Command("du", "--block-size=1", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	fmt.Sscan(string(out), &n)
	return n
}

func TestPlanIsQuickOnHugeSparseCores(t *testing.T) {
	const size = 1 << 40
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"),
		dumptest.Part{Addr: 0, Size: 1 << 20},
		dumptest.Part{Addr: 1 << 20, Size: size, Kind: dumptest.Hole},
	)
	began := time.Now()
	path, s := write(t, m, dump.Options{})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("1 TiB of hole took %v", took)
	}
	if used := diskUse(t, path); used > 2<<20 || s.Holes != size {
		t.Errorf("holes %d, %d bytes of disk", s.Holes, used)
	}
}
