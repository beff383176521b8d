package kdump

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"guestcore/internal/lzo"
)

// TestBundle packs batches of all orders of a few kinds of pages and takes them apart again.
func TestBundle(t *testing.T) {
	const size = 4096
	r := rand.New(rand.NewPCG(1, 1))
	noise := randomBytes(r, size, 256)
	stubborn := randomBytes(r, size, 128) // not noise, and LZO makes it no shorter
	kinds := [][]byte{make([]byte, size), noise, stubborn, bytes.Repeat([]byte("text"), size/4)}
	p, err := newLZO(0)
	if err != nil {
		t.Fatal(err)
	}
	var u bundle // one for all, as a goroutine has it
	for order := range 4 * 4 * 4 * 4 {
		u.page = u.page[:0]
		for i := range 4 {
			u.page = append(u.page, kinds[order>>(2*i)&3]...)
		}
		u.pack(p, size)
		var got []byte
		rest := u.data
		for _, k := range u.packs {
			page := make([]byte, size)
			switch stored := rest[:k.size]; {
			case k.size == 0:
			case k.plain:
				copy(page, stored)
			default:
				if n, err := lzo.Decompress(page, stored); err != nil || n != size {
					t.Fatalf("order %#x: %d bytes, %v", order, n, err)
				}
			}
			rest = rest[k.size:]
			got = append(got, page...)
		}
		if !bytes.Equal(got, u.page) || len(rest) > 0 {
			t.Errorf("order %#x: other bytes came back, or %d too many", order, len(rest))
		}
	}
}
