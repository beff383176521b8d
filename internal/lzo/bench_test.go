package lzo

import (
	"fmt"
	"testing"
)

var sizes = []int{4 << 10, 64 << 10}

// The benchmarks go over pages of all samples but zeros, a sixth of them noise.

func BenchmarkCompress(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			all := pages(size)
			dst := make([]byte, 0, MaxCompressedSize(size))
			var e Encoder
			packed := 0
			b.SetBytes(int64(len(all) * size))
			for b.Loop() {
				packed = 0
				for _, page := range all {
					packed += len(e.Compress(dst, page))
				}
			}
			b.ReportMetric(float64(packed)/float64(len(all)*size), "ratio")
		})
	}
}

func BenchmarkDecompress(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			all := pages(size)
			streams := make([][]byte, len(all))
			for i, page := range all {
				streams[i] = Compress(nil, page)
			}
			dst := make([]byte, size)
			b.SetBytes(int64(len(all) * size))
			for b.Loop() {
				for _, stream := range streams {
					if _, err := Decompress(dst, stream); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
