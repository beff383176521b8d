package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/arch"
	"guestcore/internal/dumpfile"
	"guestcore/internal/guest"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// convert runs `guestcore convert` and returns the path of what it wrote, and what it said. The last of args are the dumps.
func convert(t *testing.T, format string, args ...string) (path, said string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), format)
	result := testkit.Guestcore(t, slices.Concat([]string{"convert", "--format", format}, args, []string{path})...)
	if result.Status != 0 {
		t.Fatalf("guestcore convert %q to %s ended with status %d:\n%s", args, format, result.Status, result.Output)
	}
	return path, result.Output
}

// same fails unless two files hold the same memory where both have some.
func same(t *testing.T, args ...string) {
	t.Helper()
	if v := verify(t, args...); !v.OK {
		t.Errorf("%q: %+v", args, v)
	}
}

// ram is the RAM of rig.KDump, for comparisons with kdump files, which leave the ROM below 4 GiB out.
var ram = []string{"--range", "0-0x20000000"}

// TestConvert writes QEMU's own ELF dump in other formats, and that as an ELF dump again: memory and the registers of the vCPUs
// stay what they were, and where the format has QEMU's notes, so do those.
func TestConvert(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.KDump)
	own := notes(t, fixture.Dump("kdump-lzo")) // QEMU writes the same ones into both
	registers := vcpus(t, fixture.QMPDump)
	for _, format := range []string{"elf", "vbox", "kdump-lzo", "kdump-zstd"} {
		t.Run(format, func(t *testing.T) {
			first, _ := convert(t, format, fixture.QMPDump)
			back, _ := convert(t, "elf", first)
			same(t, append(ram, first, fixture.QMPDump)...)
			same(t, append(ram, back, fixture.QMPDump)...)
			for _, path := range []string{first, back} {
				if diff := cmp.Diff(registers, vcpus(t, path)); diff != "" {
					t.Errorf("%s has other registers (+) than QEMU's own dump (-):\n%s", path, diff)
				}
			}
			again, _ := convert(t, "kdump-lzo", back)
			if got := notes(t, again); format != "vbox" && !bytes.HasPrefix(got, own) {
				t.Error("the notes are not those of QEMU's any more")
			}
		})
	}
}

// notes are the notes of a kdump file.
func notes(t *testing.T, path string) []byte {
	t.Helper()
	b, err := openKdump(t, path).Notes()
	if err != nil || len(b) == 0 {
		t.Fatalf("%s: notes of %d bytes: %v", path, len(b), err)
	}
	return b
}

// vcpus are the registers in a dump of a 64-bit PC, as far as all formats have them: VirtualBox has not all bits of a segment's
// flags, and more registers.
func vcpus(t *testing.T, path string) []arch.X86 {
	t.Helper()
	f, err := dumpfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := f.Guest("")
	if err != nil {
		t.Fatal(err)
	}
	var all []arch.X86
	for _, c := range m.CPUs {
		s, ok := c.State.(*arch.X86)
		if !ok || c.Trust != guest.Valid {
			t.Fatalf("%s: the registers of CPU %d are %s", path, c.Index, c.Label())
		}
		x := arch.X86{Wide: s.Wide, Regs: s.Regs, RIP: s.RIP, RFLAGS: s.RFLAGS, Segs: s.Segs, LDT: s.LDT, TR: s.TR, GDT: s.GDT, IDT: s.IDT,
			CR: s.CR, EFER: s.EFER, KernelGSBase: s.KernelGSBase}
		for _, seg := range []*arch.X86Segment{&x.Segs[0], &x.Segs[1], &x.Segs[2], &x.Segs[3], &x.Segs[4], &x.Segs[5], &x.LDT, &x.TR, &x.GDT, &x.IDT} {
			seg.Flags &= 0xffff00
		}
		all = append(all, x)
	}
	if len(all) != 2 {
		t.Fatalf("%s has %d vCPUs", path, len(all))
	}
	return all
}

// TestConvertFix has the phys_base put right that QEMU has wrong in its kdump files, which carries over otherwise, with a
// warning.
func TestConvertFix(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.KDump)
	right := openKdump(t, kdump(t, fixture, "kdump-lzo")).PhysBase
	theirs := fixture.Dump("kdump-zlib")
	wrong := openKdump(t, theirs).PhysBase
	if wrong == right {
		t.Fatalf("QEMU's own kdump file has the right phys_base, %#x", right)
	}
	kept, said := convert(t, "kdump-lzo", theirs)
	if got := openKdump(t, kept).PhysBase; got != wrong || !strings.Contains(said, "warning: the header of") || !strings.Contains(said, "--fix") {
		t.Errorf("phys_base is %#x, of %#x:\n%s", got, wrong, said)
	}
	fixed, said := convert(t, "kdump-lzo", "--fix", theirs)
	if got := openKdump(t, fixed).PhysBase; got != right || strings.Contains(said, "warning: the header of") {
		t.Errorf("phys_base is %#x, not %#x:\n%s", got, right, said)
	}
	same(t, append(ram, fixed, theirs)...)
	log := filepath.Join(t.TempDir(), "log")
	makedumpfile := testkit.Makedumpfile(t)
	if result := testkit.Run(t, makedumpfile, "--dump-dmesg", fixed, log); result.Status != 0 {
		t.Errorf("makedumpfile does not read the file:\n%s", result.Output)
	}
	if text, err := os.ReadFile(log); err != nil || !bytes.Contains(text, []byte("Run /init as init process")) {
		t.Errorf("makedumpfile finds another log (%v):\n%s", err, text)
	}
	elf, _ := convert(t, "elf", theirs)
	if tasks := drgn(t, elf); !strings.HasPrefix(tasks, "1 busybox\n") || strings.Count(tasks, "#0 ") != 2 {
		t.Errorf("drgn, which does not open QEMU's own file, sees in the ELF dump made of it:\n%s", tasks)
	}
}

// TestConvertSplit joins what makedumpfile has split, and refuses what it has filtered unless that is asked for.
func TestConvertSplit(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.KDump)
	whole := dumpFile(t, fixture)
	for _, level := range []string{"0", "31"} {
		t.Run(level, func(t *testing.T) {
			dir := t.TempDir()
			parts := []string{filepath.Join(dir, "b"), filepath.Join(dir, "c"), filepath.Join(dir, "a")}
			// Blocks of a MiB: else all of a guest this small is in the first part.
			split := append([]string{"--split", "--splitblock-size", "1024", "-l", "-d", level, whole}, parts...)
			if result := testkit.Run(t, testkit.Makedumpfile(t), split...); result.Status != 0 {
				t.Fatalf("makedumpfile %q:\n%s", split, result.Output)
			}
			for _, part := range parts {
				if f := openKdump(t, part); !f.Split || f.Start == f.End || len(f.Ranges()) == 0 {
					t.Fatalf("%s is no part of a split file: %d to %d", part, f.Start, f.End)
				}
			}
			slices.Sort(parts)
			if level == "0" {
				out, _ := convert(t, "elf", parts...)
				same(t, append(ram, out, whole)...)
				if v := verify(t, out); !v.OK || v.Ranges[0].End != 512<<20 {
					t.Errorf("%+v", v)
				}
			} else {
				out, _ := convert(t, "elf", append([]string{"--partial"}, parts...)...)
				same(t, "--partial", out, whole)
				again, _ := convert(t, "kdump-zstd", "--partial", out)
				same(t, again, out)
				lacks(t, "0x", "was left out when the file was written", parts...)
			}
			lacks(t, "0x", "is in a part of the split file that was not given", parts[0], parts[2])
		})
	}
}

// TestConvertCut takes what there is of kdump files that are cut short, and of such as makedumpfile had no room for.
func TestConvertCut(t *testing.T) {
	testkit.NeedsMount(t)
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.KDump)
	whole := dumpFile(t, fixture)
	incomplete := filepath.Join(t.TempDir(), "incomplete")
	result := testkit.Run(t, "unshare", "--mount", "sh", "-c", // so that the small file system goes with the process
		`mount -t tmpfs -o size=15m none "$0" && { "$1" -l -d 1 "$2" "$0/vmcore" && exit 1; mv "$0/vmcore" "$3"; }`,
		t.TempDir(), testkit.Makedumpfile(t), whole, incomplete)
	if result.Status != 0 {
		t.Fatalf("makedumpfile had room, or left no file:\n%s", result.Output)
	}
	ours, _ := convert(t, "kdump-zlib", whole)
	raw, flattened := half(t, ours), half(t, fixture.Dump("kdump-zlib")) // the second as QEMU leaves its own where the disk is full
	piped := filepath.Join(t.TempDir(), "piped")
	result = testkit.Run(t, "sh", "-c", `"$0" -F -l -d 1 "$1" >"$2"`, testkit.Makedumpfile(t), ours, piped)
	if result.Status != 0 {
		t.Fatalf("makedumpfile -F:\n%s", result.Output)
	}
	piped = half(t, piped)
	const behindEnd = "is behind the end of the file, which is cut short"
	for path, why := range map[string]string{
		incomplete: "was never written: whoever wrote the file had no more room",
		raw:        behindEnd,
		flattened:  behindEnd,
		piped:      behindEnd,
	} {
		lacks(t, "0x", why, path)
		if v := verify(t, path); v.OK || len(v.Files[0].Lost) == 0 {
			t.Errorf("%s is whole: %+v", path, v)
		}
		out, said := convert(t, "elf", "--partial", path)
		if !strings.Contains(said, "absent: 0x") || !strings.Contains(said, why) {
			t.Errorf("convert says\n%s", said)
		}
		same(t, "--partial", out, whole)
	}
}

// half copies the first half of a file.
func half(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return cut(t, path, info.Size()/2)
}

// lacks has a conversion refused that lacks memory, and no file left.
func lacks(t *testing.T, where, why string, dumps ...string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	result := testkit.Guestcore(t, slices.Concat([]string{"convert"}, dumps, []string{out})...)
	if result.Status != 1 || !strings.Contains(result.Output, "the source lacks") || !strings.Contains(result.Output, why) ||
		!strings.Contains(result.Output, where) || !strings.Contains(result.Output, "--partial") {
		t.Errorf("status %d, not %q:\n%s", result.Status, why, result.Output)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("there is a file: %v", err)
	}
}

// TestConvertWindows writes QEMU's own Windows crash dump in other formats, and those as Windows crash dumps again: that is
// QEMU's file, byte for byte.
func TestConvertWindows(t *testing.T) {
	for name, kind := range map[string]bool{"64": true, "32": false} {
		t.Run(name, func(t *testing.T) {
			k := windows32
			if kind {
				k = windows64
			}
			theirs := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest(name, k, false, nil)).Dump(rig.WindowsDump)
			want, err := os.ReadFile(theirs)
			if err != nil {
				t.Fatal(err)
			}
			for _, format := range []string{"win-dmp", "elf", "kdump-lzo", "vbox"} {
				first, _ := convert(t, format, theirs)
				same(t, first, theirs)
				back, _ := convert(t, "win-dmp", first)
				if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, want) {
					t.Errorf("by way of %s the file is not QEMU's any more (%v)", format, err)
				}
			}
		})
	}
}

// TestConvertJSON has the result printed as JSON.
func TestConvertJSON(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.KDump)
	out := filepath.Join(t.TempDir(), "out")
	result := testkit.Guestcore(t, "convert", "--json", fixture.QMPDump, out)
	_, text, _ := strings.Cut(result.Output, "\n{\n")
	text, _, _ = strings.Cut(text, "\n}\n")
	var said struct {
		Path, Format, Arch string
		Memory             int64
		CPUs               []struct{ Trust string }
	}
	if err := json.Unmarshal([]byte("{"+text+"}"), &said); err != nil || result.Status != 0 {
		t.Fatalf("status %d, %v:\n%s", result.Status, err, result.Output)
	}
	if said.Path != out || said.Format != "elf" || said.Arch != "X86_64" || said.Memory < 512<<20 || len(said.CPUs) != 2 || said.CPUs[1].Trust != "valid" {
		t.Errorf("%+v", said)
	}
}

// TestConvertRefused names what cannot be converted, and what to do.
func TestConvertRefused(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.KDump)
	dir := t.TempDir()
	link, out := filepath.Join(dir, "link"), filepath.Join(dir, "out")
	if err := os.Symlink(fixture.QMPDump, link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{fixture.QMPDump, link}, 1, "is the dump that is read: give another file name"},
		{[]string{fixture.Core, out}, 1, `"guestcore dump" makes a dump of it`},
		{[]string{"/etc/passwd", out}, 1, "not a dump of a guest's memory"},
		{[]string{fixture.QMPDump, fixture.QMPDump, out}, 1, "not a kdump-compressed file"},
		{[]string{fixture.Dump("kdump-lzo"), fixture.Dump("kdump-zlib"), out}, 1, "is a whole dump, and no part of one"},
		{[]string{fixture.QMPDump}, 2, "too few arguments"},
	} {
		if result := testkit.Guestcore(t, append([]string{"convert"}, test.args...)...); result.Status != test.status || !strings.Contains(result.Output, test.want) {
			t.Errorf("%q: status %d, not %q:\n%s", test.args, result.Status, test.want, result.Output)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(fixture.QMPDump, &st); err != nil || st.Size < 512<<20 {
		t.Errorf("the dump has %d bytes now: %v", st.Size, err)
	}
}
