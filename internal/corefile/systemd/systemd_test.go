package systemd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const boot = "0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	at := time.UnixMicro(1763683200000000)
	for name, want := range map[string]Core{
		"core.qemu-system-x86.107." + boot + ".4242.1763683200000000.zst": {Comm: "qemu-system-x86", UID: 107, BootID: boot, PID: 4242, Time: at},
		"core.sh.0." + boot + ".1.1763683200000000":                       {Comm: "sh", BootID: boot, PID: 1, Time: at},
		`core.CPU\x200\x2fKVM.0.` + boot + ".7.1763683200000000.lz4":      {Comm: "CPU 0/KVM", BootID: boot, PID: 7, Time: at},
		`core.\x2eqemu-system-x8.0.` + boot + ".7.1763683200000000.xz":    {Comm: ".qemu-system-x8", BootID: boot, PID: 7, Time: at},
		`core.a\x5cb\x.0.` + boot + ".7.1763683200000000":                 {Comm: `a\b\x`, BootID: boot, PID: 7, Time: at},
	} {
		if got, ok := parse(name); !ok || got != want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{
		"", "core", "core.1234", "core.sh.0.short.1.1", "core.sh.root." + boot + ".1.1", "core.sh.0." + boot + ".-1.1",
		"core.sh.0." + boot + ".1.soon", "core.sh.0." + boot + ".1.1.zst.part", ".#core.sh.0." + boot + ".1.1",
		"core.sh.0." + boot + ".99999999999.1",
	} {
		if got, ok := parse(name); ok {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
}

// folder makes cores of these names.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	const old, newer, newest = "core.qemu-kvm.0." + boot + ".10.1000000.zst", "core.qemu-kvm.0." + boot + ".11.2000000.xz", "core.sh.0." + boot + ".12.3000000"
	dir := folder(t, old, newest, newer, "core.qemu-kvm.1."+boot+".12.1500000", "README")
	kvm := func(c Core) bool { return c.Comm == "qemu-kvm" }
	if c, err := Newest(dir, "QEMU", kvm); err != nil || c.Path != filepath.Join(dir, newer) {
		t.Errorf("newest: %+v, %v", c, err)
	}
	if c, err := ByPID(dir, 10); err != nil || c.Path != filepath.Join(dir, old) {
		t.Errorf("by pid: %+v, %v", c, err)
	}
	_, err := ByPID(dir, 12)
	if err == nil || !strings.Contains(err.Error(), "2 cores are of pid 12, name the file: "+filepath.Join(dir, newest)) ||
		strings.Count(err.Error(), dir) != 2 {
		t.Errorf("two of a pid: %v", err)
	}
	if _, err := ByPID(dir, 13); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "none of the 4 cores in "+dir+" is of pid 13") {
		t.Errorf("no such pid: %v", err)
	}
	if _, err := Newest(dir, "QEMU", func(Core) bool { return false }); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "is of QEMU") {
		t.Errorf("none: %v", err)
	}
	empty := t.TempDir()
	if _, err := ByPID(empty, 13); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "there are no cores in "+empty) {
		t.Errorf("no core at all: %v", err)
	}
	if _, err := Newest(filepath.Join(dir, "none"), "QEMU", kvm); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--coredump-dir") {
		t.Errorf("no folder: %v", err)
	}
}

// The attribute is what systemd-coredump sets.
func TestExe(t *testing.T) {
	name := "core.vm-17.0." + boot + ".10.1000000.zst"
	dir := folder(t, name)
	err := unix.Setxattr(filepath.Join(dir, name), "user.coredump.exe", []byte("/usr/bin/qemu-system-x86_64"), 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Skipf("no extended attributes in %s: name a folder on another file system in TMPDIR", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	cores, err := List(dir)
	if err != nil || len(cores) != 1 || cores[0].Exe != "/usr/bin/qemu-system-x86_64" || cores[0].Comm != "vm-17" {
		t.Errorf("%+v, %v", cores, err)
	}
}
