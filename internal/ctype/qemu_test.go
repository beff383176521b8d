package ctype_test

import (
	"os"
	"path/filepath"
	"testing"

	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
)

// qemu names a QEMU with debug information by $GUESTCORE_DWARF_QEMU, its debug directory by $GUESTCORE_DWARF_DIR, and the layout table
// and the version in it to compare with by $GUESTCORE_LAYOUTS and $GUESTCORE_LAYOUTS_VERSION.
func qemu(t testing.TB) (exe string, opts objfile.Options) {
	t.Helper()
	exe = os.Getenv("GUESTCORE_DWARF_QEMU")
	if exe == "" {
		t.Skip("set GUESTCORE_DWARF_QEMU to a qemu-system-x86_64 that has debug information")
	}
	if dir := os.Getenv("GUESTCORE_DWARF_DIR"); dir != "" {
		opts.DebugDirs = filepath.SplitList(dir)
	}
	return exe, opts
}

// QEMU's own debug information and the table agree on every member that the table has.
func TestQEMULayouts(t *testing.T) {
	exe, opts := qemu(t)
	f, err := os.Open(os.Getenv("GUESTCORE_LAYOUTS"))
	if err != nil {
		t.Fatalf("set GUESTCORE_LAYOUTS to the layout table: %v", err)
	}
	defer f.Close()
	tables, err := ctype.ParseTable(f)
	if err != nil {
		t.Fatal(err)
	}
	table, ok := tables[os.Getenv("GUESTCORE_LAYOUTS_VERSION")]
	if !ok {
		t.Fatalf("set GUESTCORE_LAYOUTS_VERSION to a version that the table has, not %q", os.Getenv("GUESTCORE_LAYOUTS_VERSION"))
	}
	d := open(t, exe, opts)
	checked := 0
	for _, name := range table.Structs() {
		want, err := table.Struct(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Struct(name)
		if err != nil {
			t.Logf("%v", err) // a structure of another target
			continue
		}
		if want.Size != 0 && got.Size != want.Size {
			t.Errorf("sizeof(%s) = %d, the table says %d", name, got.Size, want.Size)
		}
		for _, path := range table.Fields(name) {
			w, err := want.Field(path)
			if err != nil {
				t.Fatal(err)
			}
			if g, err := got.Field(path); err != nil || g.Offset != w.Offset {
				t.Errorf("%s.%s at %d, %v; the table says %d", name, path, g.Offset, err, w.Offset)
			}
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("only %d members compared", checked)
	}
	v, err := d.Variable("vmcoreinfo_realize", "vmcoreinfo_state")
	if err != nil || v.Target != "VMCoreInfoState" || v.Addr == 0 {
		t.Errorf("vmcoreinfo_state: %+v, %v", v, err)
	}
}

// BenchmarkQEMU is what a session asks for at its start: open, one symbol, the structures of the memory walk, one static variable.
func BenchmarkQEMU(b *testing.B) {
	exe, opts := qemu(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := objfile.Open(exe, opts)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Lookup("address_space_memory"); err != nil {
			b.Fatal(err)
		}
		d, err := ctype.FromDWARF(f)
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"AddressSpace", "FlatView", "FlatRange", "MemoryRegion", "RAMBlock", "CPUState", "X86CPU", "VMCoreInfoState", "MachineState"} {
			if _, err := d.Struct(name); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := d.Variable("vmcoreinfo_realize", "vmcoreinfo_state"); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
