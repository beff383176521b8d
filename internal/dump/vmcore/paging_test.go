package vmcore

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/vmcorefile"
	"guestcore/internal/guest/mapping"
)

// header is what a PT_LOAD says but for its offset, and what is there.
type header struct {
	Virt, Phys, File, Memory uint64
	Nowhere                  bool // p_offset is -1
}

// openPaging reads a file with package vmcorefile: debug/elf takes no p_offset of -1.
func openPaging(t *testing.T, path string) *vmcorefile.File {
	t.Helper()
	f, err := vmcorefile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func headers(f *vmcorefile.File) []header {
	var out []header
	for _, p := range f.Loads {
		out = append(out, header{p.Vaddr, p.Paddr, p.Filesz, p.Memsz, p.Off == math.MaxUint64})
	}
	return out
}

// TestPaging shows memory at virtual addresses: twice, not at all, over the
// end of a range, where there is none, and at virtual address 0.
func TestPaging(t *testing.T) {
	const kernel = 0xffff_8880_0000_0000
	list := []mapping.Mapping{
		{Virt: 0, Phys: 0, Size: 0x1000},
		{Virt: kernel, Phys: 0, Size: 0x200000},
		{Virt: 0xffff_0000_0040_0000, Phys: 0xe1000, Size: 0x1000},
		{Virt: kernel + 0xfffff000, Phys: 0xfffff000, Size: 0x1000},
		{Virt: kernel + 0x2_0000_0000, Phys: 0x2_0000_0000, Size: 0x1000},
	}
	partial := slices.Clone(pc)
	partial[3].Kind = dumptest.Absent // 0xe3000-0xe8000
	for _, test := range []struct {
		name  string
		parts []dumptest.Part
		o     dump.Options
		list  []mapping.Mapping
		want  []header
		// hidden is how much of the memory in the file no header shows.
		hidden string
	}{
		{"all", pc, dump.Options{}, list, []header{
			{0, 0, 0x1000, 0x1000, false},
			{kernel, 0, 0xa0000, 0x200000, false},
			{0xffff_0000_0040_0000, 0xe1000, 0x1000, 0x1000, false},
			{kernel + 0xfffff000, 0xfffff000, 0x1000, 0x1000, false},
			{kernel + 0x2_0000_0000, 0x2_0000_0000, 0, 0x1000, true},
		}, "442.0 KiB"},
		{"window", pc, dump.Options{Window: dump.Window{Begin: 0x800, Length: 0x900}}, list, []header{
			{0x800, 0x800, 0x800, 0x800, false}, // virtual address 0 stands for none
			{kernel + 0x800, 0x800, 0x900, 0x900, false},
		}, ""},
		{"window beside them", pc, dump.Options{Window: dump.Window{Begin: 0xe3000, Length: 0x1000}}, list[:1], nil, "4.0 KiB"},
		{"memory is absent", partial, dump.Options{Partial: true}, []mapping.Mapping{{Virt: kernel + 0xe2000, Phys: 0xe2000, Size: 0x10000}, {Virt: kernel + 0xe3000, Phys: 0xe3000, Size: 0x1000}}, []header{
			{kernel + 0xe2000, 0xe2000, 0x1000, 0x10000, false},
			{kernel + 0xe3000, 0xe3000, 0, 0x1000, true},
		}, "1.0 MiB"},
		{"nothing is mapped", pc, dump.Options{}, []mapping.Mapping{}, nil, "1.1 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), test.parts...)
			test.o.Paging, test.o.Mappings = true, test.list
			path, summary := write(t, m, test.o)
			f := openPaging(t, path)
			if diff := cmp.Diff(test.want, headers(f)); diff != "" {
				t.Errorf("program headers: want (-), got (+)\n%s", diff)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range f.Loads {
				if p.Filesz == 0 {
					continue
				}
				got := raw[p.Off:][:p.Filesz]
				if want := dumptest.Want(test.parts, addr.GPA(p.Paddr), p.Filesz); !slices.Equal(got, want) {
					t.Errorf("the %#x bytes of %#x are not the guest's", p.Filesz, p.Paddr)
				}
			}
			if all := strings.Join(summary.Remarks, "\n"); strings.Contains(all, test.hidden+" of guest memory mapped") != (test.hidden != "") {
				t.Errorf("remarks %q, want %q", all, test.hidden)
			}
			if test.name == "all" && summary.Memory != int64(m.Image.Size()) {
				t.Errorf("%d bytes of memory are in the file, the guest has %d", summary.Memory, m.Image.Size())
			}
		})
	}
}

// TestPagingMany has more mappings than e_phnum can tell.
func TestPagingMany(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), dumptest.Part{Addr: 0, Size: 70_000 << 12, Kind: dumptest.Zero})
	var list []mapping.Mapping
	for i := range uint64(70_000) {
		list = append(list, mapping.Mapping{Virt: (1<<20 - i) << 12, Phys: i << 12, Size: 1 << 12})
	}
	path, _ := write(t, m, dump.Options{Paging: true, Mappings: list})
	f := openPaging(t, path)
	if len(f.Loads) != len(list) {
		t.Fatalf("%d program headers, want %d", len(f.Loads), len(list))
	}
	for i, l := range f.Loads {
		if l.Vaddr != list[i].Virt || l.Paddr != list[i].Phys || l.Filesz != 1<<12 {
			t.Fatalf("PT_LOAD %d is %+v, want %+v", i, l, list[i])
		}
	}
}
