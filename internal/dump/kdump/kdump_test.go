package kdump

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/kdumpfile"
	"guestcore/internal/dump/note"
	"guestcore/internal/guest"
)

// pc is the memory of a small PC: low memory with all kinds of zeros in it,
// the ROM below 4 GiB.
var pc = []dumptest.Part{
	{Addr: 0, Size: 0xa0000},
	{Addr: 0xc0000, Size: 0x20000, Kind: dumptest.Hole},
	{Addr: 0xe0000, Size: 0x3000},
	{Addr: 0xe3000, Size: 0x5000, Kind: dumptest.Zero},
	{Addr: 0xe8000, Size: 0x8800},
	{Addr: 0xf0800, Size: 0x200000, Kind: dumptest.Hole},
	{Addr: 0x2f0800, Size: 0x800},
}

var rom = dumptest.Part{Addr: 0xfffc0000, Size: 0x40000}

func guestArch(t testing.TB, name string) arch.Guest {
	t.Helper()
	g, err := arch.GuestByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func format(t testing.TB, name string) dump.Format {
	t.Helper()
	f, err := dump.Table(Formats()).Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// counter counts progress.
type counter struct{ total, done atomic.Int64 }

func (c *counter) Start(n int64) { c.total.Store(n) }
func (c *counter) Add(n int64)   { c.done.Add(n) }

// write dumps m to a file and opens that with the reader.
func write(t testing.TB, m *guest.Machine, name string, o dump.Options) (*kdumpfile.File, dump.Summary) {
	t.Helper()
	job, err := format(t, name).Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vmcore")
	var progress counter
	s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	plan := job.Plan()
	if progress.done.Load() != plan.Memory || progress.total.Load() != plan.Memory || s.Memory != plan.Memory {
		t.Errorf("progress %d of %d, summary %d, planned %d", progress.done.Load(), progress.total.Load(), s.Memory, plan.Memory)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != s.Size || !o.Flattened && (s.Size > plan.Size || s.Size < plan.Space) {
		t.Errorf("file is %v (%v), summary says %d, planned were %d to %d", fi.Size(), err, s.Size, plan.Space, plan.Size)
	}
	return open(t, path), s
}

func open(t testing.TB, path string) *kdumpfile.File {
	t.Helper()
	f, err := kdumpfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// check holds the memory in a file against the parts that the guest was made
// of: the ranges, cut to pages, and each byte of them.
func check(t testing.TB, f *kdumpfile.File, ranges []kdumpfile.Range, parts []dumptest.Part) {
	t.Helper()
	if diff := cmp.Diff(ranges, f.Ranges()); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
	for _, r := range f.Ranges() {
		got := make([]byte, r.End-r.Addr)
		if n, err := f.ReadAt(got, int64(r.Addr)); err != nil {
			t.Fatalf("%d bytes, then %v", n, err)
		}
		want := dumptest.Want(parts, addr.GPA(r.Addr), uint64(len(got)))
		if !bytes.Equal(got, want) {
			t.Errorf("%#x-%#x: wrong bytes", r.Addr, r.End)
		}
	}
}

const kernelInfo = "OSRELEASE=6.1.0-test\nBUILD-ID=00\nPAGESIZE=4096\nNUMBER(phys_base)=557842432\nNUMBER(PHYS_OFFSET)=0x40000000\n"

func TestEveryArch(t *testing.T) {
	machines := map[string]string{
		"aarch64-be": "aarch64_be", "aarch64-le": "aarch64", "X86_64": "x86_64", "386": "i686",
		"s390": "s390x", "ppc64-be": "ppc64", "ppc64-le": "ppc64le",
		"arm": "armv7l", "arm-be": "armv7b", "riscv64": "riscv64", "riscv32": "riscv32", "loongarch64": "loongarch64",
	}
	base := map[elf.Machine]uint64{elf.EM_X86_64: 557842432, elf.EM_AARCH64: 0x40000000}
	for _, g := range arch.Guests {
		for _, m := range methods {
			t.Run(g.Name+" "+m.name, func(t *testing.T) {
				machine := dumptest.Machine(t, t.TempDir(), g, pc...)
				machine.CPUs = []guest.CPU{{Index: 0}, {Index: 1}, {Index: 2}} // without registers: no notes
				machine.VMCoreInfo = note.Append(nil, g.Order, "VMCOREINFO", 0, []byte(kernelInfo))
				f, _ := write(t, machine, "kdump-"+m.name, dump.Options{Creator: "guestcore test"})
				check(t, f, []kdumpfile.Range{{Addr: 0, End: 0xa0000}, {Addr: 0xc0000, End: 0x2f1000}}, pc)
				if p, err := f.Page(0x2f0); err != nil || p.Flags != m.flag || p.Size >= 4096 { // half of it is zero
					t.Errorf("page 0x2f0 is not compressed: %+v, %v", p, err)
				}
				want := kdumpfile.Header{
					Class: g.Class, Order: g.Order, Compressed: m.flag, BlockSize: 4096, CPUs: 3, DumpLevel: 1, MaxPage: 0x2f1,
					UTS: [6]string{"Linux", "(none)", "6.1.0-test", "unknown", machines[g.Name], "(none)"}, PhysBase: base[g.Machine],
				}
				if f.Header != want {
					t.Errorf("header\n%+v, want\n%+v", f.Header, want)
				}
				info, err := f.VMCoreInfo()
				if err != nil || string(info) != kernelInfo {
					t.Errorf("VMCOREINFO %q, %v", info, err)
				}
				notes, err := f.Notes()
				wantNotes := note.Append(bytes.Clone(machine.VMCoreInfo), g.Order, "GUESTCORE", 0, []byte("CREATOR=guestcore test\nCPU0=unknown\nCPU1=unknown\nCPU2=unknown\n"))
				if err != nil || !bytes.Equal(notes, wantNotes) {
					t.Errorf("notes %q, want %q: %v", notes, wantNotes, err)
				}
			})
		}
	}
}

// TestHeaderBytes holds the first block against what crash's headers say of
// it, at fixed offsets.
func TestHeaderBytes(t *testing.T) {
	for _, tt := range []struct {
		arch             string
		main             int // offset of the status
		words            []uint32
		noteAt, noteSize int // offsets of the two in the sub header
		noteOff          uint64
	}{
		{"X86_64", 424, []uint32{1, 4096, 1, 2, 0x2f1, 0, 0, 0, 0, 1}, 48, 56, 4096 + 104},
		{"386", 412, []uint32{1, 4096, 1, 2, 0x2f1, 0, 0, 0, 0, 1}, 32, 40, 4096 + 80},
		{"s390", 424, []uint32{1, 4096, 1, 2, 0x2f1, 0, 0, 0, 0, 1}, 48, 56, 4096 + 104},
	} {
		t.Run(tt.arch, func(t *testing.T) {
			g := guestArch(t, tt.arch)
			_, s := write(t, dumptest.Machine(t, t.TempDir(), g, pc...), "kdump-zlib", dump.Options{})
			raw, err := os.ReadFile(s.Path)
			if err != nil {
				t.Fatal(err)
			}
			if string(raw[:8]) != "KDUMP   " || g.Order.Uint32(raw[8:]) != 6 {
				t.Errorf("begins with %q", raw[:12])
			}
			for i, want := range tt.words {
				if got := g.Order.Uint32(raw[tt.main+4*i:]); got != want {
					t.Errorf("word %d is %d, want %d", i, got, want)
				}
			}
			if off := g.Order.Uint64(raw[4096+tt.noteAt:]); off != tt.noteOff {
				t.Errorf("notes at %#x, want %#x", off, tt.noteOff)
			}
			// Behind two blocks of headers and two bitmaps: the descriptor of
			// page 0, whose data are behind the page of zeros.
			descs := raw[4*4096:]
			const pages = 0xa0 + 0x2f1 - 0xc0
			if off := g.Order.Uint64(descs); off != 4*4096+pages*24+4096 {
				t.Errorf("page 0 at %#x", off)
			}
			zero := descs[0xa0*24:] // page 0xc0 is a hole
			if off, size, flags := g.Order.Uint64(zero), g.Order.Uint32(zero[8:]), g.Order.Uint32(zero[12:]); off != 4*4096+pages*24 || size != 4096 || flags != 0 {
				t.Errorf("a page of zeros at %#x, size %d, flags %d", off, size, flags)
			}
		})
	}
}

// TestZeroPagesAreShared counts what descriptors point to.
func TestZeroPagesAreShared(t *testing.T) {
	zero := make([]byte, 8192) // zeros that only reading finds
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), pc...)
	e, ok := m.Image.Map.Find(0x10000)
	if !ok {
		t.Fatal("no memory")
	}
	w, err := os.OpenFile(m.Image.Files[e.Off.File()].Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteAt(zero, e.Off.Offset()+0x10000); err != nil {
		t.Fatal(err)
	}
	f, _ := write(t, m, "kdump-lzo", dump.Options{})
	at := map[int64][]int64{}
	for page := range f.MaxPage {
		if p, err := f.Page(page); err == nil {
			at[p.Off] = append(at[p.Off], page)
		}
	}
	var want []int64 // the pages that are all zero
	for page := range f.MaxPage {
		hole := page >= 0xc0 && page < 0xe0 || page >= 0xe3 && page < 0xe8 || page >= 0xf1 && page < 0x2f0
		if page == 0x10 || page == 0x11 || hole {
			want = append(want, page)
		}
	}
	for off, pages := range at {
		if len(pages) > 1 && !slices.Equal(pages, want) {
			t.Errorf("at %#x are the pages %#x", off, pages)
		}
	}
	if n := int64(len(at)); n != f.Pages()-int64(len(want))+1 {
		t.Errorf("%d pages stored of %d, %d are zero", n, f.Pages(), len(want))
	}
}

// TestFlattened takes both ways to the flattened form, whose records have to
// make the raw one.
func TestFlattened(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), pc...)
	_, raw := write(t, m, "kdump-snappy", dump.Options{})
	flat, s := write(t, m, "kdump-raw-snappy", dump.Options{Flattened: true})
	if !flat.Flattened {
		t.Error("it is not flattened")
	}
	check(t, flat, []kdumpfile.Range{{Addr: 0, End: 0xa0000}, {Addr: 0xc0000, End: 0x2f1000}}, pc)

	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	piped := make(chan []byte)
	go func() {
		b, _ := os.ReadFile(pipe)
		piped <- b
	}()
	job, err := format(t, "kdump-snappy").Plan(m, dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dump.ToFile(t.Context(), job, pipe, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.Path)
	if got := <-piped; err != nil || !bytes.Equal(got, file) {
		t.Errorf("a pipe gets %d bytes, a file %d: %v", len(got), len(file), err)
	}
	want, err := os.ReadFile(raw.Path)
	if err != nil {
		t.Fatal(err)
	}
	if got := unflatten(t, file); !bytes.Equal(got, want) {
		t.Errorf("unflattened it has %d bytes, the raw form %d", len(got), len(want))
	}
}

// unflatten applies the records one after the other.
func unflatten(t *testing.T, b []byte) []byte {
	t.Helper()
	var out []byte
	for b = b[4096:]; ; {
		off, n := int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))
		b = b[16:]
		if off == -1 && n == -1 {
			break
		}
		if end := off + n; end > int64(len(out)) {
			out = append(out, make([]byte, end-int64(len(out)))...)
		}
		copy(out[off:], b[:n])
		b = b[n:]
	}
	if len(b) != 0 {
		t.Errorf("%d bytes behind the last record", len(b))
	}
	return out
}

func TestBlockSize(t *testing.T) {
	for _, tt := range []struct {
		name, arch, info string
		want             int64
	}{
		{"by the kernel", "aarch64-le", "OSRELEASE=6\nPAGESIZE=16384\n", 16384},
		{"Arm's largest", "aarch64-le", "", 65536},
		{"POWER's largest", "ppc64-be", "", 65536},
		{"nonsense", "X86_64", "OSRELEASE=6\nPAGESIZE=12345\n", 4096},
		{"too large", "X86_64", "OSRELEASE=6\nPAGESIZE=1048576\n", 4096},
		{"none", "s390", "", 4096},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := guestArch(t, tt.arch)
			m := dumptest.Machine(t, t.TempDir(), g, pc...)
			if tt.info != "" {
				m.VMCoreInfo = note.Append(nil, g.Order, "VMCOREINFO", 0, []byte(tt.info))
			}
			f, _ := write(t, m, "kdump-zstd", dump.Options{})
			if f.BlockSize != tt.want {
				t.Errorf("%d, want %d", f.BlockSize, tt.want)
			}
			end := (0x2f1000 + uint64(tt.want) - 1) / uint64(tt.want) * uint64(tt.want)
			check(t, f, []kdumpfile.Range{{Addr: 0, End: 0xa0000}, {Addr: 0xc0000, End: end}}, pc)
		})
	}
}

// TestROM leaves out the ROM behind the end of RAM, and no other.
func TestROM(t *testing.T) {
	g := guestArch(t, "X86_64")
	above := dumptest.Part{Addr: 1 << 32, Size: 0x10000}
	low := kdumpfile.Range{Addr: 0, End: 0xa0000}
	for _, tt := range []struct {
		name  string
		parts []dumptest.Part
		want  []kdumpfile.Range
		said  string
	}{
		{"behind RAM", []dumptest.Part{pc[0], rom}, []kdumpfile.Range{low}, "0xfffc0000-0x100000000"},
		{"between RAM", []dumptest.Part{pc[0], rom, above}, []kdumpfile.Range{low, {Addr: 0xfffc0000, End: 0x100010000}}, ""},
		{"nothing else", []dumptest.Part{rom}, []kdumpfile.Range{{Addr: 0xfffc0000, End: 0x100000000}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts := slices.Clone(tt.parts)
			for i := range parts {
				parts[i].Split = true
			}
			m := dumptest.Machine(t, t.TempDir(), g, parts...)
			for i := range m.Image.Ranges {
				m.Image.Ranges[i].ROM = m.Image.Ranges[i].Addr == rom.Addr
			}
			f, s := write(t, m, "kdump-zlib", dump.Options{})
			check(t, f, tt.want, parts)
			remarks := strings.Join(s.Remarks, "\n")
			if told := strings.Contains(remarks, "ROM"); told != (tt.said != "") || !strings.Contains(remarks, tt.said) {
				t.Errorf("remarks %q, want %q", remarks, tt.said)
			}
		})
	}
}

// TestPartial has absent pages in the first bitmap alone, together with
// neighbours that would share a page with them.
func TestPartial(t *testing.T) {
	parts := []dumptest.Part{
		{Addr: 0x0000, Size: 0x20000},
		{Addr: 0x20000, Size: 0x1000, Kind: dumptest.Lost},
		{Addr: 0x21000, Size: 0x1f000},
		{Addr: 0x50000, Size: 0x8000, Kind: dumptest.Absent},
		{Addr: 0x60000, Size: 0x10000},
		{Addr: 0x100000, Size: 0x10000, Kind: dumptest.Lost},
	}
	g := guestArch(t, "aarch64-le")
	m := dumptest.Machine(t, t.TempDir(), g, parts...)
	m.Missing = []guest.Missing{{Addr: 0x20000, Size: 0x1000, Reason: "is behind the end of the core"}}
	var missing *dump.MissingError
	if _, err := format(t, "kdump-zlib").Plan(m, dump.Options{}); !errors.As(err, &missing) {
		t.Errorf("Plan: %v, want a MissingError", err)
	}
	f, s := write(t, m, "kdump-zlib", dump.Options{Partial: true})
	check(t, f, []kdumpfile.Range{{Addr: 0, End: 0x20000}, {Addr: 0x30000, End: 0x40000}, {Addr: 0x60000, End: 0x70000}}, parts)
	if diff := cmp.Diff([]kdumpfile.Range{{Addr: 0, End: 0x40000}, {Addr: 0x50000, End: 0x70000}}, f.Exist()); diff != "" {
		t.Errorf("pages that exist (-want +got):\n%s", diff)
	}
	const shares = "shares a page of 65536 bytes with memory that is absent"
	want := []guest.Missing{
		{Addr: 0x20000, Size: 0x1000, Reason: "is behind the end of the core"},
		{Addr: 0x21000, Size: 0xf000, Reason: shares},
		{Addr: 0x50000, Size: 0x8000, Reason: "is not in the source"},
		{Addr: 0x100000, Size: 0x10000, Reason: "is not in the source"},
	}
	if diff := cmp.Diff(want, s.Absent); diff != "" {
		t.Errorf("absent (-want +got):\n%s", diff)
	}
	notes, err := f.Notes()
	if err != nil || !bytes.Contains(notes, []byte("ABSENT=0x21000-0x30000 "+shares)) {
		t.Errorf("notes %q, %v", notes, err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0x20000); !errors.Is(err, kdumpfile.ErrAbsent) {
		t.Errorf("an absent page: %v", err)
	}
}

func TestOptions(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), pc...)
	for name, most := range map[string]int{"kdump-zlib": 9, "kdump-zstd": 4, "kdump-lzo": 0, "kdump-snappy": 0} {
		for _, level := range []int{-1, most + 1} {
			if _, err := format(t, name).Plan(m, dump.Options{Level: level}); err == nil || !strings.Contains(err.Error(), "level") {
				t.Errorf("%s, level %d: %v", name, level, err)
			}
		}
		for level := 1; level <= most; level++ {
			f, _ := write(t, m, name, dump.Options{Level: level})
			check(t, f, []kdumpfile.Range{{Addr: 0, End: 0xa0000}, {Addr: 0xc0000, End: 0x2f1000}}, pc)
		}
	}
}

// TestLongRanges has page numbers of more than 32 bits and bitmaps that are
// mostly empty.
func TestLongRanges(t *testing.T) {
	parts := []dumptest.Part{
		{Addr: 0, Size: 0x10000},
		{Addr: 1 << 36, Size: 4 << 30, Kind: dumptest.Hole},
		{Addr: 1 << 38, Size: 0x3000},
	}
	for _, o := range []dump.Options{{}, {Flattened: true}} {
		m := dumptest.Machine(t, t.TempDir(), guestArch(t, "s390"), parts...)
		f, s := write(t, m, "kdump-lzo", o)
		for _, a := range []int64{0, 1 << 36, 1<<36 + 4<<30 - 4096, 1 << 38} {
			got := make([]byte, 4096)
			if _, err := f.ReadAt(got, a); err != nil || !bytes.Equal(got, dumptest.Want(parts, addr.GPA(a), 4096)) {
				t.Errorf("page at %#x: wrong bytes (%v)", a, err)
			}
		}
		if most := f.Pages()*24 + 2*(1<<38/4096/8) + 1<<20; s.Size > most {
			t.Errorf("%d bytes, at most %d are right", s.Size, most)
		}
	}
}

func TestFaults(t *testing.T) {
	parts := []dumptest.Part{{Addr: 0, Size: 64 << 20}}
	machine := func(t *testing.T) *guest.Machine {
		return dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), parts...)
	}
	plan := func(t *testing.T, m *guest.Machine) dump.Job {
		job, err := format(t, "kdump-zlib").Plan(m, dump.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	run := func(ctx context.Context, t *testing.T, job dump.Job, p dump.Progress) error {
		dir := t.TempDir()
		_, err := dump.ToFile(ctx, job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, p)
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
		return err
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stop")
		if err := run(ctx, t, plan(t, machine(t)), canceller(func() { cancel(stop) })); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
	})
	t.Run("source cut", func(t *testing.T) {
		m := machine(t)
		job := plan(t, m)
		e, _ := m.Image.Map.Find(0)
		name := m.Image.Files[e.Off.File()].Name()
		if err := os.Truncate(name, e.Off.Offset()+40<<20+100); err != nil {
			t.Fatal(err)
		}
		err := run(t.Context(), t, job, nil)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "0x2800064") || !strings.Contains(err.Error(), name) {
			t.Errorf("%v", err)
		}
	})
	t.Run("sink full", func(t *testing.T) {
		job := plan(t, machine(t))
		if err := job.Run(t.Context(), fullSink{}, dump.NoProgress{}); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%v", err)
		}
	})
}

// canceller is a Progress that cancels at the first step.
type canceller func()

func (canceller) Start(int64) {}
func (c canceller) Add(int64) { c() }

// fullSink takes a megabyte.
type fullSink struct{ dump.Sink }

func (fullSink) Seekable() bool            { return true }
func (fullSink) HoleAt(off, n int64) error { return nil }
func (fullSink) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > 1<<20 {
		return 0, unix.ENOSPC
	}
	return len(p), nil
}

// FuzzPlan makes a guest out of bytes, four for a part: the gap before it and
// its size in 512 bytes, its kind, its neighbourhood. The file read back has
// to give what was put in, and to tell of every byte it lacks.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{0, 8, 0, 0, 0, 1, 1, 0, 3, 3, 2, 0, 0, 9, 3, 1, 0, 5, 4, 0, 250, 7, 0, 1}, uint8(2))
	f.Add([]byte{255, 255, 0, 0, 1, 200, 2, 0}, uint8(7))
	names := []string{"X86_64", "386", "s390", "aarch64-be"}
	f.Fuzz(func(t *testing.T, recipe []byte, pick uint8) {
		var parts []dumptest.Part
		var memory, present uint64
		for at := uint64(0); len(recipe) >= 4 && len(parts) < 40; recipe = recipe[4:] {
			at += uint64(recipe[0]) * 512
			p := dumptest.Part{Addr: addr.GPA(at), Size: (1 + uint64(recipe[1])) * 512, Kind: dumptest.Kind(recipe[2] % 5), Split: recipe[3]&1 != 0}
			at += p.Size
			parts = append(parts, p)
			memory += p.Size
			if p.Kind != dumptest.Absent && p.Kind != dumptest.Lost {
				present += p.Size
			}
		}
		m := dumptest.Machine(t, t.TempDir(), guestArch(t, names[int(pick)%len(names)]), parts...)
		all := Formats()
		job, err := all[int(pick)/4%len(all)].Plan(m, dump.Options{Partial: true, Flattened: pick&128 != 0})
		if err != nil {
			var missing *dump.MissingError
			if present > 0 && !errors.As(err, &missing) {
				t.Fatal(err)
			}
			return
		}
		s, err := dump.ToFile(t.Context(), job, filepath.Join(t.TempDir(), "vmcore"), dump.FileOptions{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		file := open(t, s.Path)
		for _, r := range file.Ranges() {
			got := make([]byte, r.End-r.Addr)
			if _, err := file.ReadAt(got, int64(r.Addr)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, dumptest.Want(parts, addr.GPA(r.Addr), uint64(len(got)))) {
				t.Fatalf("%#x-%#x: wrong bytes", r.Addr, r.End)
			}
		}
		for _, x := range s.Absent {
			memory -= x.Size
			if _, err := file.ReadAt(make([]byte, 1), int64(x.Addr)); !errors.Is(err, kdumpfile.ErrAbsent) {
				t.Fatalf("absent memory at %#x: %v", uint64(x.Addr), err)
			}
		}
		if int64(memory) != s.Memory {
			t.Fatalf("%d bytes of memory and %d in all without what is absent", s.Memory, memory)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	page := make([]byte, 4096)
	for i := range page { // like a kernel's: words that differ in their low bytes
		page[i] = byte(uint64(i/8*0x9e37) >> (i % 8 * 8))
	}
	for _, m := range methods {
		b.Run(fmt.Sprint(m.name), func(b *testing.B) {
			p, err := m.new(0)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(page)))
			var dst []byte
			for b.Loop() {
				dst = p.pack(dst[:0], page)
			}
		})
	}
}
