package guest

import (
	"bytes"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

func TestWith(t *testing.T) {
	im := image(t, bytes.Repeat([]byte{1}, 8), memory{Addr: 0, Size: 8}, memory{Addr: 8, Size: 8, Kind: extent.Zero}, memory{Addr: 32, Size: 8})
	patches := []Patch{{6, []byte("abcd")}, {7, []byte("x")}, {12, nil}, {39, []byte("z")}}
	out, err := im.With(patches)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 16)
	if _, err := out.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if want := "\x01\x01\x01\x01\x01\x01axcd\x00\x00\x00\x00\x00\x00"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := im.ReadAt(got, 0); err != nil || bytes.Contains(got, []byte("a")) {
		t.Errorf("the image itself has changed: %q %v", got, err)
	}
	for _, p := range []Patch{{14, []byte("abcd")}, {20, []byte("a")}, {addr.GPA(38), []byte("abc")}} {
		if _, err := im.With([]Patch{p}); err == nil {
			t.Errorf("%d bytes at %d are put where the guest has no memory", len(p.Bytes), p.Addr)
		}
	}
}
