package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// TestForeignLinux dumps Linux guests of other architectures, of either byte order and without a vmcoreinfo device: each dump
// has the note of the kernel that runs, and drgn, which knows nothing else of that kernel, finds its names in virtual memory.
func TestForeignLinux(t *testing.T) {
	for _, test := range []struct {
		target string
		build  rig.Build
		says   string
		drgn   bool // it knows the page tables
	}{
		{"aarch64", rig.Stock, ", confirmed by the page tables of vCPUs 0, 1\n", true},
		{"aarch64", rig.Sid, ", confirmed by the page tables of vCPUs 0, 1\n", true},
		{"s390x", rig.Stock, ", confirmed by the page tables of vCPUs 0, 1\n", true},
		{"ppc64", rig.Stock, ", confirmed by the page tables of vCPUs 0, 1\n", false},
	} {
		t.Run(string(test.build)+"/"+test.target, func(t *testing.T) {
			config, release := testkit.ForeignLinux(t, test.target)
			fixture := testkit.Boot(t, testkit.Emulator(t, test.build, test.target), config)
			out := filepath.Join(t.TempDir(), "vmcore")
			result := testkit.Guestcore(t, "dump", "--sysroot", fixture.QEMU.Root, fixture.Core, out)
			if result.Status != 0 || !strings.Contains(result.Output, "note: VMCOREINFO was found in guest memory at 0x") || !strings.Contains(result.Output, test.says) ||
				!strings.Contains(result.Output, "crash vmlinux-"+release+" "+out) {
				t.Fatalf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
			}
			note := testkit.Open(t, out).Note("VMCOREINFO")
			if note == nil || !strings.HasPrefix(string(note.Desc), "OSRELEASE="+release+"\n") {
				t.Fatalf("the note is %+v", note)
			}
			if !test.drgn {
				return
			}
			names := regexp.MustCompile(`(?m)^SYMBOL\(init_uts_ns\)=(.*)$`).FindStringSubmatch(string(note.Desc))
			script := filepath.Join(t.TempDir(), "names.py")
			if err := os.WriteFile(script, []byte("print(prog.read(0x"+names[1]+", 200))\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			result = testkit.Run(t, testkit.Sid(t, "drgn"), "--quiet", "--no-default-symbols", "-c", out, script)
			if result.Status != 0 || !strings.Contains(result.Output, `\x00`+release+`\x00`) {
				t.Errorf("drgn ended with status %d:\n%s", result.Status, result.Output)
			}
		})
	}
}
