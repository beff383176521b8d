package e2e

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// verified is the part of what `guestcore verify --json` prints that matters here.
type verified struct {
	OK      bool
	Verdict string
	Ranges  []struct{ Start, End uint64 }
	Files   []struct {
		Digest string
		Lost   []struct{ Start, End uint64 }
	}
	Differ *struct {
		Pages int
		First uint64
	}
}

// verify runs `guestcore verify --json`, which ends with status 1 unless all is well.
func verify(t *testing.T, args ...string) verified {
	t.Helper()
	result := testkit.Guestcore(t, append([]string{"verify", "--json"}, args...)...)
	text, _, _ := strings.Cut(result.Output, "\n}\n") // what comes behind is progress and the error
	start := strings.Index(text, "{\n")
	if start < 0 {
		t.Fatalf("guestcore verify %q ended with status %d:\n%s", args, result.Status, result.Output)
	}
	var v verified
	if err := json.Unmarshal([]byte(text[start:]+"\n}"), &v); err != nil {
		t.Fatalf("%v:\n%s", err, result.Output)
	}
	if v.OK != (result.Status == 0) {
		t.Errorf("status %d:\n%s", result.Status, result.Output)
	}
	return v
}

// TestVerify takes the digest of a guest from its core, from QEMU's own dump, from the script's and from ours in every
// format: it is the same, and each dump is identical to the core.
func TestVerify(t *testing.T) {
	for _, config := range []rig.Config{rig.PC, rig.Bare} {
		t.Run(config.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, testkit.StockQEMU(t), config)
			core := verify(t, fixture.Core)
			if !core.OK || len(core.Ranges) < 2 {
				t.Fatalf("%+v", core)
			}
			digest := core.Files[0].Digest
			for _, path := range []string{fixture.QMPDump, dump(t, fixture).Path} {
				if v := verify(t, path, fixture.Core); v.Verdict != "identical" || v.Files[0].Digest != digest || v.Files[1].Digest != digest {
					t.Errorf("%s: %+v, the core has %s", path, v, digest)
				}
				if v := verify(t, path); v.Verdict != "whole" || v.Files[0].Digest != digest {
					t.Errorf("%s: %+v, the core has %s", path, v, digest)
				}
			}
			// kdump files leave the ROM below 4 GiB out.
			ram := []string{"--range", "0-0xf0000000"}
			digest = verify(t, append(ram, fixture.Core)...).Files[0].Digest
			for _, flags := range [][]string{
				{"--format", "kdump-zlib"}, {"--format", "kdump-lzo"}, {"--format", "kdump-snappy"}, {"--format", "kdump-zstd"},
				{"--format", "kdump-zlib", "--flattened"},
			} {
				out := filepath.Join(t.TempDir(), "kdump")
				args := slices.Concat([]string{"dump"}, flags, []string{fixture.Core, out})
				if result := testkit.Guestcore(t, args...); result.Status != 0 {
					t.Fatalf("guestcore %q:\n%s", args, result.Output)
				}
				if v := verify(t, out, fixture.Core); v.Verdict != "identical" || v.Files[0].Digest != digest {
					t.Errorf("%q: %+v, the core has %s", flags, v, digest)
				}
				if v := verify(t, out); v.Verdict != "whole" || v.Files[0].Digest != digest {
					t.Errorf("%q: %+v, the core has %s", flags, v, digest)
				}
				os.Remove(out)
			}
		})
	}
	t.Run("script", func(t *testing.T) {
		fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.PC)
		if v := verify(t, testkit.ScriptDump(t, fixture).Path, fixture.Core); v.Verdict != "identical" {
			t.Errorf("%+v", v)
		}
	})
}

// TestVerifyFinds changes one byte of a dump.
func TestVerifyFinds(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	file := dump(t, fixture)
	l := file.Loads[0]
	const at = 0x1234567
	f, err := os.OpenFile(file.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, int64(l.Offset)+at); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{^b[0]}, int64(l.Offset)+at); err != nil {
		t.Fatal(err)
	}
	v := verify(t, file.Path, fixture.Core)
	if v.OK || v.Verdict != "different" || v.Differ == nil || v.Differ.Pages != 1 || v.Differ.First != l.Paddr+at {
		t.Errorf("%+v, %+v", v, v.Differ)
	}
}

// TestVerifyWindows holds Windows crash dumps, ours and QEMU's own, against the core. They have other contexts than the guest's
// memory, and KDBG where the guest has it encoded; what else is changed is found.
func TestVerifyWindows(t *testing.T) {
	const identical = "identical but for the processors' contexts and KDBG, which a Windows crash dump has of its own"
	fixture := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest("64", windows64, false, nil))
	encoded := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest("encoded", windowsEncoded, false, nil))
	runs := []string{"--range", "0x1000-0x9f000", "--range", "0x100000-0x1d00000"}
	ours := dumpFile(t, fixture, "-w")
	elf, _ := convert(t, "elf", ours)
	kdump, _ := convert(t, "kdump-lzo", ours)
	for _, x := range []struct{ dump, core string }{
		{ours, fixture.Core}, {fixture.Dump(rig.WindowsDump), fixture.Core}, {dumpFile(t, encoded, "-w", "--ignore-note"), encoded.Core},
		{elf, fixture.Core}, {kdump, fixture.Core},
	} {
		if v := verify(t, append(runs, x.dump, x.core)...); !v.OK || v.Verdict != identical {
			t.Errorf("%s: %+v", x.dump, v)
		}
	}
	if v := verify(t, ours, fixture.Core); v.OK || v.Differ != nil { // Windows does not count all memory as its own
		t.Errorf("%+v", v)
	}
	f, err := os.OpenFile(ours, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("changed"), 0x2000+0x5000); err != nil {
		t.Fatal(err)
	}
	if v := verify(t, append(runs, ours, fixture.Core)...); v.OK || v.Verdict != "different" || v.Differ.Pages != 1 || v.Differ.First != 0x6000 {
		t.Errorf("%+v, %+v", v, v.Differ)
	}
}
