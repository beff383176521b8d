package dump

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func TestIsZero(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 4095, 4096, len(zeros), len(zeros) + 1, 2*len(zeros) + 5} {
		p := make([]byte, n)
		if !IsZero(p) {
			t.Errorf("%d zeros are not zero", n)
		}
		for _, at := range []int{0, n / 2, n - 1} {
			if n == 0 {
				continue
			}
			p[at] = 1
			if IsZero(p) {
				t.Errorf("%d bytes with a 1 at %d are zero", n, at)
			}
			p[at] = 0
		}
	}
}

// TestNonZero holds what is found against the bytes: all of what is left out
// is zero, what is in has no zeros as long as the gap, and pages stay whole.
func TestNonZero(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		off := r.Int64N(3) * r.Int64N(zeroPage)
		p := make([]byte, r.IntN(40*zeroPage))
		for range r.IntN(8) {
			if len(p) > 0 {
				at := r.IntN(len(p))
				clear := p[at:min(len(p), at+r.IntN(5*zeroPage))]
				for i := range clear {
					clear[i] = 1
				}
			}
		}
		gap := r.IntN(6) * zeroPage
		last := 0
		for start, end := range nonZero(p, off, gap) {
			if start < last || end <= start || end > len(p) {
				t.Fatalf("seed %d: part %d-%d behind %d of %d", seed, start, end, last, len(p))
			}
			if !IsZero(p[last:start]) {
				t.Fatalf("seed %d: %d-%d is left out and not zero", seed, last, start)
			}
			if start != 0 && (off+int64(start))%zeroPage != 0 || end != len(p) && (off+int64(end))%zeroPage != 0 {
				t.Fatalf("seed %d: part %d-%d breaks a page of the file, off %#x", seed, start, end, off)
			}
			if last != 0 && start-last < gap {
				t.Fatalf("seed %d: %d zeros part %d and %d, gap is %d", seed, start-last, last, start, gap)
			}
			if bytes.Contains(p[start:end], make([]byte, gap+2*zeroPage)) {
				t.Fatalf("seed %d: part %d-%d has more zeros than gap %d", seed, start, end, gap)
			}
			last = end
		}
		if !IsZero(p[last:]) {
			t.Fatalf("seed %d: %d-%d is left out and not zero", seed, last, len(p))
		}
	}
}

// BenchmarkIsZero goes through 64 MiB, more than the caches hold. The rival
// looks at eight bytes at a time.
func BenchmarkIsZero(b *testing.B) {
	p := make([]byte, 64<<20)
	for i := range p {
		p[i] = byte(i) // so that memory is really there
	}
	clear(p)
	words := func(p []byte) bool {
		var or uint64
		for ; len(p) >= 32; p = p[32:] {
			or |= binary.LittleEndian.Uint64(p) | binary.LittleEndian.Uint64(p[8:]) |
				binary.LittleEndian.Uint64(p[16:]) | binary.LittleEndian.Uint64(p[24:])
		}
		return or == 0
	}
	for name, zero := range map[string]func([]byte) bool{"equal": IsZero, "words": words} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				for at := 0; at < len(p); at += zeroPage {
					if !zero(p[at : at+zeroPage]) {
						b.Fatal("not zero")
					}
				}
			}
		})
	}
}
