package qemu

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"
	"time"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// clone is a fake that may be changed on its own.
func (f *fake) clone(t testing.TB) *fake {
	c := *f
	c.t = t
	c.data, c.heap = slices.Clone(f.data), slices.Clone(f.heap)
	c.maps = f.maps.Clone()
	c.types = maps.Clone(f.types)
	return &c
}

// damage writes over a fake's data and heap, four bytes of the recipe a time:
// where (in words of eight bytes), what kind of value, which value.
func (f *fake) damage(recipe []byte) {
	words := (len(f.data) + len(f.heap)) / 8
	for ; len(recipe) >= 4; recipe = recipe[4:] {
		at := addr.HVA(binary.LittleEndian.Uint16(recipe)) % addr.HVA(words) * 8
		a := fakeData + at
		if n := addr.HVA(len(f.data)); at >= n {
			a = fakeHeap + at - n
		}
		v := uint64(recipe[3])
		switch recipe[2] % 8 {
		case 0: // a byte
			f.bytes(a)[v%8] ^= recipe[2] | 1
			continue
		case 1: // a small number
		case 2: // a large one
			v <<= recipe[2] / 8 * 2
		case 3: // a negative one
			v = -v
		case 4: // a pointer into the heap
			v = uint64(fakeHeap) + v*64%uint64(len(f.heap))
		case 5: // a pointer into guest memory
			v = uint64(fakeRAM) + v*fakePage
		case 6: // what stands somewhere else
			v = f.word(fakeHeap + addr.HVA(v)*8%addr.HVA(len(f.heap)-8))
		case 7: // the same plus a little
			v += f.word(a)
		}
		f.put(a, v)
	}
}

// However a process's memory is damaged, a VM is refused or consistent, and
// soon.
func FuzzDamagedProcess(f *testing.F) {
	all := versions(f)
	fakes := make([]*fake, len(all))
	for i, version := range all {
		fakes[i] = newFake(f, version)
		fakes[i].discard(i%2 == 0)
	}
	f.Add(byte(0), true, []byte{})
	for i := range byte(8) {
		f.Add(i*3, i%2 == 0, []byte{0x10, 0x08, i, 1, 0x80, 0x09, i + 8, 3})
	}
	f.Fuzz(func(t *testing.T, version byte, symbol bool, recipe []byte) {
		p := fakes[int(version)%len(fakes)].clone(t)
		if len(recipe) > 0 && recipe[0]&1 != 0 { // part of RAM is not in the core
			p.insert(fakeRAM+0x20000, 0x30000, 0, []extent.Kind{extent.Omitted, extent.Lost}[recipe[0]>>1&1])
		}
		p.damage(recipe)
		start := time.Now()
		defer func() {
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("it took %v", d)
			}
		}()
		vm, err := Open(p.source(symbol))
		if err != nil {
			return
		}
		vm.Machine()
		m, err := vm.Guest("X86_64")
		if err != nil {
			return
		}
		checkImage(t, p, m)
		for _, b := range vm.RAMBlocks() {
			if b.Data+b.Zero+b.Absent != b.UsedLength {
				t.Errorf("block %q of %#x bytes: %#x data, %#x zero, %#x absent", b.Name, b.UsedLength, b.Data, b.Zero, b.Absent)
			}
			if (b.Absent > 0) != (len(b.Why()) > 0) {
				t.Errorf("block %q: %#x bytes absent because of %q", b.Name, b.Absent, b.Why())
			}
		}
	})
}

// checkImage holds an image against what a dump relies on, and against the
// process.
func checkImage(t *testing.T, p *fake, m *guest.Machine) {
	t.Helper()
	missing := &extent.Map[addr.GPA, addr.FileOff]{}
	for _, x := range m.Missing {
		if err := missing.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: x.Addr, Size: x.Size, Kind: extent.Lost}); err != nil {
			t.Errorf("missing %+v: %v", x, err)
		}
		if x.Reason == "" {
			t.Errorf("missing %+v: no reason", x)
		}
	}
	covered := uint64(0)
	end := addr.GPA(0)
	for i, r := range m.Image.Ranges {
		if r.Size == 0 || r.End() < r.Addr || i > 0 && r.Addr < end {
			t.Fatalf("range %d is %+v, the last one ends at %#x", i, r, uint64(end))
		}
		end = r.End()
		at := r.Addr
		for _, e := range m.Image.Map.Clip(r.Addr, r.Size) {
			if e.Addr != at {
				t.Fatalf("nothing maps guest memory at %#x", uint64(at))
			}
			at = e.End()
			checkExtent(t, p, e, r.Host+addr.HVA(e.Addr-r.Addr), missing)
		}
		if at != r.End() {
			t.Fatalf("nothing maps guest memory at %#x", uint64(at))
		}
		covered += r.Size
	}
	total := uint64(0)
	for _, e := range m.Image.Map.Extents() {
		total += e.Size
	}
	if total != covered {
		t.Errorf("%#x bytes are mapped, the ranges have %#x", total, covered)
	}
}

// checkExtent holds one extent of guest memory against the memory of the
// process at host.
func checkExtent(t *testing.T, p *fake, e extent.Extent[addr.GPA, addr.FileOff], host addr.HVA, missing *extent.Map[addr.GPA, addr.FileOff]) {
	t.Helper()
	want := p.maps.Clip(host, e.Size)
	switch {
	case !e.Kind.Present():
		size := uint64(0)
		for _, x := range missing.Clip(e.Addr, e.Size) {
			size += x.Size
		}
		if size != e.Size {
			t.Errorf("%#x bytes at %#x are absent, %#x of them with a reason", e.Size, uint64(e.Addr), size)
		}
	case e.Kind == extent.Zero:
		size := uint64(0)
		for _, x := range want {
			if x.Kind != extent.Omitted {
				t.Errorf("zeros at %#x, the process has %+v", uint64(e.Addr), x)
			}
			size += x.Size
		}
		if size != e.Size {
			t.Errorf("zeros at %#x, which is not mapped at %#x", uint64(e.Addr), uint64(host))
		}
	case len(want) != 1 || want[0].Kind != extent.Data || want[0].Off != e.Off || want[0].Size != e.Size:
		t.Errorf("data at %#x from %v, the process has %+v", uint64(e.Addr), e.Off, want)
	}
}
