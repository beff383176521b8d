package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
)

// fill is n bytes that tell their place.
func fill(n int, salt byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*7 + byte(i>>8) + salt
	}
	return b
}

// sample is a core with all kinds of memory:
//
//	0x1000 data    0x3000 data, then omitted    0x6000 omitted
//	0x8000 a file's first page as data, then two pages left to the file
func sample(class elf.Class, order binary.ByteOrder) *builder {
	b := newBuilder(class, order)
	b.thread(12, 11)
	b.note("CORE", 2, []byte("floats of 12"))
	b.auxv(inferior.AT_PAGESZ, 4096, inferior.AT_ENTRY, 0x9010)
	b.files(4096, file{0x8000, 0xb000, 2, "/usr/bin/thing"})
	b.thread(13, 11)
	b.note("LINUX", 0x202, []byte("xstate of 13"))
	b.note("LINUX", ntXSaveAreas, []byte("areas"))
	b.loads = []load{
		{0x1000, fill(0x1000, 1), 0x1000, elf.PF_R},
		{0x3000, fill(0x800, 2), 0x2000, elf.PF_R | elf.PF_W},
		{0x6000, nil, 0x1000, 0},
		{0x8000, fill(0x1000, 3), 0x3000, elf.PF_R | elf.PF_X},
	}
	return b
}

func parseBytes(t testing.TB, b []byte, opt Options) *Process {
	t.Helper()
	p, err := parse(bytes.NewReader(b), int64(len(b)), opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSample(t *testing.T) {
	for _, class := range []elf.Class{elf.ELFCLASS64, elf.ELFCLASS32} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			t.Run(fmt.Sprint(class, order), func(t *testing.T) {
				raw := sample(class, order).bytes()
				p := parseBytes(t, raw, Options{})
				if h := p.Host(); h.Class != class || h.Order != order || h.Machine != elf.EM_X86_64 || h.PageSize != 4096 {
					t.Errorf("host %+v", h)
				}
				if p.PID() != 12 {
					t.Errorf("pid %d", p.PID())
				}
				threads := p.Threads()
				if len(threads) != 2 || threads[0].TID != 12 || threads[1].TID != 13 || threads[0].Signal != 11 {
					t.Fatalf("threads %+v", threads)
				}
				for i, want := range []struct {
					typ  uint32
					desc string
				}{{2, "floats of 12"}, {0x202, "xstate of 13"}} {
					if got := threads[i].Note(want.typ); string(got) != want.desc {
						t.Errorf("thread %d note %#x: %q", i, want.typ, got)
					}
					if threads[1-i].Note(want.typ) != nil {
						t.Errorf("note %#x is also the other thread's", want.typ)
					}
					if got := threads[i].Note(ntXSaveAreas); string(got) != "areas" {
						t.Errorf("thread %d: the xsave areas are %q", i, got)
					}
				}
				if v, ok := inferior.AuxValue(p, inferior.AT_ENTRY); !ok || v != 0x9010 {
					t.Errorf("AT_ENTRY %#x", v)
				}
				want := inferior.FileMapping{Start: 0x8000, End: 0xb000, Offset: 0x2000, Path: "/usr/bin/thing"}
				if f := p.Files(); len(f) != 1 || f[0] != want {
					t.Errorf("files %+v", f)
				}
				if prot, ok := p.Protection(0xafff); !ok || prot != elf.PF_R|elf.PF_X {
					t.Errorf("protection %v %v", prot, ok)
				}
				if _, ok := p.Protection(0x2000); ok {
					t.Error("a hole has a protection")
				}
				if want, have := p.Truncated(); want != have {
					t.Errorf("truncated: %d of %d", have, want)
				}
				checkMemory(t, p)
				var fault *inferior.FaultError
				if n, err := p.ReadAt(make([]byte, 16), 0x8ff8); n != 8 || !errors.As(err, &fault) ||
					fault.Addr != 0x9000 || !strings.Contains(fault.Reason, "/usr/bin/thing") {
					t.Errorf("text without its file: %d, %v", n, err)
				}
			})
		}
	}
}

// checkMemory reads what sample stores.
func checkMemory(t *testing.T, p *Process) {
	t.Helper()
	for _, c := range []struct {
		a    int64
		want []byte
	}{
		{0x1000, fill(0x1000, 1)},
		{0x3000, append(fill(0x800, 2), make([]byte, 0x1800)...)},
		{0x6000, make([]byte, 0x1000)},
		{0x8000, fill(0x1000, 3)},
	} {
		got := make([]byte, len(c.want))
		if n, err := p.ReadAt(got, c.a); n != len(got) || err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("memory at %#x: %d bytes, %v", c.a, n, err)
		}
	}
	n, err := p.ReadAt(make([]byte, 0x20), 0x1ff0)
	var fault *inferior.FaultError
	if n != 0x10 || !errors.As(err, &fault) || fault.Addr != 0x2000 || !errors.Is(err, inferior.ErrFault) {
		t.Errorf("across the end of a segment: %d, %v", n, err)
	}
	kinds := []extent.Kind{extent.Data, extent.Data, extent.Omitted, extent.Omitted, extent.Data, extent.Omitted}
	for i, e := range p.Mappings().Extents() {
		if i >= len(kinds) || e.Kind != kinds[i] {
			t.Errorf("extent %d: %+v", i, e)
		}
	}
}

func TestHighAddresses(t *testing.T) {
	b := sample(elf.ELFCLASS64, binary.LittleEndian)
	vsyscall := uint64(0xffffffffff600000)
	b.loads = append(b.loads, load{vsyscall, fill(0x1000, 9), 0x1000, elf.PF_X})
	p := parseBytes(t, b.bytes(), Options{})
	got := make([]byte, 4)
	if n, err := p.ReadAt(got, int64(vsyscall)); n != 4 || err != nil || !bytes.Equal(got, fill(4, 9)) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestFileMappings(t *testing.T) {
	b := sample(elf.ELFCLASS64, binary.LittleEndian)
	raw := b.bytes()
	path := filepath.Join(t.TempDir(), "thing")
	// Mapped from page 2; the file ends 0x10 bytes into the third page.
	content := fill(0x3000+0x10, 5)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var calls int
	p := parseBytes(t, raw, Options{OpenFile: func(name string, held io.ReaderAt) (*os.File, error) {
		calls++
		got := make([]byte, 0x1001)
		n, err := held.ReadAt(got, 0x2000)
		if name != "/usr/bin/thing" || n != 0x1000 || err != io.EOF || !bytes.Equal(got[:n], fill(0x1000, 3)) {
			t.Errorf("%s: %d bytes held, %v", name, n, err)
		}
		return os.Open(path)
	}})
	got := make([]byte, 0x3000)
	n, err := p.ReadAt(got, 0x8000)
	want := slices.Concat(fill(0x1000, 3), content[0x3000:], make([]byte, 0xff0))
	if !bytes.Equal(got[:n], want) {
		t.Errorf("%#x bytes, %v", n, err)
	}
	if !errors.Is(err, inferior.ErrFault) || n != 0x2000 {
		t.Errorf("behind the end of the file: %#x, %v", n, err)
	}
	if calls != 1 {
		t.Errorf("opened %d times", calls)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// gcore gives no segment to the mappings it does not store.
func TestFileWithoutSegment(t *testing.T) {
	b := sample(elf.ELFCLASS64, binary.LittleEndian)
	b.loads = b.loads[:3]
	p := parseBytes(t, b.bytes(), Options{OpenFile: func(string, io.ReaderAt) (*os.File, error) {
		return os.Open("/proc/self/exe")
	}})
	if e, ok := p.Mappings().Find(0x8000); !ok || e.Kind != extent.Omitted || e.Size != 0x3000 {
		t.Errorf("%+v", e)
	}
	if n, err := p.ReadAt(make([]byte, 8), 0x8000); n != 8 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestManySegments(t *testing.T) {
	const count = 70_000
	for _, class := range []elf.Class{elf.ELFCLASS64, elf.ELFCLASS32} {
		b := newBuilder(class, binary.LittleEndian)
		b.thread(1, 6)
		b.auxv(inferior.AT_PAGESZ, 4096)
		for i := range uint64(count) {
			b.loads = append(b.loads, load{0x10000 + i*0x2000, []byte{byte(i), byte(i >> 8), byte(i >> 16)}, 3, elf.PF_R})
		}
		p := parseBytes(t, b.bytes(), Options{})
		if got := p.Mappings().Len(); got != count {
			t.Fatalf("%v: %d extents", class, got)
		}
		for _, i := range []int64{0, 65_533, 65_534, 65_535, count - 1} {
			var got [3]byte
			if _, err := p.ReadAt(got[:], 0x10000+i*0x2000); err != nil || got != [3]byte{byte(i), byte(i >> 8), byte(i >> 16)} {
				t.Errorf("%v: segment %d: % x, %v", class, i, got, err)
			}
		}
	}
}

// A core cut anywhere is refused, or what it gives is right and what is gone
// faults.
func TestTruncatedEverywhere(t *testing.T) {
	whole := sample(elf.ELFCLASS64, binary.LittleEndian).bytes()
	p := parseBytes(t, whole, Options{})
	extents := slices.Clone(p.Mappings().Extents())
	want, _ := p.Truncated()
	for cut := range whole {
		r := bytes.NewReader(whole[:cut])
		q, err := parse(r, int64(cut), Options{})
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) && !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrNotCore) {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if !strings.Contains(err.Error(), "cut inside") && cut >= 4 {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			continue
		}
		if w, have := q.Truncated(); w != want || have != int64(cut) {
			t.Fatalf("cut at %d: truncated says %d of %d", cut, have, w)
		}
		for _, e := range extents {
			if e.Kind != extent.Data {
				continue
			}
			got, full := make([]byte, e.Size), make([]byte, e.Size)
			p.ReadAt(full, int64(e.Addr))
			n, err := q.ReadAt(got, int64(e.Addr))
			if !bytes.Equal(got[:n], full[:n]) {
				t.Fatalf("cut at %d: wrong bytes at %v", cut, e.Addr)
			}
			here := max(0, min(int64(e.Size), int64(cut)-e.Off.Offset()))
			if int64(n) != here || n < len(got) && (!errors.Is(err, inferior.ErrFault) || !strings.Contains(err.Error(), "truncated")) {
				t.Fatalf("cut at %d: %d of %d bytes at %v: %v", cut, n, here, e.Addr, err)
			}
		}
		if n, err := q.ReadAt(make([]byte, 16), 0x6000); n != 16 || err != nil {
			t.Fatalf("cut at %d: omitted memory: %v", cut, err)
		}
	}
}

func TestOverlappingSegments(t *testing.T) {
	b := sample(elf.ELFCLASS64, binary.LittleEndian)
	b.loads = []load{
		{0x2000, fill(0x2000, 2), 0x2000, elf.PF_W},
		{0x1000, fill(0x1800, 1), 0x1800, elf.PF_R},
		{0x1100, fill(0x100, 3), 0x100, elf.PF_R},
	}
	p := parseBytes(t, b.bytes(), Options{})
	got := make([]byte, 0x3000)
	if _, err := p.ReadAt(got, 0x1000); err != nil {
		t.Fatal(err)
	}
	if want := append(fill(0x1800, 1), fill(0x2000, 2)[0x800:]...); !bytes.Equal(got, want) {
		t.Error("the segment that begins first does not win")
	}
}

func TestCommandFromStack(t *testing.T) {
	for _, class := range []elf.Class{elf.ELFCLASS64, elf.ELFCLASS32} {
		b := newBuilder(class, binary.BigEndian)
		b.thread(1, 6)
		const top = 0x8000
		vector := []uint64{atRandom, top - 0x100, inferior.AT_PAGESZ, 4096}
		b.auxv(vector...)
		strings := "qemu\x00-name\x00a b\x00\x00PATH=/bin\x00"
		at := uint64(top - 0x80)
		stack := b.word(nil, 4, at, at+5, at+11, at+15, 0, at+16, 0)
		stack = b.word(stack, append(vector, 0, 0)...)
		stack = append(stack, make([]byte, 0x20)...) // the platform's name
		mem := make([]byte, 0x1000)
		copy(mem[0x1000-0x100-len(stack):], stack)
		copy(mem[0x1000-0x80:], strings)
		b.loads = []load{{top - 0x1000, mem, 0x1000, elf.PF_R}}
		p := parseBytes(t, b.bytes(), Options{})
		if got, want := p.Command(), []string{"qemu", "-name", "a b", ""}; !slices.Equal(got, want) {
			t.Errorf("%v: %q", class, got)
		}
	}
}

func TestCommandFromNote(t *testing.T) {
	for size, at := range map[int][2]int{136: {24, 56}, 124: {12, 44}, 128: {16, 48}} {
		b := newBuilder(elf.ELFCLASS64, binary.LittleEndian)
		if size < 136 {
			b.class = elf.ELFCLASS32
		}
		desc := make([]byte, size)
		b.order.PutUint32(desc[at[0]:], 77)
		copy(desc[at[1]:], "qemu -m 64 ")
		b.thread(78, 6)
		b.note("CORE", ntPRPSInfo, desc)
		p := parseBytes(t, b.bytes(), Options{})
		if p.PID() != 77 || !slices.Equal(p.Command(), []string{"qemu", "-m", "64"}) {
			t.Errorf("%d bytes: pid %d, %q", size, p.PID(), p.Command())
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, class := range []elf.Class{elf.ELFCLASS64, elf.ELFCLASS32} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			b := sample(class, order).bytes()
			f.Add(b)
			f.Add(b[:len(b)-0x900])
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parse(bytes.NewReader(raw), int64(len(raw)), Options{})
		if err != nil {
			return
		}
		if len(p.Threads()) == 0 {
			t.Fatal("a process without threads")
		}
		p.Command()
		last := addr.HVA(0)
		for _, e := range p.Mappings().Extents() {
			if e.Addr < last || e.End() <= e.Addr {
				t.Fatalf("extent %+v after %#x", e, last)
			}
			last = e.End()
			got := make([]byte, min(e.Size, 64))
			n, err := p.ReadAt(got, int64(e.Addr))
			if n < len(got) != (err != nil) {
				t.Fatalf("%d of %d bytes and error %v", n, len(got), err)
			}
			if e.Kind == extent.Data {
				at := e.Off.Offset()
				if n != len(got) || !bytes.Equal(got, raw[at:at+int64(n)]) {
					t.Fatalf("%+v is not what the file has there", e)
				}
			}
		}
	})
}
