package lzo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
)

// noise is n random bytes, the same each time.
func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// sample is data of a kind: make returns the first n bytes of it.
type sample struct {
	name string
	make func(n int) []byte
}

// samples are kinds of data that a guest's memory has.
var samples = []sample{
	{"zeros", func(n int) []byte { return make([]byte, n) }},
	{"noise", func(n int) []byte { return noise(n, 2) }},
	{"text", text},
	{"page-table", func(n int) []byte { return words(n, pageTable) }},
	{"slab", func(n int) []byte { return words(n, slab) }},
	{"few-bytes", func(n int) []byte {
		b := noise(n, 3)
		for i := range b {
			b[i] = b[i] & 3
		}
		return b
	}},
	{"pieces", pieces},
}

// text is made of words of a small language.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(4, 0))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "[%5d.%06d] %s: %s %s at %#x\n", b.Len()/80, r.IntN(1e6), verbs[r.IntN(len(verbs))], verbs[r.IntN(len(verbs))],
			verbs[r.IntN(len(verbs))], r.Uint32())
	}
	return b.Bytes()[:n]
}

var verbs = []string{"kernel", "mount", "interrupt", "device", "page", "fault", "scheduler", "reset", "queue", "wait", "lock", "timer"}

// words is n bytes of little-endian words.
func words(n int, next func(i int, r *rand.Rand) uint64) []byte {
	r := rand.New(rand.NewPCG(5, 0))
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = binary.LittleEndian.AppendUint64(b, next(i, r))
	}
	return b[:n]
}

// pageTable is x86's: runs of present entries among empty ones.
func pageTable(i int, r *rand.Rand) uint64 {
	switch {
	case i/32%3 == 0:
		return 0
	case r.IntN(8) == 0:
		return uint64(r.IntN(1<<18))<<12 | 0x8000000000000025
	}
	return uint64(i+0x1a000)<<12 | 0x8000000000000067
}

// slab is objects of 192 bytes: pointers of the direct map, counters, text, free space.
func slab(i int, r *rand.Rand) uint64 {
	switch i % 24 {
	case 0, 1, 6, 7:
		return 0xffff8d7d80000000 + uint64(r.IntN(1<<20))<<6
	case 2:
		return 0xffffffff85a01340
	case 3:
		return uint64(r.IntN(100))
	case 4:
		return uint64(i/24)<<32 | 1
	case 5:
		return 0x0064726f77796b73
	case 12:
		return r.Uint64()
	}
	return 0
}

// pieces is noise and repeats of all lengths from all distances.
func pieces(n int) []byte {
	r := rand.New(rand.NewPCG(6, 0))
	b := make([]byte, 0, n+1000)
	for len(b) < n {
		b = append(b, noise(r.IntN(30), r.Uint64())...)
		if len(b) == 0 {
			continue
		}
		from := len(b) - 1 - r.IntN(min(len(b), 60000))
		for range r.IntN(1 << (1 + r.IntN(9))) {
			b = append(b, b[from])
			from++
		}
	}
	return b[:n]
}

// pages is 64 pages of every sample but zeros, each of size bytes.
func pages(size int) [][]byte {
	var all [][]byte
	for _, s := range samples[1:] {
		all = append(all, slices.Collect(slices.Chunk(s.make(64*size), size))...)
	}
	return all
}
