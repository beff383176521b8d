// Package dumptest makes guests of which each byte is known, for the tests of
// package dump and of the formats below it.
package dumptest

import (
	"os"
	"path/filepath"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Kind is how a part of a guest's memory is stored.
type Kind int

const (
	Data   Kind = iota // in a file
	Hole               // in a file, where that has a hole
	Zeros              // in a file, which stores zeros there
	Zero               // known to be zero, in no file
	Absent             // left out of the source
	Lost               // behind the end of the source
)

// Part is a part of a guest's memory. A part that begins where the last one
// ended belongs to the same range, unless Split.
type Part struct {
	Addr  addr.GPA
	Size  uint64 // bytes
	Kind  Kind
	Split bool
}

// Byte is what a guest has at an address where its memory is Data: never 0,
// so that a zero is a mistake, and different from page to page.
func Byte(a addr.GPA) byte {
	x := uint64(a)*0x9e3779b97f4a7c15 + 1
	return byte(1 + (x>>40)%255)
}

// Want is what a dump of the parts has to give for the n bytes at a.
func Want(parts []Part, a addr.GPA, n uint64) []byte {
	p := make([]byte, n)
	for _, x := range parts {
		if x.Kind != Data {
			continue
		}
		for at, end := max(x.Addr, a), min(x.Addr+addr.GPA(x.Size), a+addr.GPA(n)); at < end; at++ {
			p[at-a] = Byte(at)
		}
	}
	return p
}

// Machine is a machine with the memory that the parts, in the order of their
// addresses, say. What it stores is in two files in dir, at page boundaries
// and in the reverse order of the addresses.
func Machine(t testing.TB, dir string, g arch.Guest, parts ...Part) *guest.Machine {
	t.Helper()
	im := &guest.Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}}
	for _, name := range []string{"core", "ram"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		im.Files = append(im.Files, f)
	}
	m := &guest.Machine{Arch: g, Image: im}
	for _, x := range parts {
		if n := len(im.Ranges); n > 0 && im.Ranges[n-1].End() == x.Addr && !x.Split {
			im.Ranges[n-1].Size += x.Size
		} else {
			im.Ranges = append(im.Ranges, guest.Range{Addr: x.Addr, Size: x.Size, Host: 0x7f0000000000 + addr.HVA(x.Addr)})
		}
	}
	var end [2]int64 // of the files
	extents := make([]extent.Extent[addr.GPA, addr.FileOff], len(parts))
	for i := len(parts) - 1; i >= 0; i-- {
		x, file := parts[i], i%2
		e := extent.Extent[addr.GPA, addr.FileOff]{Addr: x.Addr, Size: x.Size}
		switch x.Kind {
		case Data, Hole, Zeros:
			e.Off = addr.InFile(file, end[file])
			if x.Kind != Hole {
				store(t, im.Files[file].(*os.File), end[file], x)
			}
			end[file] += int64(x.Size)
			if err := im.Files[file].(*os.File).Truncate(end[file]); err != nil {
				t.Fatal(err)
			}
			end[file] = (end[file] + 4095) &^ 4095
		case Zero:
			e.Kind = extent.Zero
		case Absent, Lost:
			e.Kind = map[Kind]extent.Kind{Absent: extent.Omitted, Lost: extent.Lost}[x.Kind]
		}
		extents[i] = e
	}
	for _, e := range extents {
		if err := im.Map.Insert(e); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func store(t testing.TB, f *os.File, off int64, x Part) {
	t.Helper()
	buf := make([]byte, min(x.Size, 1<<20))
	for done := uint64(0); done < x.Size; {
		part := buf[:min(uint64(len(buf)), x.Size-done)]
		for i := range part {
			if x.Kind == Zeros {
				break
			}
			part[i] = Byte(x.Addr + addr.GPA(done) + addr.GPA(i))
		}
		if _, err := f.WriteAt(part, off+int64(done)); err != nil {
			t.Fatal(err)
		}
		done += uint64(len(part))
	}
}
