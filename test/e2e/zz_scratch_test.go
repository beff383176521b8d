package e2e

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
	"guestcore/internal/guest/mapping"
	"guestcore/internal/session"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

func scratchMachine(t *testing.T, f *rig.Fixture) *guest.Machine {
	s, err := session.Open(context.Background(), session.Options{Core: f.Core, Sysroot: f.QEMU.Root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	vm, err := s.VM()
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Guest("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(f.Registers)
	m.CPUs = nil
	hex := func(s string) uint64 { n, _ := strconv.ParseUint(s, 16, 64); return n }
	idts := regexp.MustCompile(`IDT= +([0-9a-f]+)`).FindAllStringSubmatch(string(text), -1)
	for i, x := range regexp.MustCompile(`CR0=([0-9a-f]+) CR2=([0-9a-f]+) CR3=([0-9a-f]+) CR4=([0-9a-f]+)`).FindAllStringSubmatch(string(text), -1) {
		st := &arch.X86{Wide: true, EFER: 1 << 10}
		st.CR[0], st.CR[3], st.CR[4] = hex(x[1]), hex(x[3]), hex(x[4])
		st.IDT.Base = hex(idts[i][1])
		m.CPUs = append(m.CPUs, guest.CPU{Index: i, State: st, Trust: guest.Valid})
	}
	return m
}

func TestScratch(t *testing.T) {
	for _, c := range []struct {
		q rig.QEMU
		c rig.Config
	}{{testkit.StockQEMU(t), rig.Paging}, {testkit.StockQEMU(t), rig.Paging5}, {testkit.SuiteQEMU(t, "sid"), rig.Paging}} {
		t.Run(c.q.Name+"/"+c.c.Name, func(t *testing.T) {
			f := testkit.Boot(t, c.q, c.c)
			m := scratchMachine(t, f)
			now := time.Now()
			list, warnings, err := mapping.Of(t.Context(), m)
			t.Log(len(list), warnings, err, time.Since(now))
			own := testkit.Open(t, f.PagingDump())
			t.Log(len(own.Loads))
			bad := 0
			for i := range own.Loads {
				l := own.Loads[i]
				if i >= len(list) || l.Paddr != list[i].Phys || l.Vaddr != list[i].Virt || l.Memsz != list[i].Size {
					t.Errorf("%d: %#x, %#x", i, l, list[min(i, len(list)-1)])
					if bad++; bad > 5 {
						break
					}
				}
			}
		})
	}
}
