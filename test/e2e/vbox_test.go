package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	reader "guestcore/internal/dumpfile"
	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// vboxFormats are the formats like VirtualBox's, and what a file of them is called.
var vboxFormats = map[string]string{
	"vbox": "VirtualBox VMCore 0x10006", "vbox-6.0": "VirtualBox VMCore 0x10005", "vbox-4.0": "VirtualBox VMCore 0x10000",
	"vbox-2010": "VirtualBox VMCore",
}

// formatted runs `guestcore dump` with a format and returns the path of what it wrote.
func formatted(t *testing.T, fixture *rig.Fixture, format string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), format)
	if result := testkit.Guestcore(t, "dump", "--format", format, "--sysroot", fixture.QEMU.Root, fixture.Core, out); result.Status != 0 {
		t.Fatalf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
	}
	return out
}

// TestVBox holds dumps in VirtualBox's forms against QEMU's own: memory by the byte, the registers against QEMU's notes, the
// ranges of devices against QEMU's monitor.
func TestVBox(t *testing.T) {
	for _, qemu := range []rig.QEMU{testkit.StockQEMU(t), testkit.SuiteQEMU(t, "sid")} {
		fixture := testkit.Boot(t, qemu, rig.PC)
		own := testkit.Open(t, fixture.QMPDump)
		for format, name := range vboxFormats {
			t.Run(qemu.Name+"/"+format, func(t *testing.T) {
				path := formatted(t, fixture, format)
				if v := verify(t, path, fixture.QMPDump); v.Verdict != "identical" {
					t.Errorf("%+v", v)
				}
				f, err := reader.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if !strings.HasPrefix(f.Format, name) || len(f.Problems) > 0 {
					t.Errorf("%s, problems %q", f.Format, f.Problems)
				}
				sameVBoxRegisters(t, f, own)
				var devices []string
				for _, r := range f.Devices {
					devices = append(devices, fmt.Sprintf("%#x-%#x", uint64(r.Addr), uint64(r.End())-1))
				}
				if diff := cmp.Diff(devicePages(t, fixture.MTree), devices); diff != "" {
					t.Errorf("pages of devices in QEMU's monitor (-), in the file (+):\n%s", diff)
				}
			})
		}
	}
}

// sameVBoxRegisters compares what a dump has of registers with QEMU's notes in another.
func sameVBoxRegisters(t *testing.T, f *reader.File, own *vmcore.File) {
	t.Helper()
	var want []string
	for _, n := range own.Notes {
		if n.Name == "QEMU" {
			want = append(want, registersOfQEMU(n.Desc))
		}
	}
	if len(f.CPUs) != len(want) || len(want) == 0 {
		t.Fatalf("%d vCPUs, %d notes of QEMU", len(f.CPUs), len(want))
	}
	for i, c := range f.CPUs {
		s, ok := c.State.(*arch.X86)
		if !ok || c.Label() != "valid" || c.Index != i {
			t.Fatalf("CPU %d: %+v", i, c)
		}
		if s.DR == nil || s.FPU == nil || s.Sysenter == nil || s.Syscall == nil {
			t.Errorf("CPU %d: registers are lost: %+v", i, s)
		}
		if diff := cmp.Diff(want[i], registersOf(s)); diff != "" {
			t.Errorf("CPU %d: QEMU's note (-), the file (+):\n%s", i, diff)
		}
	}
}

// registersOfQEMU prints QEMUCPUState, 440 bytes, with the part of a segment's flags that every format has.
func registersOfQEMU(b []byte) string {
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	word32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	var out strings.Builder
	for at := 8; at < 152; at += 8 {
		fmt.Fprintf(&out, "%x\n", word(at))
	}
	for at := 152; at < 392; at += 24 {
		fmt.Fprintf(&out, "%x %x %x %x\n", word32(at), word(at+16), word32(at+4), word32(at+8)&0xffff00)
	}
	for at := 392; at < 440; at += 8 {
		fmt.Fprintf(&out, "%x\n", word(at))
	}
	return out.String()
}

// registersOf prints the same registers in the same order.
func registersOf(s *arch.X86) string {
	var out strings.Builder
	for _, n := range []int{0, 3, 1, 2, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15} {
		fmt.Fprintf(&out, "%x\n", s.Regs[n])
	}
	fmt.Fprintf(&out, "%x\n%x\n", s.RIP, s.RFLAGS)
	for _, x := range []arch.X86Segment{s.Segs[1], s.Segs[3], s.Segs[0], s.Segs[4], s.Segs[5], s.Segs[2], s.LDT, s.TR, s.GDT, s.IDT} {
		fmt.Fprintf(&out, "%x %x %x %x\n", x.Selector, x.Base, x.Limit, x.Flags)
	}
	for _, v := range append(s.CR[:], s.KernelGSBase) {
		fmt.Fprintf(&out, "%x\n", v)
	}
	return out.String()
}

// devicePages are the ranges of devices that QEMU's monitor lists, in whole pages.
func devicePages(t *testing.T, mtree string) []string {
	t.Helper()
	var out []string
	for _, line := range flatView(t, mtree) {
		var first, last uint64
		var kind string
		if _, err := fmt.Sscanf(strings.Replace(line, "-", " ", 1), "%x %x %s", &first, &last, &kind); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if kind == "io" {
			out = append(out, fmt.Sprintf("%#x-%#x", first&^0xfff, last|0xfff))
		}
	}
	return out
}

// TestPlainFormats holds LiME's form and a raw image against QEMU's own dump. The image has zeros where the guest has no memory,
// and nothing behind the ROM.
func TestPlainFormats(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	if v := verify(t, formatted(t, fixture, "lime"), fixture.QMPDump); v.Verdict != "identical" {
		t.Errorf("lime: %+v", v)
	}
	image, err := reader.OpenRaw(formatted(t, fixture, "raw"), addr.GPA(0))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	own := testkit.Open(t, fixture.QMPDump)
	if last := own.Loads[len(own.Loads)-1]; image.Size != int64(last.Paddr+last.Filesz) {
		t.Errorf("the image has %#x bytes, the guest's memory ends at %#x", image.Size, last.Paddr+last.Filesz)
	}
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for _, l := range own.Loads {
		for at := l.Paddr; at < l.Paddr+l.Filesz; at += uint64(len(a)) {
			n := min(uint64(len(a)), l.Paddr+l.Filesz-at)
			if _, err := image.ReadAt(a[:n], int64(at)); err != nil {
				t.Fatal(err)
			}
			if err := own.ReadGuest(b[:n], at); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a[:n], b[:n]) {
				t.Fatalf("memory at %#x differs from QEMU's", at)
			}
		}
	}
}
