package wire

import (
	"bytes"
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
