package e2e

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// TestRefuse gives guestcore input that it cannot use. It must say in one line what is wrong and what to do, end with a
// status other than 0 and leave no file behind.
func TestRefuse(t *testing.T) {
	stock, debug := testkit.StockQEMU(t), testkit.DebugQEMU(t)
	guest := testkit.Boot(t, stock, rig.Bare)
	for _, test := range []struct {
		name  string
		core  string
		flags []string
		arch  string
		says  []string
	}{
		{name: "no file", core: "/nonexistent/core", says: []string{"/nonexistent/core", "no such file"}},
		{name: "an empty file", core: write(t, ""), says: []string{"empty"}},
		{name: "no ELF", core: write(t, "hello\n"), says: []string{"not an ELF file"}},
		{name: "no core", core: debug.Exe, says: []string{"not a core", "--exe"}},
		{name: "not QEMU's core", core: otherCore(t), says: []string{"address_space_memory", "qemu-system"}},
		{name: "cut in its headers", core: cut(t, guest.Core, 100), says: []string{"0x64", "copy it again"}},
		{name: "cut in guest memory", core: cut(t, guest.Core, 700<<20),
			says: []string{"0xfffc0000-0x100000000", "pc.bios", "pc.ram", "ends before", "--partial"}},
		{name: "dump-guest-core=off", core: testkit.Boot(t, stock, rig.NoDump).Core,
			says: []string{"pc.ram", "dump-guest-core=off", "0x0-0x10000000"}},
		{name: "memory in a file", core: testkit.Boot(t, stock, rig.SharedFile).Core,
			says: []string{`"ram"`, "ram.img", "--ram ram="}},
		{name: "another executable", core: guest.Core, flags: []string{"--exe", debug.Exe},
			says: []string{"build-id", buildID(t, debug.Exe), buildID(t, stock.Exe)}},
		{name: "another architecture", core: guest.Core, arch: "aarch64-le", says: []string{"aarch64-le", "qemu64-x86_64-cpu"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			args := append([]string{"dump"}, test.flags...)
			args = append(args, test.core, filepath.Join(dir, "vmcore"))
			if test.arch != "" {
				args = append(args, test.arch)
			}
			refused(t, testkit.Guestcore(t, args...), test.says...)
			empty(t, dir)
		})
	}
}

// TestRefuseFile gives guestcore a core that is right and a place where no dump can be.
func TestRefuseFile(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		refused(t, testkit.Guestcore(t, "dump", guest.Core, dir), dir, "directory")
		empty(t, dir)
	})
	t.Run("in no folder", func(t *testing.T) {
		refused(t, testkit.Guestcore(t, "dump", guest.Core, "/nonexistent/vmcore"), "/nonexistent")
	})
	t.Run("no space", func(t *testing.T) {
		testkit.NeedsMount(t)
		// The small file system is in a mount namespace of its own, so it goes with the process.
		dir := t.TempDir()
		result := testkit.Run(t, "unshare", "--mount", "sh", "-c",
			`mount -t tmpfs -o size=1m none "$0" && { "$1" dump "$2" "$0/vmcore"; status=$?; ls -A "$0"; exit $status; }`,
			dir, testkit.Program(t), guest.Core)
		refused(t, result, "space", "free", dir)
		if strings.HasSuffix(strings.TrimSpace(result.Output), "vmcore") {
			t.Errorf("a file is left:\n%s", result.Output)
		}
	})
}

// TestPartial takes what is there of a core that was cut: memory that the dump has is right, the rest is not in it.
func TestPartial(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	out := filepath.Join(t.TempDir(), "vmcore")
	result := testkit.Guestcore(t, "dump", "--partial", cut(t, guest.Core, 900<<20), out)
	if result.Status != 0 {
		t.Fatalf("status %d:\n%s", result.Status, result.Output)
	}
	ours, own := testkit.Open(t, out), testkit.Open(t, guest.QMPDump)
	n, err := vmcore.CompareWithin(ours, own)
	if err != nil {
		t.Error(err)
	}
	var all uint64
	for _, r := range own.Ranges() {
		all += r.End - r.Addr
	}
	if n < all/4 || n >= all {
		t.Errorf("%d of %d bytes are in the dump", n, all)
	}
}

// refused fails the test unless the program ended badly and its last line says all of want.
func refused(t *testing.T, result rig.Result, want ...string) {
	t.Helper()
	if result.Status <= 0 {
		t.Fatalf("status %d:\n%s", result.Status, result.Output)
	}
	var said string
	for line := range strings.Lines(result.Output) {
		if strings.HasPrefix(line, "guestcore: ") {
			said += line
		}
	}
	if strings.Count(said, "\n") != 1 {
		t.Errorf("not one line of error:\n%s", result.Output)
	}
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("it does not say %q:\n%s", w, result.Output)
		}
	}
}

// empty fails the test if there is a file in a folder.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left", entry.Name())
	}
}

// write makes a file.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// cut makes a copy of the first size bytes of a sparse file.
func cut(t *testing.T, path string, size int64) string {
	t.Helper()
	short := filepath.Join(t.TempDir(), "core")
	if result := testkit.Run(t, "cp", "--sparse=always", path, short); result.Status != 0 {
		t.Fatal(result.Output)
	}
	if info, err := os.Stat(short); err != nil || info.Size() <= size {
		t.Fatalf("%s is too short to cut at %d: %v", path, size, err)
	}
	if err := os.Truncate(short, size); err != nil {
		t.Fatal(err)
	}
	return short
}

// otherCore is the core of a process that is not QEMU.
func otherCore(t *testing.T) string {
	t.Helper()
	core, err := rig.Core(t.Context(), t.TempDir(), "/bin/sh", "-c", "echo; exec sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	return core
}

func buildID(t *testing.T, path string) string {
	t.Helper()
	id, err := rig.BuildID(path)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(id)
}
