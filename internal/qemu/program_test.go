package qemu

import "testing"

func TestIsProgram(t *testing.T) {
	for name, want := range map[string]bool{
		"qemu-system-x86": true, "/usr/bin/qemu-system-aarch64": true, "/usr/libexec/qemu-kvm": true, "kvm": true,
		".qemu-system-x8": true, "/usr/bin/qemu-system-x86_64 (deleted)": true,
		"": false, "qemu-x86_64": false, "qemu-img": false, "CPU 0/KVM": false, "sh": false, "libvirtd": false,
	} {
		if got := IsProgram(name); got != want {
			t.Errorf("IsProgram(%q) = %v", name, got)
		}
	}
}
