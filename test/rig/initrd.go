package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// marker is what the guest prints on its serial console when it is up.
const marker = "guestcore: the guest is up"

// initScript is the guest's first process. It loads the driver that hands the VMCOREINFO note to QEMU's vmcoreinfo device,
// fills some memory with random bytes, on each vCPU so that each NUMA node has some, and waits.
const initScript = `#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t tmpfs -o size=64m tmpfs /fill
for module in /modules/*.ko; do busybox insmod $module; done
for cpu in 0 1; do
	busybox taskset $((1 << cpu)) busybox dd if=/dev/urandom of=/fill/$cpu bs=1M count=8 2>/dev/null
done
echo "` + marker + `" >/dev/console
exec busybox sleep 1000000
`

// drivers are the modules that virtio-mem needs, each behind those that it needs itself.
var drivers = []string{"virtio_ring.ko", "virtio.ko", "virtio_pci_modern_dev.ko", "virtio_pci_legacy_dev.ko", "virtio_pci.ko", "virtio_mem.ko"}

// commandLine is the command line of the guest's kernel.
func commandLine(config Config) string {
	line := "console=ttyS0 panic=-1"
	if config.Drivers {
		line += " memhp_default_state=online_kernel" // memory that comes later is used at once, also for what cannot move again
	}
	return line
}

// initrd returns the guest's root file system: busybox, modules and initScript as a cpio archive.
func initrd(config Config) ([]byte, error) {
	busybox, err := cached("busybox for the guest", setup, "guest", "busybox")
	if err != nil {
		return nil, err
	}
	modules, err := cached("the guest's kernel modules", setup, "guest", "modules")
	if err != nil {
		return nil, err
	}
	var a cpio
	for _, dir := range []string{"bin", "dev", "fill", "modules", "proc", "sys"} {
		a.add(dir, 0o040755, 0, nil)
	}
	a.add("dev/console", 0o020600, 5<<8|1, nil) // major 5, minor 1
	a.add("init", 0o100755, 0, []byte(initScript))
	files, err := filepath.Glob(filepath.Join(modules, "*.ko"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, busybox) {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		dir := "modules"
		if file == busybox {
			dir = "bin"
		}
		a.add(dir+"/"+filepath.Base(file), 0o100755, 0, data)
	}
	if config.Drivers {
		for i, name := range drivers {
			driver, err := cached("the guest's virtio drivers", setup, "guest", "drivers", name)
			if err != nil {
				return nil, err
			}
			data, err := os.ReadFile(driver)
			if err != nil {
				return nil, err
			}
			a.add(fmt.Sprintf("modules/then-%d-%s", i, name), 0o100755, 0, data) // they are loaded in the order of their names
		}
	}
	a.add("TRAILER!!!", 0, 0, nil)
	return []byte(a.out.String()), nil
}

// cpio writes the "newc" archive that Linux unpacks at boot: for each file a header of ASCII hex, the name and the data,
// each padded to four bytes (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	out   strings.Builder
	inode int
}

// add appends one file; device is major<<8|minor.
func (a *cpio) add(name string, mode, device int, data []byte) {
	a.inode++
	const owner, links, modified = 0, 1, 0
	fmt.Fprintf(&a.out, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.inode, mode, owner, owner, links, modified, len(data), 0, 0, device>>8, device&0xff, len(name)+1, 0, name)
	a.pad()
	a.out.Write(data)
	a.pad()
}

func (a *cpio) pad() {
	for a.out.Len()%4 != 0 {
		a.out.WriteByte(0)
	}
}
