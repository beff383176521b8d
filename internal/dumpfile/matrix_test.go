package dumpfile_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/lime"
	"guestcore/internal/dump/raw"
	"guestcore/internal/dumpfile"
	"guestcore/internal/verify"
)

// randomGuest is the memory of a guest: some parts of every kind, with gaps
// between some. In front of a gap a part may end inside a page; what is absent
// is whole pages, as a kdump file lacks no others.
func randomGuest(r *rand.Rand) []dumptest.Part {
	parts := []dumptest.Part{{Addr: 0x1000 * addr.GPA(r.IntN(3)), Size: 0x1000}}
	for range 3 + r.IntN(9) {
		last := parts[len(parts)-1]
		x := dumptest.Part{
			Addr: last.Addr + addr.GPA(last.Size), Size: 0x1000 * (1 + r.Uint64N(5)),
			Kind: []dumptest.Kind{dumptest.Data, dumptest.Data, dumptest.Hole, dumptest.Zeros, dumptest.Zero, dumptest.Absent}[r.IntN(6)],
		}
		switch r.IntN(4) {
		case 0:
			x.Addr += 0x1000 * addr.GPA(1+r.IntN(300))
			if last.Kind != dumptest.Absent {
				parts[len(parts)-1].Size -= 0x200 * r.Uint64N(8)
			}
		case 1:
			x.Split = true
		}
		parts = append(parts, x)
	}
	return parts
}

// Every format is converted to every one, and back: each of the three files has
// all of the guest's memory that was there, byte for byte.
func TestConvertMatrix(t *testing.T) {
	all := append(writers(), writer{"lime", lime.Format{}, dump.Options{}}, writer{"raw", raw.Format{}, dump.Options{}})
	for seed := range uint64(2) {
		parts := randomGuest(rand.New(rand.NewPCG(6, seed)))
		m := machine(t, arch.Guests[2], parts)
		core, _ := verify.OfMachine("core", m)
		opened := func(w writer, from *dumpfile.File) *dumpfile.File {
			of := m
			if from != nil {
				var err error
				if of, err = from.Guest("X86_64"); err != nil {
					t.Fatal(err)
				}
			}
			path := write(t, w, of)
			if w.name == "raw" {
				path = "raw:" + path
			}
			f, err := dumpfile.OpenNamed(path)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		same := func(f *dumpfile.File, way ...string) {
			t.Helper()
			s := source(f)
			if !slices.Equal(verify.Common(core.Spans(), s.Spans()), core.Spans()) {
				t.Errorf("%d: %q: memory in %v, not in %v: %+v", seed, way, s.Spans(), core.Spans(), parts)
			} else if res := check(t, core, s); !res.OK() {
				t.Errorf("%d: %q: %+v, %+v: %+v", seed, way, res.Faults, res.Difference, parts)
			}
		}
		for _, a := range all {
			first := opened(a, nil)
			same(first, a.name)
			for _, b := range all {
				second := opened(b, first)
				third := opened(a, second)
				same(second, a.name, b.name)
				same(third, a.name, b.name, a.name)
				second.Close()
				third.Close()
			}
			first.Close()
		}
	}
}
