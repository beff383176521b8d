package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"guestcore/internal/dump/kdumpfile"
	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

var kdumpFormats = []string{"kdump-zlib", "kdump-lzo", "kdump-snappy", "kdump-zstd"}

// kdump runs `guestcore dump` with these flags and returns the path of what it wrote.
func kdump(t *testing.T, fixture *rig.Fixture, format string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), format)
	args := append([]string{"dump", "--format", format}, flags...)
	if result := testkit.Guestcore(t, append(args, fixture.Core, out)...); result.Status != 0 {
		t.Fatalf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
	}
	return out
}

func openKdump(t *testing.T, path string) *kdumpfile.File {
	t.Helper()
	f, err := kdumpfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestKdumpEqualsQEMU holds the pages of each format, raw, flattened and through a pipe, against QEMU's own ELF dump, and what
// the headers say against QEMU's own kdump file. The same reader has to find the same in that, so that it is a judge.
func TestKdumpEqualsQEMU(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.KDump)
	own := testkit.Open(t, fixture.QMPDump)
	const ram = 512 << 20
	for _, format := range kdumpFormats {
		t.Run(format, func(t *testing.T) {
			ours := openKdump(t, kdump(t, fixture, format))
			flat := openKdump(t, kdump(t, fixture, format, "--flattened"))
			for _, f := range []*kdumpfile.File{ours, flat, openKdump(t, piped(t, fixture, format))} {
				if r := f.Ranges(); len(r) != 1 || r[0] != (kdumpfile.Range{Addr: 0, End: ram}) {
					t.Errorf("ranges %x: want RAM, without the ROM behind it", r)
				}
				samePages(t, f, own)
			}
			if ours.Flattened || !flat.Flattened {
				t.Error("raw and flattened are not as asked for")
			}
			if format == "kdump-zstd" {
				return // QEMU has none
			}
			theirs := openKdump(t, fixture.Dump(format))
			samePages(t, theirs, own)
			want := theirs.Header
			// What QEMU does not fill in, or fills in wrong.
			want.Flattened, want.UTS, want.PhysBase, want.MaxPage = false, ours.UTS, ours.PhysBase, ram/4096
			if ours.Header != want {
				t.Errorf("headers\n%+v, QEMU's\n%+v", ours.Header, theirs.Header)
			}
			a, err1 := ours.VMCoreInfo()
			b, err2 := theirs.VMCoreInfo()
			if err1 != nil || err2 != nil || len(a) == 0 || !bytes.Equal(a, b) {
				t.Errorf("VMCOREINFO\n%q, %v, QEMU's\n%q, %v", a, err1, b, err2)
			}
			ourNotes, err1 := ours.Notes()
			ownNotes, err2 := theirs.Notes()
			if err1 != nil || err2 != nil || len(ownNotes) == 0 || !bytes.HasPrefix(ourNotes, ownNotes) {
				t.Errorf("notes of %d bytes do not begin with the %d of QEMU's: %v, %v", len(ourNotes), len(ownNotes), err1, err2)
			}
			k, q := kindsOf(t, ours, ours.MaxPage), kindsOf(t, theirs, ours.MaxPage)
			if k.zero != q.zero || k.zero == 0 || k.packed == 0 || k.plain == 0 || float64(k.bytes) > 1.05*float64(q.bytes) {
				t.Errorf("pages %+v, QEMU's %+v: want as many zeros and at most 5 %% more bytes", k, q)
			}
			t.Logf("%+v, QEMU's %+v: %.1f %%", k, q, float64(k.bytes)/float64(q.bytes)*100)
		})
	}
}

// piped dumps into a pipe and returns the path of a file with what came out.
func piped(t *testing.T, fixture *rig.Fixture, format string) string {
	t.Helper()
	dir := t.TempDir()
	pipe, out := filepath.Join(dir, "pipe"), filepath.Join(dir, "out")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	script := `cat "$0" >"$1" & "$2" dump --format "$3" "$4" "$0" && wait`
	result := testkit.Run(t, "sh", "-c", script, pipe, out, testkit.Program(t), format, fixture.Core)
	if result.Status != 0 {
		t.Fatalf("status %d:\n%s", result.Status, result.Output)
	}
	return out
}

// samePages fails the test unless all that a file has is what QEMU's own ELF dump has there.
func samePages(t *testing.T, f *kdumpfile.File, own *vmcore.File) {
	t.Helper()
	const chunk = 1 << 20
	a, b := make([]byte, chunk), make([]byte, chunk)
	for _, r := range f.Ranges() {
		for addr := r.Addr; addr < r.End; addr += chunk {
			n := min(chunk, r.End-addr)
			if _, err := f.ReadAt(a[:n], int64(addr)); err != nil {
				t.Fatal(err)
			}
			if err := own.ReadGuest(b[:n], addr); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a[:n], b[:n]) {
				t.Fatalf("guest memory differs between %#x and %#x", addr, addr+n)
			}
		}
	}
}

// kinds counts pages by how they are stored.
type kinds struct {
	zero, packed, plain int
	bytes               int64 // of all but the zeros
}

// kindsOf counts the pages before end. The page of zeros is the first that a file stores.
func kindsOf(t *testing.T, f *kdumpfile.File, end int64) kinds {
	t.Helper()
	var pages []kdumpfile.Page
	zero := int64(1) << 62
	for number := range end {
		p, err := f.Page(number)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
		zero = min(zero, p.Off)
	}
	var k kinds
	for _, p := range pages {
		switch {
		case p.Off == zero:
			k.zero++
			continue
		case p.Flags == 0:
			k.plain++
		default:
			k.packed++
		}
		k.bytes += p.Size
	}
	return k
}

// TestKdumpCrash has crash say what it found in each format, in the flattened form too.
func TestKdumpCrash(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	release := kernelRelease(t)
	files := map[string]string{"flattened": kdump(t, fixture, "kdump-snappy", "--flattened")}
	for _, format := range kdumpFormats {
		files[format] = kdump(t, fixture, format)
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			said := crash(t, file, "sys", "log")
			for _, want := range []string{"CPUS: 2", "RELEASE: " + release, "MACHINE: x86_64", "MEMORY: 1 GB", "Run /init as init process"} {
				if !strings.Contains(said, want) {
					t.Errorf("crash does not say %q:\n%s", want, said)
				}
			}
		})
	}
}

// TestKdumpMakedumpfile has makedumpfile find the guest's log and drop what a kernel developer can do without, which fails on
// QEMU's own kdump files. Debian 12's knows neither Snappy nor Zstandard.
func TestKdumpMakedumpfile(t *testing.T) {
	makedumpfile := testkit.Makedumpfile(t)
	for _, config := range []rig.Config{rig.PC, rig.Q35} { // the ROM is behind the RAM, and between
		fixture := testkit.Boot(t, testkit.StockQEMU(t), config)
		for _, format := range []string{"kdump-zlib", "kdump-lzo"} {
			t.Run(config.Name+"/"+format, func(t *testing.T) {
				dir := t.TempDir()
				ours := kdump(t, fixture, format)
				run := func(args ...string) {
					t.Helper()
					if result := testkit.Run(t, makedumpfile, args...); result.Status != 0 {
						t.Fatalf("makedumpfile %v ended with status %d:\n%s", args, result.Status, result.Output)
					}
				}
				log, small := filepath.Join(dir, "log"), filepath.Join(dir, "small")
				run("--dump-dmesg", ours, log)
				if text, err := os.ReadFile(log); err != nil || !bytes.Contains(text, []byte("Run /init as init process")) {
					t.Errorf("the guest's log is not whole (%v):\n%s", err, text)
				}
				run("-l", "-d", "31", ours, small)
				if before, after := rig.OnDisk(ours), rig.OnDisk(small); after == 0 || after > before*2/3 {
					t.Errorf("makedumpfile made %d bytes of %d: it did not see what to drop", after, before)
				}
				if said := crash(t, small, "log"); !strings.Contains(said, "Run /init as init process") {
					t.Errorf("crash does not find the guest's log in makedumpfile's output:\n%s", said)
				}
			})
		}
	}
}

// readKdump prints what libkdumpfile and drgn find in a file: the architecture, the release, and the same out of memory.
const readKdump = `
import sys, kdumpfile, drgn
from drgn.helpers.linux.pid import for_each_task
k = kdumpfile.kdumpfile(sys.argv[1])
k.attr["addrxlat.ostype"] = "linux"
print("libkdumpfile:", k.attr["arch.name"], k.attr["linux.uts.release"], hex(k.attr["max_pfn"]),
    len(k.read(kdumpfile.KDUMP_MACHPHYSADDR, 0x1000000, 4096)))
p = drgn.Program()
p.set_core_dump(sys.argv[1])
p.load_debug_info([sys.argv[2]])
print("drgn:", p.platform.arch, p["init_uts_ns"].name.release.string_().decode(), sum(1 for _ in for_each_task(p)) > 40)
`

// TestKdumpLibkdumpfile has libkdumpfile, and drgn, which stands on it, open each format. Debian 12's do not know the
// flattened form.
func TestKdumpLibkdumpfile(t *testing.T) {
	python, vmlinux, release := testkit.Python(t), testkit.VMLinux(t), kernelRelease(t)
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	for _, format := range kdumpFormats {
		t.Run(format, func(t *testing.T) {
			result := testkit.Run(t, python, "-I", "-c", readKdump, kdump(t, fixture, format), vmlinux)
			for _, want := range []string{
				"libkdumpfile: x86_64 " + release + " 0x40000 4096",
				"drgn: Architecture.X86_64 " + release + " True",
			} {
				if !strings.Contains(result.Output, want) {
					t.Errorf("status %d, not %q:\n%s", result.Status, want, result.Output)
				}
			}
		})
	}
}

// TestKdumpMonitor asks for the formats as a gdb user does.
func TestKdumpMonitor(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	out := filepath.Join(t.TempDir(), "vmcore")
	server := serve(t, "", fixture.Core)
	result := testkit.GDB(t, testkit.MinimalGDB(t), commands("target remote "+server.Address,
		"monitor dump-guest-memory --format kdump-raw-zlib --level=6 "+out)...)
	if result.Status != 0 || !strings.Contains(result.Output, "kdump-zlib") {
		t.Fatalf("status %d:\n%s", result.Status, result.Output)
	}
	samePages(t, openKdump(t, out), testkit.Open(t, fixture.QMPDump))
	for _, test := range []struct{ option, says string }{
		{"--format nonsense", "kdump-zstd"},
		{"--level 3", "elf"},
		{"--level x", "level"},
		{"--format kdump-lzo --level 2", "one level"},
		{"--format kdump-zlib --level 10", "from 1"},
		{"--flattened", "elf"},
	} {
		result := testkit.GDB(t, testkit.MinimalGDB(t), commands("target remote "+server.Address,
			"monitor dump-guest-memory "+test.option+" "+out+".new")...)
		if result.Status == 0 || !strings.Contains(result.Output, test.says) {
			t.Errorf("%s: status %d, not %q:\n%s", test.option, result.Status, test.says, result.Output)
		}
	}
}
