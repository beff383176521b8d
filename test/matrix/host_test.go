package matrix

import (
	"path"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// hostBuilds are QEMUs of other hosts.
var hostBuilds = []rig.Build{rig.ARM64Host, rig.S390XHost, rig.PPC64ELHost}

var hostExplained = []exception{
	{cell{target: "s390x", build: rig.ARM64Host}, "CORE/0x1", "pid", hostPid},
	{cell{target: "s390x", build: rig.PPC64ELHost}, "CORE/0x1", "pid", hostPid},
	{cell{target: "ppc64", build: rig.ARM64Host}, "CORE/0x1", "pid", noPid},
	{cell{target: "ppc64", build: rig.S390XHost}, "CORE/0x1", "pid", noPid},
	{cell{target: "ppc64", build: rig.PPC64ELHost}, "CORE/0x1", "pid", noPid},
	{cell{target: "x86_64", build: rig.S390XHost}, "CORE/0x1", swapped, hostOrder},
	{cell{target: "x86_64", build: rig.S390XHost}, "QEMU/0x0", swapped, hostOrder},
}

const hostOrder = "QEMU writes the notes of x86 in the byte order of its host, into a file that says it is little-endian"

// TestHosts dumps guests from cores of QEMUs that ran on hosts of other architectures. The hosts are emulated, the QEMUs are
// Debian's own for them, without debug information.
func TestHosts(t *testing.T) {
	for _, build := range hostBuilds {
		for _, g := range guests {
			if !hostGuests[path.Join(g.target, g.name)] {
				continue
			}
			t.Run(path.Join(string(build), g.target, g.name), func(t *testing.T) {
				t.Parallel()
				g.Name, g.Bare = g.name, true
				fixture := testkit.Boot(t, testkit.Emulator(t, build, g.target), g.Config)
				for _, err := range check(t, cell{g.target, g.name, build}, fixture) {
					t.Error(err)
				}
			})
		}
	}
}

// hostGuests are the guests that run on other hosts: one of each architecture, its registers filled.
var hostGuests = map[string]bool{
	"x86_64/registers":      true,
	"aarch64/registers-a57": true,
	"s390x/registers":       true,
	"ppc64/registers-be":    true,
}
