package lzo

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// roundTrip packs data, unpacks it and returns the stream.
func roundTrip(t *testing.T, e *Encoder, data []byte) []byte {
	t.Helper()
	stream := e.Compress(nil, data)
	if limit := MaxCompressedSize(len(data)); len(stream) > limit {
		t.Fatalf("%d bytes became %d, more than %d", len(data), len(stream), limit)
	}
	got := make([]byte, len(data))
	n, err := Decompress(got, stream)
	if err != nil || n != len(data) || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes came back as %d, the first %d right: %v", len(data), n, same(got, data), err)
	}
	return stream
}

func TestRoundTripSizes(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			var e Encoder
			data := s.make(5000)
			for n := range 5001 {
				roundTrip(t, &e, data[:n])
			}
			for _, n := range []int{64 << 10, 64<<10 + 1, 1 << 20} {
				roundTrip(t, &e, s.make(n))
			}
		})
	}
}

// TestRoundTripRepeats has a repeat of each size, from each distance around
// which the instruction changes.
func TestRoundTripRepeats(t *testing.T) {
	var e Encoder
	distances := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 64, 1000, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 16383, 16384,
		16385, 32767, 32768, 32769, 49150, 49151, 49152, 60000}
	for _, distance := range distances {
		data := append(noise(7, 7), noise(distance, uint64(distance))...)
		for size := range 600 {
			if distance > 4096 && size > 40 && size%50 > 2 {
				continue
			}
			b := data
			for range size {
				b = append(b, b[len(b)-distance])
			}
			roundTrip(t, &e, append(b, noise(size%20+8, 8)...))
		}
	}
}

// TestReach: a repeat is found as far back as there is an instruction for it.
func TestReach(t *testing.T) {
	var e Encoder
	piece := noise(64, 13)
	for distance := 128; distance < 50000; distance += 17 {
		data := make([]byte, distance, distance+len(piece))
		copy(data, piece)
		stream := roundTrip(t, &e, append(data, piece...))
		if found := bytes.Count(stream, piece[32:]) == 1; found != (distance <= maxDistance) {
			t.Errorf("a repeat from %d back is found: %v", distance, found)
		}
	}
}

// TestLongest packs what grows most: literals just too many for one byte of
// length, and repeats that save one byte.
func TestLongest(t *testing.T) {
	var e Encoder
	for literals := 1; literals < 60; literals++ {
		data := noise(3000, 15)
		for i := uint64(0); len(data) < 64<<10; i++ {
			data = append(data, noise(literals, 100+i)...)
			data = append(data, data[len(data)-2500:][:4]...)
		}
		roundTrip(t, &e, data)
	}
}

// TestAfterNoise: much noise does not spoil what follows it.
func TestAfterNoise(t *testing.T) {
	var e Encoder
	alone := len(roundTrip(t, &e, text(8<<10)))
	before := len(roundTrip(t, &e, noise(56<<10, 14)))
	if both := len(roundTrip(t, &e, append(noise(56<<10, 14), text(8<<10)...))); both > before+alone+alone/4 {
		t.Errorf("noise takes %d bytes, text %d, text behind noise %d", before, alone, both-before)
	}
}

// TestInstructions unpacks a repeat from each distance, of many sizes and with
// 0 to 20 literals behind it.
func TestInstructions(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 0))
	want := noise(maxDistance, 10)
	w := writer{out: make([]byte, 8<<20)}
	w.literals(want, 0, len(want))
	for distance := 1; distance <= maxDistance; distance++ {
		size := 3 + r.IntN(1<<r.IntN(10))
		w.repeat(distance, size)
		for range size {
			want = append(want, want[len(want)-distance])
		}
		from := len(want)
		want = append(want, noise(r.IntN(1<<r.IntN(6)), r.Uint64())...)
		w.literals(want, from, len(want))
	}
	w.end()
	got := make([]byte, len(want))
	n, err := Decompress(got, w.out[:w.n])
	if err != nil || n != len(want) || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of %d, the first %d right: %v", n, len(want), same(got, want), err)
	}
}

// TestRepeatable: a block's stream does not depend on the blocks before it,
// also when the encoder's time is over.
func TestRepeatable(t *testing.T) {
	var used Encoder
	for i, page := range pages(4096) {
		if i%10 == 9 {
			used.now = math.MaxUint32 - uint32(i*20)
		}
		if got, want := used.Compress(nil, page), new(Encoder).Compress(nil, page); !bytes.Equal(got, want) {
			t.Fatalf("page %d: %d bytes, from a new encoder %d", i, len(got), len(want))
		}
	}
}

func TestAppend(t *testing.T) {
	data := text(1000)
	want := append([]byte("before"), Compress(nil, data)...)
	if got := Compress([]byte("before"), data); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestNoAllocation(t *testing.T) {
	var e Encoder
	data := text(4096)
	stream := make([]byte, 0, MaxCompressedSize(len(data)))
	out := make([]byte, len(data))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Decompress(out, e.Compress(stream, data)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a page", n)
	}
}
