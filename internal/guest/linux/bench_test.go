package linux

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// BenchmarkScan looks through memory all of which is in use.
func BenchmarkScan(b *testing.B) {
	const size = 1 << 30
	file, err := os.Create(filepath.Join(b.TempDir(), "ram"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	r := rand.NewChaCha8([32]byte{})
	buf := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(buf)) {
		r.Read(buf)
		if _, err := file.WriteAt(buf, off); err != nil {
			b.Fatal(err)
		}
	}
	im := &guest.Image{Ranges: []guest.Range{{Size: size}}, Map: &extent.Map[addr.GPA, addr.FileOff]{}, Files: []addr.Source{file}}
	if err := im.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Size: size}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		if found, _, err := scan(b.Context(), im, &scanned{}, all); err != nil || len(found) > 0 {
			b.Fatal(found, err)
		}
	}
}
