package dumpfile_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/vbox"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/dumpfile"
	"guestcore/internal/guest"
)

// A dump in VirtualBox's form gives the devices, the processors with what is
// known of their registers and how far, and what is absent, though there are
// zeros for it.
func TestVBox(t *testing.T) {
	m := machine(t, arch.Guests[2], []dumptest.Part{
		{Addr: 0, Size: 0x3000},
		{Addr: 0x3000, Size: 0x2000, Kind: dumptest.Lost},
		{Addr: 0x5000, Size: 0x1000},
	})
	m.Devices = []guest.Range{{Addr: 0x8000, Size: 0x2000}, {Addr: 0x40000000, Size: 0x1000}}
	m.Missing = []guest.Missing{{Addr: 0x3000, Size: 0x2000, Reason: "the core is cut short"}}
	pat := uint64(0x7040600070406)
	full := &arch.X86{Wide: true, RIP: 1, DR: &[8]uint64{6: 1}, PAT: &pat, Sysenter: &arch.X86Sysenter{CS: 8},
		FPU: &arch.X86FPU{Control: 0x37f, Vectors: make([][64]byte, 16)}}
	m.CPUs = []guest.CPU{
		{Index: 0, State: full, Trust: guest.Valid, Reason: "as TCG last stored them: later ones, too"},
		{Index: 2, State: &arch.X86{Wide: true, RIP: 2}, Trust: guest.Stale, Reason: "KVM had newer ones"},
		{Index: 3, Trust: guest.Unknown, Reason: "they cannot be found"},
	}
	w := writer{"vbox", vbox.Formats()[0], dump.Options{StaleRegisters: true}}
	f := open(t, write(t, w, m))
	if diff := cmp.Diff(m.CPUs, f.CPUs); diff != "" {
		t.Errorf("processors written (-), read (+):\n%s", diff)
	}
	if diff := cmp.Diff(m.Devices, f.Devices); diff != "" {
		t.Errorf("devices written (-), read (+):\n%s", diff)
	}
	if diff := cmp.Diff(m.Missing, f.Absent); diff != "" {
		t.Errorf("absent written (-), read (+):\n%s", diff)
	}
	if want := []guest.Range{{Addr: 0, Size: 0x3000}, {Addr: 0x5000, Size: 0x1000}}; !cmp.Equal(want, f.Ranges) {
		t.Errorf("ranges %+v, want %+v", f.Ranges, want)
	}
	if n, err := f.ReadAt(make([]byte, 0x1000), 0x2800); n != 0x800 || err == nil {
		t.Errorf("reading what is absent: %d, %v", n, err)
	}
	if !strings.HasPrefix(f.Format, "VirtualBox VMCore 0x10006, ") || f.Where(0x5000) == "nowhere" {
		t.Errorf("%s, %s", f.Format, f.Where(0x5000))
	}
	w.StaleRegisters = false
	f = open(t, write(t, w, m))
	if slices.ContainsFunc(f.CPUs[1:], func(c guest.CPU) bool { return c.State != nil }) || f.CPUs[0].State == nil ||
		f.CPUs[1].Label() != "unknown, they were stale, KVM had newer ones, and are not in the file" {
		t.Errorf("of stale registers that are not in the file there is %+v", f.CPUs)
	}
}

// FuzzVBox opens files with damaged headers and notes: what they say they hold
// can be read, and is not said to be absent.
func FuzzVBox(f *testing.F) {
	m := dumptest.Machine(f, f.TempDir(), arch.Guests[2], dumptest.Part{Size: 16}, dumptest.Part{Addr: 16, Size: 16, Kind: dumptest.Lost})
	m.Devices = []guest.Range{{Addr: 0x1000, Size: 0x1000}}
	m.CPUs = []guest.CPU{{State: &arch.X86{}, Trust: guest.Valid}}
	for _, format := range vbox.Formats() {
		job, err := format.Plan(m, dump.Options{Partial: true, Align: 1})
		if err != nil {
			f.Fatal(err)
		}
		path := f.TempDir() + "/dump"
		if _, err := dump.ToFile(f.Context(), job, path, dump.FileOptions{}, nil); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := t.TempDir() + "/dump"
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := dumpfile.Open(path)
		if err != nil {
			return
		}
		defer d.Close()
		for _, name := range []string{"", "X86_64"} {
			m, err := d.Guest(name)
			if err != nil {
				continue
			}
			for _, to := range append(vbox.Formats(), vmcore.Format{}) { // what can be refused is before a byte is written
				if _, err := to.Plan(m, dump.Options{Partial: true}); err == nil && len(d.Ranges) == 0 {
					t.Errorf("a dump without memory is written as %s", to.Name())
				}
			}
		}
		for _, r := range d.Ranges {
			p := make([]byte, min(r.Size, 4096))
			if n, err := d.ReadAt(p, int64(r.Addr)); n != len(p) {
				t.Errorf("of %+v, %d bytes can be read: %v", r, n, err)
			}
			for _, a := range d.Absent {
				if strings.HasPrefix(d.Format, "VirtualBox") && a.Addr < r.End() && r.Addr < a.Addr+addr.GPA(a.Size) {
					t.Errorf("%+v has what is absent, %+v", r, a)
				}
			}
		}
	})
}
