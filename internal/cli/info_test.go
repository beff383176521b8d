package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// TestInfoOfDump describes dumps as what they were made of.
func TestInfoOfDump(t *testing.T) {
	core := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare).Core
	status, stdout, stderr := guestcore(t, "info", "--json", core)
	if status != exitOK {
		t.Fatal(stderr)
	}
	whole := object(t, stdout)
	for _, tt := range []struct {
		format, says string
		args         []string // what else has to be said
		registers    bool
	}{
		{"elf", "ELF, 64-bit little-endian EM_386", nil, true},
		{"kdump-lzo", "kdump-lzo, 64-bit little-endian i686, blocks of 4096 bytes", nil, true},
		{"vbox", "VirtualBox VMCore 0x10006, 64-bit little-endian EM_386", nil, true},
		{"lime", "LiME", []string{"--arch", "386"}, false},
	} {
		t.Run(tt.format, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			status, stdout, stderr := guestcore(t, "dump", "--json", "--format", tt.format, core, out)
			if status != exitOK {
				t.Fatal(stderr)
			}
			dumped := object(t, stdout)
			args := append([]string{"info", out}, tt.args...)
			status, stdout, stderr = guestcore(t, append(args, "--json")...)
			if status != exitOK || stderr != "" {
				t.Fatalf("status %d, %q", status, stderr)
			}
			i := object(t, stdout)
			if i["path"] != out || i["format"] != tt.says || i["memory"] != dumped["memory"] || len(i["absent"].([]any)) != 0 {
				t.Errorf("%v, dumped %v", i, dumped)
			}
			want := 0
			if tt.registers {
				want = len(whole["cpus"].([]any))
			}
			cpus := i["cpus"].([]any)
			if len(cpus) != want {
				t.Errorf("vCPUs are %v", cpus)
			}
			for _, c := range cpus {
				if c.(map[string]any)["trust"] != "valid" {
					t.Errorf("vCPU %v", c)
				}
			}
			status, stdout, stderr = guestcore(t, args...)
			if status != exitOK || stderr != "" || !strings.HasPrefix(stdout, "dump           "+tt.says+"\n") ||
				strings.Contains(stdout, "the file has none") == tt.registers {
				t.Errorf("status %d, %q:\n%s", status, stderr, stdout)
			}
			if len(tt.args) > 0 {
				if status, _, stderr := guestcore(t, "info", out); status != exitFailure || !strings.Contains(stderr, "name it with --arch") {
					t.Errorf("status %d, %q", status, stderr)
				}
			}
		})
	}
}

// A dump that is damaged is said to be one.
func TestInfoOfDamaged(t *testing.T) {
	core := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare).Core
	out := filepath.Join(t.TempDir(), "out")
	for _, tt := range []struct {
		format string
		size   int64
		status int
		want   string
	}{
		{"elf", 1 << 20, exitOK, "is behind the end of the file, which is cut short"},
		{"kdump-lzo", 8192, exitFailure, "bitmap 1: "},
	} {
		if status, _, stderr := guestcore(t, "dump", "--format", tt.format, core, out); status != exitOK {
			t.Fatal(stderr)
		}
		if err := os.Truncate(out, tt.size); err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr := guestcore(t, "info", out)
		if status != tt.status || !strings.Contains(stdout+stderr, tt.want) {
			t.Errorf("%s: status %d, %q, %q", tt.format, status, stdout, stderr)
		}
	}
}

// What a full disk does not take is not said to be printed; a reader that has
// enough is no error.
func TestPrintFails(t *testing.T) {
	core := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare).Core
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	r, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	r.Close()
	for _, args := range [][]string{{"info", core}, {"verify", core}, {"help"}, {"help", "dump"}, {"version"}} {
		for out, want := range map[*os.File]int{full: exitFailure, closed: exitOK} {
			if status := Main(args, nil, out, full); status != want {
				t.Errorf("%q: status %d, want %d", args, status, want)
			}
		}
	}
}
