package notefile_test

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/note"
	"guestcore/internal/dump/notefile"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// fill sets all numbers of a value to random ones.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()))
	}
}

// states are what the notes of a processor can say, by the architecture: all
// numbers random, but for those that no note has.
func states(r *rand.Rand, g arch.Guest) []arch.State {
	switch {
	case strings.HasPrefix(g.Name, "aarch64"):
		var all []arch.State
		for _, vl := range []int{0, 16, 48, 256} {
			s := &arch.ARM64{}
			fill(r, reflect.ValueOf(s).Elem())
			s.TTBR0, s.TTBR1, s.TCR, s.SCTLR = 0, 0, 0, 0
			s.PState = s.PState&^0x1f | 5
			s.EL = 1
			if vl == 0 {
				s.AArch32, s.EL, s.PState = true, 0, s.PState|0x10
			} else {
				s.SVE = &arch.SVE{MaxVL: 256}
				for i := range s.SVE.Z {
					s.SVE.Z[i] = random(r, vl)
				}
				for i := range s.SVE.P {
					s.SVE.P[i] = random(r, vl/8)
				}
			}
			all = append(all, s)
		}
		return all
	case strings.HasPrefix(g.Name, "arm"):
		with, without := &arch.ARM{}, &arch.ARM{}
		fill(r, reflect.ValueOf(with).Elem())
		with.VFP = true
		with.TTBR0, with.TTBR1, with.TTBCR, with.SCTLR = 0, 0, 0, 0
		without.R, without.CPSR = with.R, with.CPSR
		return []arch.State{with, without}
	case strings.HasPrefix(g.Name, "riscv"):
		s := &arch.RISCV{Narrow: g.Name == "riscv32"}
		fill(r, reflect.ValueOf(s).Elem())
		s.X[0], s.SATP, s.MStatus = 0, 0, 0
		if s.Narrow {
			s.PC = uint64(uint32(s.PC))
			for i, x := range s.X {
				s.X[i] = uint64(uint32(x))
			}
		}
		return []arch.State{s}
	case strings.HasPrefix(g.Name, "ppc64"):
		s := &arch.PPC64{LittleEndian: g.Name == "ppc64-le"}
		fill(r, reflect.ValueOf(s).Elem())
		s.VRSAVE, s.ProcessTable, s.PartitionTable, s.PID = 0, 0, 0, 0 // of which there is nothing in notes
		return []arch.State{s}
	case g.Name == "s390":
		s := &arch.S390X{}
		fill(r, reflect.ValueOf(s).Elem())
		return []arch.State{s}
	case g.Name == "loongarch64":
		s := &arch.LoongArch{}
		fill(r, reflect.ValueOf(s).Elem())
		s.PC = 0
		return []arch.State{s}
	}
	var all []arch.State
	for _, long := range []bool{true, false} {
		s := &arch.X86{}
		fill(r, reflect.ValueOf(s).Elem())
		s.EFER = 0
		s.CR[0], s.CR[1], s.CR[4] = 1<<31|1, 0, 1<<5
		if s.Wide = long || g.Name == "X86_64"; long {
			s.EFER = arch.EFERLMA
		} else {
			s.CR[4] = 0
		}
		all = append(all, s)
	}
	return all
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// written are the notes that package note makes of processors.
func written(t testing.TB, g arch.Guest, cpus []guest.CPU, o dump.Options) []guest.Note {
	t.Helper()
	m := &guest.Machine{Arch: g, CPUs: cpus, Image: &guest.Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}}}
	return cut(t, g.Order, note.Of(m, &dump.Content{}, o).Bytes)
}

func cut(t testing.TB, order binary.ByteOrder, b []byte) []guest.Note {
	t.Helper()
	var notes []guest.Note
	for len(b) > 0 {
		name, size := order.Uint32(b), order.Uint32(b[4:])
		desc := 12 + (name+3)&^3
		notes = append(notes, guest.Note{Name: string(b[12 : 12+name-1]), Type: order.Uint32(b[8:]), Desc: b[desc : desc+size]})
		b = b[desc+(size+3)&^3:]
	}
	return notes
}

func labels(cpus []guest.CPU) []notefile.Label {
	var all []notefile.Label
	for _, c := range cpus {
		all = append(all, notefile.Label{Index: c.Index, Trust: c.Trust, Reason: c.Reason})
	}
	return all
}

// noPaging leaves out what leads to POWER's page tables, for which there is no
// note.
var noPaging = cmpopts.IgnoreFields(arch.PPC64{}, "ProcessTable", "PartitionTable", "PID")

// What package note writes of any registers is read back the same, with the
// processors' numbers, and written again it is the same notes.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 4))
	for _, g := range arch.Guests {
		t.Run(g.Name, func(t *testing.T) {
			for range 5 {
				var cpus []guest.CPU
				for _, s := range states(r, g) {
					cpus = append(cpus, guest.CPU{Index: 3 * len(cpus), State: s, Trust: guest.Valid})
				}
				notes := written(t, g, cpus, dump.Options{})
				if m, ok := notefile.Machine(g.Order, notes); !ok || m != g.Machine {
					t.Fatalf("the notes are taken for those of %v, %v", m, ok)
				}
				got := notefile.CPUs(g, notes, labels(cpus))
				if diff := cmp.Diff(cpus, got, cmpopts.IgnoreFields(guest.CPU{}, "Notes", "NoPaging"), noPaging); diff != "" {
					t.Fatalf("written (-), read (+):\n%s", diff)
				}
				if x86 := g.Machine == elf.EM_X86_64 || g.Machine == elf.EM_386; got[0].NoPaging == (x86 || g.Machine == elf.EM_S390) {
					t.Errorf("the registers of translation are not known: %v", got[0].NoPaging)
				}
				if again := written(t, g, got, dump.Options{}); !cmp.Equal(notes, again) {
					t.Errorf("written again:\n%s", cmp.Diff(notes, again))
				}
			}
		})
	}
}

// Without labels processors have the numbers that QEMU's process ids say and,
// without a note of QEMU's, their places.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for name, want := range map[string][2]int{"X86_64": {2, 7}, "s390": {0, 1}} {
		g, err := arch.GuestByName(name)
		if err != nil {
			t.Fatal(err)
		}
		notes := written(t, g, []guest.CPU{{Index: 2, State: states(r, g)[0], Trust: guest.Valid}, {Index: 7, State: states(r, g)[0], Trust: guest.Valid}}, dump.Options{})
		if got := notefile.CPUs(g, notes, nil); len(got) != 2 || [2]int{got[0].Index, got[1].Index} != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Notes that say less than a state needs, such as a kernel's own of an x86
// processor, make none, and are written again as they are.
func TestLess(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, g := range arch.Guests {
		notes := written(t, g, []guest.CPU{{State: states(r, g)[0], Trust: guest.Valid}, {Index: 1, State: states(r, g)[0], Trust: guest.Valid}}, dump.Options{})
		var status []guest.Note
		for _, n := range notes {
			if n.Name == "CORE" && n.Type == 1 {
				status = append(status, n)
			}
		}
		cpus := notefile.CPUs(g, status, nil)
		if len(cpus) != 2 || cpus[1].Index != 1 {
			t.Fatalf("%s: %+v", g.Name, cpus)
		}
		if strings.HasPrefix(g.Name, "riscv") || strings.HasPrefix(g.Name, "arm") { // that is all they have, or can be
			continue
		}
		if cpus[0].State != nil || cpus[0].Trust != guest.Unknown || cpus[0].Reason == "" {
			t.Errorf("%s: %v of notes that lack something", g.Name, cpus[0].Label())
		}
		again := written(t, g, cpus, dump.Options{})
		if diff := cmp.Diff(status, again[:len(again)-1]); diff != "" {
			t.Errorf("%s:\n%s", g.Name, diff)
		}
	}
}

// How far registers can be relied on carries over, and zeros that stand for
// registers are none.
func TestLabels(t *testing.T) {
	g := arch.Guests[2]
	r := rand.New(rand.NewPCG(2, 2))
	cpus := []guest.CPU{
		{Index: 0, State: states(r, g)[0], Trust: guest.Valid, Reason: "as TCG last stored them"},
		{Index: 1, State: states(r, g)[0], Trust: guest.Stale, Reason: "KVM had newer ones"},
		{Index: 2, Trust: guest.Unknown, Reason: "they cannot be found"},
	}
	for _, stale := range []bool{true, false} {
		got := notefile.CPUs(g, written(t, g, cpus, dump.Options{StaleRegisters: stale}), labels(cpus))
		if len(got) != 3 {
			t.Fatalf("%d processors", len(got))
		}
		for i, c := range got {
			if c.Label() != cpus[i].Label() {
				t.Errorf("CPU %d is %q, not %q", i, c.Label(), cpus[i].Label())
			}
			if has := c.State != nil; has != (i == 0 || i == 1 && stale) || has != (c.Notes != nil) {
				t.Errorf("stale %v: CPU %d has registers: %v, notes: %v", stale, i, has, c.Notes != nil)
			}
		}
	}
	none := []guest.CPU{{Index: 4, Trust: guest.Unknown, Reason: "nobody knows"}}
	if got := notefile.CPUs(g, written(t, g, none, dump.Options{}), labels(none)); len(got) != 1 || got[0].Index != 4 || got[0].Label() != none[0].Label() {
		t.Errorf("%+v", got)
	}
}

// FuzzCPUs reads damaged notes. A state that is made of them has all that its
// registers need to be printed, and written again it is read the same.
func FuzzCPUs(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	for i, g := range arch.Guests {
		for _, n := range written(f, g, []guest.CPU{{State: states(r, g)[0], Trust: guest.Valid}}, dump.Options{}) {
			f.Add(byte(i), n.Name, n.Type, n.Desc)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, name string, typ uint32, desc []byte) {
		g := arch.Guests[int(which)%len(arch.Guests)]
		notes := written(t, g, []guest.CPU{{State: states(rand.New(rand.NewPCG(3, 3)), g)[0], Trust: guest.Valid}}, dump.Options{})
		for i, n := range notes {
			if n.Name == name && n.Type == typ {
				notes[i].Desc = desc
			}
		}
		notes = append(notes, guest.Note{Name: name, Type: typ, Desc: desc})
		for _, c := range notefile.CPUs(g, notes, nil) {
			if c.State == nil {
				if c.Trust != guest.Unknown || c.Reason == "" {
					t.Errorf("no registers, and %s", c.Label())
				}
				continue
			}
			for _, x := range c.State.Registers() {
				_ = fmt.Sprintf("%s %x", x.Name, x.Value)
			}
			c.Notes = nil
			if s, ok := c.State.(*arch.PPC64); ok {
				s.VRSAVE = 0 // written as QEMU has it
			}
			again := notefile.CPUs(g, written(t, g, []guest.CPU{c}, dump.Options{}), nil)
			if len(again) != 1 || !cmp.Equal(again[0].State, c.State) {
				t.Errorf("written again:\n%s", cmp.Diff(c.State, again[0].State))
			}
		}
	})
}
