package wire

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// TestRunsEverywhere holds beforeRun to a plain search, for runs of all
// lengths at all places.
func TestRunsEverywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		p := make([]byte, r.IntN(40))
		for i := range p {
			p[i] = byte('0' + r.IntN(3))
		}
		want := len(p)
		for i := 0; i+minRepeat < len(p); i++ {
			if bytes.Count(p[i:i+minRepeat+1], p[i:i+1]) == minRepeat+1 {
				want = i
				break
			}
		}
		if got := beforeRun(p); got != want {
			t.Fatalf("%q: the first run is said to be at %d, not %d", p, got, want)
		}
	}
}

// TestChecksum holds the sum of many bytes at once to that of each.
func TestChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 6000 {
		p := bytes.Repeat([]byte{0xff}, n) // the largest sums
		if n%2 == 1 {
			for i := range p {
				p[i] = byte(r.Uint32())
			}
		}
		var want byte
		for _, c := range p {
			want += c
		}
		if got := checksum(p); got != want {
			t.Fatalf("of %d bytes: %#x, not %#x", n, got, want)
		}
	}
}

// BenchmarkAppendPacket is the cost of a MiB of memory in hex.
func BenchmarkAppendPacket(b *testing.B) {
	body := make([]byte, 1<<17)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range body {
		body[i] = hexDigits[r.IntN(16)]
	}
	var dst []byte
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		dst = AppendPacket(dst[:0], body)
	}
}

// BenchmarkZeros is the cost of memory without anything in it.
func BenchmarkZeros(b *testing.B) {
	body := bytes.Repeat([]byte("0"), 1<<17)
	var dst []byte
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		dst = AppendPacket(dst[:0], body)
	}
}

// TestRunsOfAllLengths takes apart what was made of runs, by the decoder.
func TestRunsOfAllLengths(t *testing.T) {
	for n := range 500 {
		body := append(bytes.Repeat([]byte("0"), n), "1f"...)
		packet := AppendPacket(nil, body)
		dec := NewReplyDecoder(1000)
		var got []byte
		for _, c := range packet {
			if e, ok := dec.Byte(c); ok && e.Kind == Packet {
				got = e.Body
			}
		}
		if !bytes.Equal(got, body) {
			t.Fatalf("a run of %d is sent as %q, which is %q", n, packet, got)
		}
		if most := 3*(n/98) + 12; len(packet) > most {
			t.Fatalf("a run of %d takes %d bytes: %q", n, len(packet), packet)
		}
	}
}

// TestHex holds hex digits to the standard library's, with and without pages
// of zeros.
func TestHex(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 12288, 20000} {
		for _, at := range []int{-1, 0, 4095, 4096, 9000} { // of the byte that is not 0
			p := make([]byte, n)
			if at >= 0 && at < n {
				p[at] = 0xa5
			}
			if got, want := string(AppendHex([]byte("b"), p)), "b"+hex.EncodeToString(p); got != want {
				t.Errorf("%d bytes, one at %d that is not 0: %d digits are not the %d that they should be", n, at, len(got), len(want))
			}
		}
	}
}

// BenchmarkHex is the cost of the digits of memory with nothing in it.
func BenchmarkHex(b *testing.B) {
	p := make([]byte, 1<<16)
	var dst []byte
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		dst = AppendHex(dst[:0], p)
	}
}
