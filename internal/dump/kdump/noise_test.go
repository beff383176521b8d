package kdump

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func randomBytes(r *rand.Rand, n, below int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.IntN(below))
	}
	return p
}

func TestIsNoise(t *testing.T) {
	const tries = 2000
	r := rand.New(rand.NewPCG(1, 1))
	for _, size := range []int{4096, maxBlock} {
		noise := 0
		for range tries {
			if isNoise(randomBytes(r, size, 256)) {
				noise++
			}
		}
		if noise < tries*99/100 {
			t.Errorf("%d of %d pages of %d random bytes are noise", noise, tries, size)
		}
		pointers := make([]byte, size)
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(pointers[i:], 0xffff888000000000|r.Uint64()&0x3fffffff)
		}
		random := randomBytes(r, size, 256)
		for name, page := range map[string][]byte{
			"zeros":                  make([]byte, size),
			"one byte":               bytes.Repeat([]byte{0xaa}, size),
			"pointers":               pointers,
			"half of it zero":        append(make([]byte, size/2), random[size/2:]...),
			"an eighth of it zero":   append(make([]byte, size/8), random[size/8:]...),
			"both halves the same":   bytes.Repeat(random[:size/2], 2),
			"a sector, repeated":     bytes.Repeat(random[:512], size/512),
			"base64":                 []byte(base64.StdEncoding.EncodeToString(random))[:size],
			"seven bits of eight":    randomBytes(r, size, 128),
			"three quarters of 256":  randomBytes(r, size, 160),
			"a word of eight random": words(r, size),
		} {
			if isNoise(page) {
				t.Errorf("%s: %d bytes are taken for noise", name, size)
			}
		}
	}
}

// words are eight words of random bytes, in any order.
func words(r *rand.Rand, size int) []byte {
	known := randomBytes(r, 64, 256)
	var page []byte
	for len(page) < size {
		page = append(page, known[r.IntN(8)*8:][:8]...)
	}
	return page
}

func BenchmarkIsNoise(b *testing.B) {
	page := randomBytes(rand.New(rand.NewPCG(1, 1)), 4096, 256)
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		isNoise(page)
	}
}
