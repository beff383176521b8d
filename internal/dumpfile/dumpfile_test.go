package dumpfile_test

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/kdump"
	"guestcore/internal/dump/vbox"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/dumpfile"
	"guestcore/internal/guest"
	"guestcore/internal/verify"
)

// guests are the memories of small guests. They have whole pages of 4 KiB, as
// a kdump file has no others.
var guests = map[string][]dumptest.Part{
	"one page": {{Addr: 0, Size: 0x1000}},
	"a PC": {
		{Addr: 0, Size: 0xa0000},
		{Addr: 0xc0000, Size: 0x20000, Kind: dumptest.Hole},
		{Addr: 0xe0000, Size: 0x3000},
		{Addr: 0xe3000, Size: 0x5000, Kind: dumptest.Zero},
		{Addr: 0xe8000, Size: 2 << 20},
		{Addr: 1 << 32, Size: 0x10000},
	},
	"with gaps": {
		{Addr: 0x40000000, Size: 0x20000},
		{Addr: 0x40020000, Size: 0x7000, Kind: dumptest.Absent},
		{Addr: 0x40027000, Size: 0x9000},
		{Addr: 0x40030000, Size: 0x1000, Kind: dumptest.Lost},
		{Addr: 0x40031000, Size: 0x2000, Split: true},
	},
}

// writer is a way of writing a dump.
type writer struct {
	name string
	dump.Format
	dump.Options
}

func writers() []writer {
	all := []writer{{"elf", vmcore.Format{}, dump.Options{}}}
	for _, f := range append(kdump.Formats(), vbox.Formats()...) {
		all = append(all, writer{f.Name(), f, dump.Options{}})
	}
	return append(all, writer{"flattened", kdump.Formats()[0], dump.Options{Flattened: true}})
}

// writes reports whether a writer is for guests of an architecture.
func (w writer) writes(g arch.Guest) bool {
	return !strings.HasPrefix(w.name, "vbox") || g.Machine == elf.EM_X86_64 || g.Machine == elf.EM_386
}

// write writes a dump of m and returns its path.
func write(t *testing.T, w writer, m *guest.Machine) string {
	t.Helper()
	w.Partial = true
	job, err := w.Plan(m, w.Options)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dump")
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// machine is a guest of which two pages of three can be compressed.
func machine(t *testing.T, g arch.Guest, parts []dumptest.Part) *guest.Machine {
	t.Helper()
	m := dumptest.Machine(t, t.TempDir(), g, parts...)
	for _, x := range parts {
		for a := x.Addr; x.Kind == dumptest.Data && a < x.Addr+addr.GPA(x.Size); a += 4096 {
			if a>>12%3 == 0 {
				continue
			}
			e, _ := m.Image.Map.Find(a)
			at := e.Off + addr.FileOff(a-e.Addr)
			var page []byte
			for i := range addr.GPA(256) {
				page = fmt.Appendf(page, "%15d\n", uint64(a+i)*uint64(a+i)%1e15)
			}
			if _, err := m.Image.Files[at.File()].(*os.File).WriteAt(page, at.Offset()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

func open(t *testing.T, path string) *dumpfile.File {
	t.Helper()
	f, err := dumpfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func source(f *dumpfile.File) *verify.Source {
	return &verify.Source{Name: f.Path, Memory: f, Ranges: f.Ranges, Block: f.Block}
}

// check reads what both sources have, and wants no fault.
func check(t *testing.T, a, b *verify.Source) *verify.Result {
	t.Helper()
	res, err := verify.Run(t.Context(), verify.Common(a.Spans(), b.Spans()), dump.NoProgress{}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Every writer's file, read by the reader, is the guest; and every format has
// the same digest.
func TestRoundTrip(t *testing.T) {
	for name, parts := range guests {
		for _, g := range arch.Guests {
			if name == "a PC" && g.Name != "X86_64" {
				continue // it is large
			}
			m := machine(t, g, parts)
			core, absent := verify.OfMachine("core", m)
			digest := ""
			for _, w := range writers() {
				if !w.writes(g) {
					continue
				}
				t.Run(name+"/"+g.Name+"/"+w.name, func(t *testing.T) {
					f := open(t, write(t, w, m))
					dump := source(f)
					if f.Order != g.Order || f.Class != g.Class && f.Class != 2 || len(f.Problems)+len(f.Lost) != 0 {
						t.Errorf("%s: %+v, %+v", f.Format, f.Problems, f.Lost)
					}
					if f.Block <= 4096 {
						if fmt.Sprint(dump.Spans()) != fmt.Sprint(core.Spans()) {
							t.Errorf("the file has %v, the guest %v", dump.Spans(), core.Spans())
						}
						if len(f.Absent) != len(absent) {
							t.Errorf("the file lacks %v, the guest %v", f.Absent, absent)
						}
					}
					res := check(t, core, dump)
					if !res.OK() {
						t.Errorf("%+v, %+v", res.Faults, res.Difference)
					}
					if f.Block > 4096 { // it has other memory
						return
					}
					if got := res.Digests[1].All.String(); digest == "" {
						digest = got
					} else if got != digest {
						t.Errorf("digest %s, others have %s", got, digest)
					}
				})
			}
		}
	}
}

// A byte damaged anywhere in the stored memory is found, and where it is said.
func TestDamagedMemory(t *testing.T) {
	m := machine(t, arch.Guests[2], guests["a PC"])
	core, _ := verify.OfMachine("core", m)
	r := rand.New(rand.NewPCG(1, 2))
	const times = 15
	for _, w := range writers() {
		if w.Flattened { // where a page is in it is not said
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			path := write(t, w, m)
			f := open(t, path)
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			found := 0
			for range times {
				s := core.Spans()[r.IntN(len(core.Spans()))]
				a := s.Start + addr.GPA(r.Uint64N(s.Size()))
				page, n := stored(t, f.Where(a))
				var was [1]byte
				at := page + r.Int64N(n)
				if _, err := file.ReadAt(was[:], at); err != nil {
					t.Fatal(err)
				}
				if _, err := file.WriteAt([]byte{was[0] ^ 1<<r.IntN(8)}, at); err != nil {
					t.Fatal(err)
				}
				res := check(t, core, source(open(t, path)))
				if !res.OK() {
					found++
					first := res.Difference.Addr
					if res.Difference.Pages == 0 {
						first = res.Faults[1].Addr
					}
					if got, _ := stored(t, f.Where(first)); got != page {
						t.Errorf("damage at offset %#x, of memory at %v, is found at %v: %+v", at, a, first, res)
					}
				}
				if _, err := file.WriteAt(was[:], at); err != nil {
					t.Fatal(err)
				}
			}
			// Some bits of a compressed page mean nothing.
			if found < times && w.name == "elf" || found < times-4 {
				t.Errorf("%d of %d were found", found, times)
			}
		})
	}
}

// stored reads what Where says: an offset in the file, and how many bytes.
func stored(t *testing.T, where string) (off, n int64) {
	t.Helper()
	if _, err := fmt.Sscanf(where, "offset %v of", &off); err == nil {
		return off, 1
	}
	var in int64
	if _, err := fmt.Sscanf(where, "byte %v of the page at offset %v (%d bytes", &in, &off, &n); err != nil {
		t.Fatalf("%q: %v", where, err)
	}
	return off, n
}

// A file that is cut says what it lacks, or that it cannot be read.
func TestCut(t *testing.T) {
	m := machine(t, arch.Guests[2], guests["a PC"])
	for _, w := range writers() {
		path := write(t, w, m)
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, fi.Size()-5); err != nil {
			t.Fatal(err)
		}
		f, err := dumpfile.Open(path)
		if err != nil {
			if !strings.Contains(err.Error(), "offset 0x") {
				t.Errorf("%s: %v", w.name, err)
			}
			continue
		}
		defer f.Close()
		res, err := verify.Run(t.Context(), source(f).Spans(), dump.NoProgress{}, source(f))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Lost) == 0 && len(f.Problems) == 0 && res.OK() {
			t.Errorf("%s: nothing is found", w.name)
		}
		if w.name == "elf" && (len(f.Lost) != 1 || f.Lost[0].Addr != 1<<32+0x10000-5 || f.Lost[0].Size != 5) {
			t.Errorf("lost: %+v", f.Lost)
		}
	}
}

func TestNotDump(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, path := range []string{file("empty", nil), file("text", []byte("hello, world")), file("elf", []byte("\x7fELF")), os.Args[0], dir, os.DevNull, file("kdump", []byte("KDUMP"))} {
		if _, err := dumpfile.Open(path); !errors.Is(err, dumpfile.ErrNotDump) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := dumpfile.Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	b := make([]byte, 64+56)
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[32], b[54], b[56] = 4, 62, 64, 56, 1
	auxv := binary.LittleEndian.AppendUint32(nil, 5)
	auxv = binary.LittleEndian.AppendUint32(auxv, 4)
	auxv = append(binary.LittleEndian.AppendUint32(auxv, 6), "CORE\x00\x00\x00\x00auxv"...)
	b[64], b[64+8], b[64+32], b[64+40] = 4, byte(len(b)), byte(len(auxv)), byte(len(auxv))
	if _, err := dumpfile.Open(file("process", append(b, auxv...))); !errors.Is(err, dumpfile.ErrProcess) {
		t.Errorf("%v", err)
	}
}
