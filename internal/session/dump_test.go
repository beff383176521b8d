package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/kdump"
	"guestcore/internal/guest"
)

// dumpOf writes a kdump file whose header says that phys_base is what it is
// told, of a kernel that says it is 4096.
func dumpOf(t *testing.T, physBase int64) string {
	t.Helper()
	g, err := arch.GuestByName("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	m := dumptest.Machine(t, t.TempDir(), g, dumptest.Part{Addr: 0, Size: 0x4000}, dumptest.Part{Addr: 0x100000, Size: 0x2000})
	text := "OSRELEASE=6.1.0-test\nPAGESIZE=4096\nNUMBER(phys_base)=4096\n"
	m.VMCoreInfo = append([]byte("\x0b\x00\x00\x00"+string(rune(len(text)))+"\x00\x00\x00\x00\x00\x00\x00VMCOREINFO\x00\x00"), text...)
	m.HeaderPhysBase = &physBase
	job, err := kdump.Formats()[1].Plan(m, dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dump")
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// A dump is a source like a process without insides: it has a machine and
// ranges, and is not to be written over.
func TestDump(t *testing.T) {
	path := dumpOf(t, 4096)
	s := open(t, Options{Dump: []string{path}})
	if s.What() != "dump" {
		t.Errorf("it is a %s", s.What())
	}
	rows, err := s.Rows()
	if err != nil || len(rows) != 2 || rows[1].Start != 0x100000 || rows[1].End != 0x102000 {
		t.Errorf("%+v, %v", rows, err)
	}
	m, err := s.Guest(t.Context(), "", dump.ScanAuto, nil)
	if err != nil || m.Arch.Name != "X86_64" || m.Kernel.Release != "6.1.0-test" || !strings.HasPrefix(m.Kernel.Note, "in the dump") {
		t.Fatalf("%+v, %v", m, err)
	}
	want := []byte{dumptest.Byte(addr.GPA(0x101234))}
	got := make([]byte, 1)
	if _, err := m.Image.ReadAt(got, 0x101234); err != nil || got[0] != want[0] {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := s.VM(); err == nil || !strings.Contains(err.Error(), "this is a dump") {
		t.Errorf("QEMU's insides: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckDestination(link); err == nil || !strings.Contains(err.Error(), "is the dump that is read") {
		t.Errorf("writing over it: %v", err)
	}
}

// A wrong phys_base in a header carries over, with a warning, or is put right.
func TestFix(t *testing.T) {
	said := func(m *guest.Machine) string { return strings.Join(append(m.Warnings, m.Notes...), "\n") }
	for _, x := range []struct {
		header int64
		fix    bool
		kept   bool
		want   string
	}{
		{4096, false, false, ""},
		{4096, true, false, ""},
		{0x4096, false, true, "has a wrong phys_base, 0x4096 and not 0x1000"},
		{0x4096, true, false, "phys_base is 0x4096 in the header"},
	} {
		s := open(t, Options{Dump: []string{dumpOf(t, x.header)}, Fix: x.fix})
		for range 2 { // the second time from what is known already
			m, err := s.Guest(t.Context(), "", dump.ScanAuto, nil)
			if err != nil {
				t.Fatal(err)
			}
			if (m.HeaderPhysBase != nil) != x.kept || x.kept && *m.HeaderPhysBase != x.header || *m.Kernel.PhysBase != 4096 {
				t.Errorf("header %#x, fix %v: %v", x.header, x.fix, m.HeaderPhysBase)
			}
			if text := said(m); !strings.Contains(text, x.want) || x.want == "" && strings.Contains(text, "header") || strings.Count(text, "wrong") > 1 {
				t.Errorf("header %#x, fix %v: %q", x.header, x.fix, text)
			}
		}
	}
}
