package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// pack compresses a file to the file to.
func pack(t *testing.T, path, to, program string, args ...string) {
	t.Helper()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.CommandContext(t.Context(), testkit.Compressor(t, program), append(args, "-c", path)...)
	cmd.Stdout = out
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, &stderr)
	}
}

// TestDumpCompressed dumps a guest from cores as systemd-coredump compresses them, and as people do.
func TestDumpCompressed(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.Small)
	own := testkit.Open(t, guest.QMPDump)
	for program, args := range map[string][]string{"zstd": {"-1"}, "lz4": {"-1"}, "xz": {"-0", "-T2"}, "gzip": {"-1"}} {
		t.Run(program, func(t *testing.T) {
			core, spool, out := filepath.Join(t.TempDir(), "core"), t.TempDir(), filepath.Join(t.TempDir(), "vmcore")
			pack(t, guest.Core, core, program, args...)
			result := testkit.Guestcore(t, "dump", "--spool-dir", spool, core, out)
			if result.Status != 0 {
				t.Fatalf("status %d:\n%s", result.Status, result.Output)
			}
			if !strings.Contains(result.Output, core+": "+program+", spooled ") || !strings.Contains(result.Output, spool) {
				t.Errorf("it does not say what it did:\n%s", result.Output)
			}
			empty(t, spool)
			ours := testkit.Open(t, out)
			testkit.Equal(t, ours, own)
			if size, most := rig.OnDisk(out), int64(8<<20); size > most {
				t.Errorf("the dump takes %d bytes on disk, at most %d are right", size, most)
			}
		})
	}
}

// TestDumpCompressedCut takes of a compressed core that was cut what there is, if it is told to.
func TestDumpCompressedCut(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.Small)
	core, dir := filepath.Join(t.TempDir(), "core.zst"), t.TempDir()
	out := filepath.Join(dir, "vmcore")
	pack(t, guest.Core, core, "zstd", "-1")
	info, err := os.Stat(core)
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size() * 9 / 10
	if err := os.Truncate(core, size); err != nil {
		t.Fatal(err)
	}
	refused(t, testkit.Guestcore(t, "dump", core, out), core, "cut short", "zstd", fmt.Sprintf("%#x", size), "--partial")
	refused(t, testkit.Guestcore(t, "info", core), "cut short", "--partial")
	empty(t, dir)
	if result := testkit.Guestcore(t, "info", "--partial", core); !strings.Contains(result.Output, "warning: the core is cut short") {
		t.Errorf("info --partial, status %d:\n%s", result.Status, result.Output)
	}
}

// TestDumpCompressedRefuse gives guestcore compressed files that it cannot use.
func TestDumpCompressedRefuse(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.Small)
	core, dir := filepath.Join(t.TempDir(), "core.zst"), t.TempDir()
	pack(t, guest.Core, core, "zstd", "-1")
	t.Run("no core in it", func(t *testing.T) {
		text := filepath.Join(t.TempDir(), "core.zst")
		pack(t, write(t, "hello\n"), text, "zstd")
		refused(t, testkit.Guestcore(t, "dump", text, filepath.Join(dir, "vmcore")), text, "not an ELF file")
		empty(t, dir)
	})
	t.Run("over the core itself", func(t *testing.T) {
		before, err := os.Stat(core)
		if err != nil {
			t.Fatal(err)
		}
		result := testkit.Guestcore(t, "dump", core, core)
		if result.Status <= 0 || !strings.Contains(result.Output, core+" is the core itself: give another file name") {
			t.Errorf("status %d:\n%s", result.Status, result.Output)
		}
		if after, err := os.Stat(core); err != nil || !os.SameFile(before, after) || after.Size() != before.Size() {
			t.Errorf("the core is not what it was: %v", err)
		}
	})
	t.Run("no space", func(t *testing.T) {
		// A mount namespace of its own makes the small file system go with the process.
		spool := t.TempDir()
		args := []string{"--mount", "sh", "-c",
			`mount -t tmpfs -o size=3m none "$0" && { "$1" dump --spool-dir "$0" "$2" "$3"; status=$?; ls -A "$0"; exit $status; }`,
			spool, testkit.Program(t), core, filepath.Join(dir, "vmcore")}
		if os.Getuid() != 0 {
			args = append([]string{"--user", "--map-root-user"}, args...)
		}
		result := testkit.Run(t, "unshare", args...)
		refused(t, result, "no space", spool, "more are needed", "--spool-dir")
		if lines := strings.Count(result.Output, "\n"); lines != 1 {
			t.Errorf("something is left:\n%s", result.Output)
		}
		empty(t, dir)
	})
}

// TestCoredump finds cores where systemd-coredump would have put them.
func TestCoredump(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.Small)
	own := testkit.Open(t, guest.QMPDump)
	const boot = "0123456789abcdef0123456789abcdef"
	kept := t.TempDir()
	newest := "core.qemu-system-x86.0." + boot + ".42.1763683200000000.zst"
	pack(t, guest.Core, filepath.Join(kept, newest), "zstd", "-1")
	for _, name := range []string{
		"core.qemu-system-x86.0." + boot + ".41.1763683100000000.zst",
		"core.sh.0." + boot + ".40.1763683300000000",
		"core.sh.0." + boot + ".41.1763683300000000",
	} {
		if err := os.WriteFile(filepath.Join(kept, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, core := range []string{"coredump:", "coredump:42"} {
		out := filepath.Join(t.TempDir(), "vmcore")
		result := testkit.Guestcore(t, "dump", "--coredump-dir", kept, core, out)
		if result.Status != 0 || !strings.Contains(result.Output, "pid 42") || !strings.Contains(result.Output, newest) {
			t.Fatalf("%s: status %d:\n%s", core, result.Status, result.Output)
		}
		testkit.Equal(t, testkit.Open(t, out), own)
	}
	for core, want := range map[string]string{
		"coredump:41": "2 cores are of pid 41", "coredump:43": "of pid 43", "coredump:qemu": "is no process id", "coredump:40": "the file is empty",
	} {
		refused(t, testkit.Guestcore(t, "info", "--coredump-dir", kept, core), want)
	}
	refused(t, testkit.Guestcore(t, "info", "--coredump-dir", filepath.Join(kept, "none"), "coredump:"), kept, "--coredump-dir")
}
