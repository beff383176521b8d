// Package layouts reads the layouts of a real QEMU out of its debug information, in every form that this has, and holds them against
// the built-in table and against gdb.
package layouts

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// version is the entry of the built-in table for the QEMU that scripts/build-qemu builds.
const version = "7.2.22"

// asked are members that the walk and the registers need, with the numbers that depend on how QEMU was configured.
var asked = ctype.Wanted{
	"AddressSpace":    {"name", "root", "current_map"},
	"FlatView":        {"ref", "ranges", "nr", "nr_allocated"},
	"FlatRange":       {"mr", "offset_in_region", "addr.start", "addr.size", "readonly", "nonvolatile"},
	"MemoryRegion":    {"ram", "ram_block", "size", "addr", "alias", "alias_offset", "name", "rdm", "subregions.tqh_first"},
	"RAMBlock":        {"mr", "host", "offset", "used_length", "flags", "idstr", "next.le_next", "fd"},
	"RAMList":         {"mru_block", "blocks.lh_first"},
	"CPUState":        {"thread_id", "created", "stopped", "as", "env_ptr", "node.tqe_next", "cpu_index", "halted", "vcpu_dirty"},
	"X86CPU":          {"env", "env.eip", "env.cr[3]", "env.segs[1].base"},
	"CPUX86State":     {"regs[15]", "eip", "eflags", "segs[5].flags", "gdt.base", "cr[4]", "efer", "kernelgsbase", "dr[7]"},
	"VMCoreInfoState": {"has_vmcoreinfo", "vmcoreinfo.paddr", "vmcoreinfo.size"},
	"MachineState":    {"dump_guest_core", "ram_size"},
}

// dwarf opens the debug information of one form.
func dwarf(t testing.TB, form rig.Form) (*objfile.File, *ctype.DWARF) {
	t.Helper()
	f, err := objfile.Open(form.Exe, objfile.Options{DebugDirs: []string{form.DebugDir}, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	d, err := ctype.FromDWARF(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range f.Warnings() {
		t.Errorf("warning: %s", w)
	}
	return f, d
}

// debugForms are the forms that have debug information.
func debugForms(t testing.TB) []rig.Form {
	t.Helper()
	var forms []rig.Form
	for _, form := range testkit.Forms(t) {
		if form.Name != "stripped" {
			forms = append(forms, form)
		}
	}
	return forms
}

// Every form says what the built-in table says, and where its own symbol table says that QEMU's variables are.
func TestForms(t *testing.T) {
	table := builtIn(t)
	for _, form := range debugForms(t) {
		t.Run(form.Name, func(t *testing.T) {
			f, d := dwarf(t, form)
			want := table.Wanted()
			delete(want, "HostMemoryBackend") // of an object that this QEMU may be built without
			got, missing, err := ctype.NewTable(d, version, want)
			if err != nil || len(missing) > 0 {
				t.Fatalf("missing %q, %v", missing, err)
			}
			compare(t, table, got, want)
			symbol, err := f.Lookup("address_space_memory")
			if err != nil {
				t.Fatal(err)
			}
			v, err := d.Variable("", "address_space_memory")
			if err != nil || v.Addr != symbol.Value || v.Size != symbol.Size || v.Target != "AddressSpace" {
				t.Errorf("variable %+v, %v; its symbol is %+v", v, err, symbol)
			}
			symbol, err = f.LookupStatic("vmcoreinfo_realize", "vmcoreinfo_state")
			if err != nil {
				t.Fatal(err)
			}
			v, err = d.Variable("vmcoreinfo_realize", "vmcoreinfo_state")
			if err != nil || v.Addr != symbol.Value || v.Target != "VMCoreInfoState" || v.Kind != ctype.KindPointer {
				t.Errorf("variable %+v, %v; its symbol is %+v", v, err, symbol)
			}
		})
	}
}

func builtIn(t *testing.T) *ctype.Table {
	t.Helper()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "internal", "qemu", "layouts.json"))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := ctype.ParseTable(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if tables[version] == nil {
		t.Fatalf("no built-in table for %s", version)
	}
	return tables[version]
}

func compare(t *testing.T, want, got *ctype.Table, members ctype.Wanted) {
	t.Helper()
	text := func(table *ctype.Table) string {
		var b strings.Builder
		for _, name := range table.Structs() {
			if members[name] == nil {
				continue
			}
			s, err := table.Struct(name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %d\n", name, s.Size)
			for _, path := range table.Fields(name) {
				f, err := s.Field(path)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s.%s %d\n", name, path, f.Offset)
			}
		}
		return b.String()
	}
	if diff := cmp.Diff(text(want), text(got)); diff != "" {
		t.Errorf("layouts (-want +got):\n%s", diff)
	}
}

// Every form says of the members, some of which no table has, what gdb says.
func TestAgainstGDB(t *testing.T) {
	gdb := testkit.MinimalGDB(t)
	forms := debugForms(t)
	for _, form := range forms {
		t.Run(form.Name, func(t *testing.T) {
			_, d := dwarf(t, form)
			args := []string{"-ex", "set debug-file-directory " + form.DebugDir, "-ex", "file " + form.Exe}
			var want []string
			for name, paths := range asked {
				s, err := d.Struct(name)
				if err != nil {
					t.Fatal(err)
				}
				args = append(args, "-ex", fmt.Sprintf(`printf "answer %%lu\n", sizeof(%s)`, name))
				want = append(want, fmt.Sprintf("%s: %d", name, s.Size))
				for _, path := range paths {
					f, err := s.Field(path)
					if err != nil {
						t.Fatal(err)
					}
					args = append(args, "-ex", fmt.Sprintf(`printf "answer %%lu %%lu\n", &((%s *)0)->%s, sizeof(((%s *)0)->%s)`, name, path, name, path))
					want = append(want, fmt.Sprintf("%s.%s: %d %d", name, path, f.Offset, f.Size))
				}
			}
			result := testkit.GDB(t, gdb, args...)
			var answers []string
			for line := range strings.Lines(result.Output) {
				if answer, ok := strings.CutPrefix(line, "answer "); ok {
					answers = append(answers, strings.TrimSpace(answer))
				}
			}
			if len(answers) != len(want) {
				t.Fatalf("gdb gave %d answers to %d questions:\n%s", len(answers), len(want), result.Output)
			}
			for i, answer := range answers {
				if question, ours, _ := strings.Cut(want[i], ": "); answer != ours {
					t.Errorf("%s: %s, gdb says %s", question, ours, answer)
				}
			}
		})
	}
}

// BenchmarkOpen is what a session asks at its start: open, one symbol, the structures of the walk, one static variable.
func BenchmarkOpen(b *testing.B) {
	for _, form := range debugForms(b) {
		b.Run(form.Name, func(b *testing.B) {
			b.ReportAllocs()
			opts := objfile.Options{DebugDirs: []string{form.DebugDir}, Cache: b.TempDir()}
			for b.Loop() {
				f, err := objfile.Open(form.Exe, opts)
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
				for name := range asked {
					if _, err := d.Struct(name); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := d.Variable("vmcoreinfo_realize", "vmcoreinfo_state"); err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
