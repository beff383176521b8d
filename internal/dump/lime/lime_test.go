package lime

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

// TestFile holds a file, absent memory left out, against the form's layout byte
// by byte, whatever the guest's byte order.
func TestFile(t *testing.T) {
	parts := []dumptest.Part{
		{Addr: 0x1000, Size: 0x1000},
		{Addr: 0x2000, Size: 0x2000, Kind: dumptest.Zero},
		{Addr: 0x4000, Size: 0x1000, Kind: dumptest.Absent},
		{Addr: 0x123456000, Size: 0x1000},
	}
	for _, g := range arch.Guests {
		m := dumptest.Machine(t, t.TempDir(), g, parts...)
		job, err := Format{}.Plan(m, dump.Options{Partial: true})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "lime")
		if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := append(unhex(t, "454d694c 01000000 0010000000000000 ff3f000000000000 0000000000000000"), dumptest.Want(parts, 0x1000, 0x3000)...)
		want = append(want, unhex(t, "454d694c 01000000 0060452301000000 ff6f452301000000 0000000000000000")...)
		want = append(want, dumptest.Want(parts, 0x123456000, 0x1000)...)
		if !bytes.Equal(got, want) || job.Plan().Size != int64(len(want)) {
			t.Errorf("%s: %d bytes, want %d, planned %d; it begins with %x", g, len(got), len(want), job.Plan().Size, got[:32])
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRefuse(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), arch.Guests[2], dumptest.Part{Size: 0x1000})
	for want, o := range map[string]dump.Options{
		"leave --level out": {Level: 1}, "leave --flattened out": {Flattened: true}, "lime has no virtual addresses": {Paging: true},
	} {
		if _, err := (Format{}).Plan(m, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
