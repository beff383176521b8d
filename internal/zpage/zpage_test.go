package zpage

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// decoder is the judge.
func decoder(t testing.TB) *zstd.Decoder {
	t.Helper()
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// samples are pages of all kinds, of n bytes.
func samples(n int) map[string][]byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	fill := func(f func(i int) byte) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = f(i)
		}
		return p
	}
	all := map[string][]byte{
		"zeros":       make([]byte, n),
		"noise":       fill(func(int) byte { return byte(r.Uint32()) }),
		"two bytes":   fill(func(int) byte { return byte(r.Uint32N(2)) * 200 }),
		"text":        fill(func(i int) byte { return fmt.Sprintf("%8d: a line of a log\n", i/26)[i%26] }),
		"seven bits":  fill(func(int) byte { return byte(r.Uint32N(128)) }),
		"skewed":      fill(func(int) byte { return byte(min(r.ExpFloat64()*3, 255)) }),
		"very skewed": fill(func(int) byte { return byte(min(r.ExpFloat64()*.6, 255)) }),
		"high bytes":  fill(func(int) byte { return 255 - byte(min(r.ExpFloat64()*20, 255)) }),
		"pointers": fill(func(i int) byte {
			return []byte{byte(i * 5), byte(i >> 4), byte(r.Uint32N(4)), 0x81, 0xff, 0xff, 0xff, 0xff}[i%8]
		}),
		"one byte then": fill(func(i int) byte { return byte(i / max(n-1, 1)) }),
		"periods":       fill(func(i int) byte { return byte(i % 37 * (1 + i/1000)) }),
		"fibonacci":     fibonacci(n),
		"ramp":          fill(func(i int) byte { return byte(i) }),
	}
	mixed := bytes.Clone(all["text"])
	copy(mixed[n/3:], all["noise"][:n/3])
	copy(mixed[n/2:], mixed[:n/4])
	all["mixed"] = mixed
	return all
}

// fibonacci has bytes so differently frequent that codes would get longer than
// the format has them.
func fibonacci(n int) []byte {
	p := make([]byte, 0, n)
	for a, b, i := 1, 1, 0; len(p) < n; a, b, i = b, a+b, i+1 {
		p = append(p, bytes.Repeat([]byte{byte(i)}, min(a, n-len(p)))...)
	}
	r := rand.New(rand.NewPCG(2, 2))
	r.Shuffle(n, func(i, j int) { p[i], p[j] = p[j], p[i] })
	return p
}

func check(t testing.TB, d *zstd.Decoder, e *Encoder, page []byte) int {
	t.Helper()
	prefix := []byte("what was there")
	frame, ok := bytes.CutPrefix(e.Compress(prefix, page), prefix)
	if !ok {
		t.Fatal("dst was overwritten")
	}
	if len(frame) > len(page)+10 {
		t.Errorf("%d bytes became %d", len(page), len(frame))
	}
	got, err := d.DecodeAll(frame, nil)
	if err != nil || !bytes.Equal(got, page) {
		t.Fatalf("%d bytes became %d, these other bytes (%v)", len(page), len(frame), err)
	}
	return len(frame)
}

func TestRoundTrip(t *testing.T) {
	d := decoder(t)
	var e Encoder
	for _, n := range []int{0, 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 255, 256, 257, 1000, 1023, 1024, 2000, 4096, 5000, 16383, 16384, 32768, MaxSize} {
		for name, page := range samples(n) {
			t.Run(fmt.Sprintf("%s, %d bytes", name, n), func(t *testing.T) { check(t, d, &e, page) })
		}
	}
}

// TestManyPages tries pages put together of short pieces at random, some of
// which repeat.
func TestManyPages(t *testing.T) {
	d := decoder(t)
	var e Encoder
	r := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		page := make([]byte, 0, 8192)
		for n := r.IntN(7000); len(page) < n; {
			switch k := r.IntN(40) + 1; r.IntN(4) {
			case 0:
				page = append(page, bytes.Repeat([]byte{byte(r.Uint32())}, k)...)
			case 1:
				for range k {
					page = append(page, byte(r.Uint32()))
				}
			case 2:
				for range k {
					page = append(page, byte('a'+r.IntN(3+n%20)))
				}
			default:
				if len(page) > 0 {
					from := r.IntN(len(page))
					page = append(page, page[from:min(len(page), from+k*r.IntN(20))]...)
				}
			}
		}
		check(t, d, &e, page)
	}
}

// TestSizes holds what comes out against what a library makes of it.
func TestSizes(t *testing.T) {
	var e Encoder
	library, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		t.Fatal(err)
	}
	defer library.Close()
	for name, page := range samples(4096) {
		ours, theirs := len(e.Compress(nil, page)), len(library.EncodeAll(page, nil))
		if float64(ours) > float64(theirs)*1.1+8 {
			t.Errorf("%s: %d bytes, a library makes %d", name, ours, theirs)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, page := range samples(600) {
		f.Add(page, uint8(7))
	}
	f.Fuzz(func(t *testing.T, page []byte, times uint8) {
		page = bytes.Repeat(page, int(times%16)+1)
		check(t, decoder(t), new(Encoder), page[:min(len(page), MaxSize)])
	})
}

// BenchmarkCompress goes over pages of all samples.
func BenchmarkCompress(b *testing.B) {
	all := slices.Collect(maps.Values(samples(4096)))
	library, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		b.Fatal(err)
	}
	defer library.Close()
	var e Encoder
	for name, compress := range map[string]func(dst, page []byte) []byte{
		"zpage": e.Compress, "library": func(dst, page []byte) []byte { return library.EncodeAll(page, dst) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(all) * 4096))
			var dst []byte
			packed := 0
			for b.Loop() {
				packed = 0
				for _, page := range all {
					dst = compress(dst[:0], page)
					packed += len(dst)
				}
			}
			b.ReportMetric(float64(packed)/float64(len(all)*4096), "ratio")
		})
	}
}
