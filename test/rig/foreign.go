package rig

import (
	"os"
	"path/filepath"
	"strings"
)

// foreign are Debian's kernels for other architectures, by QEMU's name of the target: Debian's name, and QEMU's arguments for
// a machine that prints on its first serial port.
var foreign = map[string]struct {
	debian string
	args   []string
}{
	"aarch64": {"arm64", []string{"-machine", "virt", "-cpu", "cortex-a57", "-append", "console=ttyAMA0"}},
	"s390x":   {"s390x", []string{"-machine", "s390-ccw-virtio", "-append", "console=ttysclp0"}},
	"ppc64":   {"ppc64el", []string{"-machine", "pseries", "-append", "console=hvc0"}},
}

// ForeignLinux is a guest of another architecture: Linux that has found no root file system and has panicked. QEMU keeps it
// in that state. release is that of its kernel.
func ForeignLinux(target string) (config Config, release string, err error) {
	f := foreign[target]
	path, err := cached("a kernel for "+target+" guests", setupTest, "guest", "foreign", f.debian, "release")
	if err != nil {
		return Config{}, "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, "", err
	}
	kernel, err := os.ReadFile(filepath.Join(filepath.Dir(path), "vmlinuz"))
	return Config{
		Name:         "linux",
		Args:         append([]string{"-m", "512M", "-action", "panic=pause", "-no-shutdown", "-kernel", "vmlinuz"}, f.args...),
		Files:        map[string][]byte{"vmlinuz": kernel},
		Bare:         true,
		NoVMCoreInfo: true,
		Says:         "Kernel panic - not syncing: VFS: Unable to mount root fs",
	}, strings.TrimSpace(string(text)), err
}
