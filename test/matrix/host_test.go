package matrix

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestHostsInGDB compares the registers that a gdb which knows all architectures shows of such a QEMU's core with what it shows
// of the core served. Of the core itself that gdb shows no more: it does not see where user mode emulation has loaded the
// program. Served, it has the symbols too.
func TestHostsInGDB(t *testing.T) {
	gdb := testkit.MultiarchGDB(t)
	for _, build := range hostBuilds {
		t.Run(string(build), func(t *testing.T) {
			t.Parallel()
			g := guests[slices.IndexFunc(guests, func(g guest) bool { return g.target == "x86_64" && g.name == "registers" })]
			g.Name, g.Bare = g.name, true
			fixture := testkit.Boot(t, testkit.Emulator(t, build, g.target), g.Config)
			shown := func(open string) string {
				lines := []string{"set pagination off", "set width 0", "set sysroot " + strings.TrimSuffix(path.Dir(fixture.QEMU.Exe), "/usr/bin"),
					"file " + fixture.QEMU.Exe, open, `echo ==\n`, "thread apply all info registers", `echo ==\n`, "thread apply all bt"}
				var args []string
				for _, line := range lines {
					args = append(args, "-ex", line)
				}
				return testkit.GDB(t, gdb, args...).Output
			}
			server, err := rig.Serve(t.Context(), testkit.Program(t), "", fixture.Core)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Stop()
			native, served := registers(shown("core-file "+fixture.Core)), shown("target remote "+server.Address)
			if diff := cmp.Diff(native, registers(served)); diff != "" {
				t.Errorf("gdb itself, and served:\n%s", diff)
			}
			if len(native) < 100 || !strings.Contains(served, " in ppoll () from") || !strings.Contains(served, " qemu_cond_wait_impl ()") {
				t.Errorf("gdb shows only\n%s", served)
			}
		})
	}
}

// registers are the lines about registers in what gdb says: without their symbols, without such as have no value, which the
// processor has and the core does not.
func registers(said string) (out []string) {
	parts := strings.Split(said, "==\n")
	for line := range strings.Lines(parts[len(parts)/2]) {
		line = strings.Join(strings.Fields(symbol.ReplaceAllString(thread.ReplaceAllString(line, "LWP $1$2"), "")), " ")
		if line != "" && !strings.HasSuffix(line, "<unavailable>") {
			out = append(out, line)
		}
	}
	return out
}

var (
	thread = regexp.MustCompile(`LWP (\d+)|Thread \d+\.(\d+)`) // natively, and of a server
	symbol = regexp.MustCompile(`<[^>]*\+\d+>`)
)

// hostGuests are the guests that run on other hosts: one of each architecture, its registers filled.
var hostGuests = map[string]bool{
	"x86_64/registers":      true,
	"aarch64/registers-a57": true,
	"s390x/registers":       true,
	"ppc64/registers-be":    true,
}
