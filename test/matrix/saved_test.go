package matrix

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/vmcore"
)

// compareSaved returns in what our dump of a guest that QEMU cannot dump differs from the memory that QEMU saved to files.
// There are no notes to compare.
func compareSaved(t *testing.T, fixture *rig.Fixture, ours *vmcore.File) []error {
	t.Helper()
	for _, w := range fixture.Config.Saved {
		saved, err := os.Open(fixture.Saved(w))
		if err != nil {
			t.Fatal(err)
		}
		defer saved.Close()
		const chunk = 1 << 20
		a, b := make([]byte, chunk), make([]byte, chunk)
		for at := uint64(0); at < w.Length; at += chunk {
			if !ours.Has(w.Begin + at) {
				return []error{fmt.Errorf("%#x of the guest's memory is not in the dump", w.Begin+at)}
			}
			if err := ours.ReadGuest(a, w.Begin+at); err != nil {
				t.Fatal(err)
			}
			if _, err := saved.ReadAt(b, int64(at)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a, b) {
				return []error{fmt.Errorf("the guest's memory differs in the MiB at %#x", w.Begin+at)}
			}
		}
	}
	return nil
}
