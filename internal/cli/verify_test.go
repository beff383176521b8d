package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/vmcore"
)

// writeDump writes the dump of a small guest.
func writeDump(t *testing.T, parts ...dumptest.Part) string {
	t.Helper()
	job, err := vmcore.Format{}.Plan(dumptest.Machine(t, t.TempDir(), arch.Guests[2], parts...), dump.Options{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vmcore")
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVerify(t *testing.T) {
	low, high := dumptest.Part{Addr: 0, Size: 0x3000}, dumptest.Part{Addr: 0x100000, Size: 0x2000}
	whole, same, half := writeDump(t, low, high), writeDump(t, low, high), writeDump(t, low)
	gap := high
	gap.Kind = dumptest.Absent
	labelled := writeDump(t, low, gap)
	damaged, short := writeDump(t, low, high), writeDump(t, low, high)
	f, err := os.OpenFile(damaged, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0}, 0x2345); err != nil { // memory begins at 0x1000
		t.Fatal(err)
	}
	if err := os.Truncate(short, 0x4800); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		args    []string
		ok      bool
		verdict string
		memory  uint64
		want    []string // of the text
	}{
		{"one", []string{whole}, true, isWhole, 0x5000, []string{"whole: 20.0 KiB of guest memory in 2 ranges, digest sha256:"}},
		{"equal", []string{whole, same}, true, isIdentical, 0x5000, []string{"identical: 20.0 KiB", "0x100000-0x102000"}},
		{"a byte", []string{whole, damaged}, false, isDifferent, 0x5000, []string{"different pages of 4 KiB: 1, 0x1000-0x2000",
			"the first byte is at 0x1345", "0x00 at offset 0x2345 of " + damaged, "and    sha256:", whole + " differs from " + damaged}},
		{"a byte elsewhere", []string{"--range", "0-0x1345", "--range=0x1346-0x1347", whole, damaged}, true, isIdentical, 0x1346, nil},
		{"less", []string{whole, half}, false, isUnequal, 0x3000, []string{"only here, not compared: 0x100000-0x102000", "--partial accepts that"}},
		{"less, accepted", []string{"--partial", whole, half}, true, isUnequal, 0x3000, nil},
		{"less, not asked for", []string{"--range", "0-0x100000", whole, half}, true, isIdentical, 0x3000, nil},
		{"labelled", []string{labelled}, true, isPartial, 0x3000, []string{"absent: 0x100000-0x102000 is not in the source"}},
		{"cut", []string{short}, false, isDamaged, 0x3800, []string{"lost: 0x100800-0x102000 is behind the end", short + " is damaged"}},
		{"cut, equal else", []string{short, whole}, false, isDamaged, 0x3800, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := guestcore(t, append([]string{"verify"}, c.args...)...)
			if (status == exitOK) != c.ok || (stderr == "") != c.ok || status > exitFailure {
				t.Errorf("status %d: %s", status, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("nothing of %q in\n%s%s", want, stdout, stderr)
				}
			}
			jsonStatus, stdout, _ := guestcore(t, append([]string{"verify", "--json"}, c.args...)...)
			var v verification
			if err := json.Unmarshal([]byte(stdout), &v); err != nil {
				t.Fatal(err)
			}
			if v.OK != c.ok || v.Verdict != c.verdict || v.Memory != c.memory || jsonStatus != status {
				t.Errorf("status %d: %+v", jsonStatus, v)
			}
		})
	}
	status, _, stderr := guestcore(t, "verify", whole, writeDump(t, dumptest.Part{Addr: 1 << 30, Size: 0x1000}))
	if status != exitFailure || !strings.Contains(stderr, "no memory in common") {
		t.Errorf("status %d: %s", status, stderr)
	}
	status, _, stderr = guestcore(t, "verify", "--range", "0x5000-0x6000", whole)
	if status != exitFailure || !strings.Contains(stderr, "no memory in the ranges of --range") {
		t.Errorf("status %d: %s", status, stderr)
	}
}
