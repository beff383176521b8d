package lzo

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const end = "\x11\x00\x00" // 0001 0001: a far repeat; 00 00: from distance 0

// vectors are derived by hand from the table in the package comment.
var vectors = []struct {
	name, stream, want string
	ours               bool // the encoder writes it like this
}{
	{"empty", end, "", true},
	// 10 = 0001 0 000 with 05: length 2+7+5; 01 00: S 1. Only the distance tells the end.
	{"unusual end", "\x12a\x10\x05\x01\x00", "a", false},
	{"one literal", "\x12a" + end, "a", true},                     // 12 = 17+1
	{"three literals", "\x14abc" + end, "abc", true},              // 14 = 17+3
	{"four literals", "\x15abcd" + end, "abcd", true},             // 15 = 17+4: they count as many
	{"238 literals", "\xff" + long[:238] + end, long[:238], true}, // ff = 17+238
	// 00: a length beyond 15, f1 = 241: 3+15+241 = 259 literals.
	{"259 literals", "\x00\xf1" + long[:259] + end, long[:259], true},
	// 00: a length beyond 15, ff = 255: 3+15+255 = 273 literals.
	{"273 literals", "\x00\xff" + long[:273] + end, long[:273], true},
	// 00: a length beyond 15, 00 = 255 more, 01: 3+15+255+1 = 274 literals.
	{"274 literals", "\x00\x00\x01" + long[:274] + end, long[:274], true},
	// 0f: at the start nothing went before: 15+3 = 18 literals.
	{"literals without first byte", "\x0f" + long[:18] + end, long[:18], false},
	// 12 = 17+1: one literal; 31 = 001 10001: 17+2 = 19 bytes; 00 00: distance 0+1, S 0.
	{"zeros", "\x12\x00\x31\x00\x00" + end, strings.Repeat("\x00", 20), true},
	// 20 = 001 00000: a length beyond 31, 01: 2+31+1 = 34 bytes; 00 00: distance 1.
	{"long repeat", "\x12a\x20\x01\x00\x00" + end, strings.Repeat("a", 35), true},
	// 20, 00 = 255, 0c = 12: 2+31+255+12 = 300 bytes.
	{"longer repeat", "\x12a\x20\x00\x0c\x00\x00" + end, strings.Repeat("a", 301), true},
	// 14: three literals; 4b = 010 010 11: 0+3 = 3 bytes, D 2, S 3; 00: distance 0+2+1 = 3; then the 3 literals.
	{"near 3", "\x14abc\x4b\x00xyz" + end, "abcabcxyz", false},
	// 68 = 011 010 00: 1+3 = 4 bytes, distance 3.
	{"near 4", "\x14abc\x68\x00" + end, "abcabca", false},
	// fc = 1 11 111 00: 3+5 = 8 bytes, D 7; 00: distance 7+1 = 8.
	{"near 8", "\x19abcdefgh\xfc\x00" + end, "abcdefghabcdefgh", false},
	// 14: three literals, so 05 = 0000 01 01 is a repeat of 2 bytes, D 1, S 1; 00: distance 0+1+1 = 2.
	{"repeat of two", "\x14abc\x05\x00x" + end, "abcbcx", false},
	// 14: three literals; 4b 00: "abc", three literals "xyz" through S; again 0000 DDSS: 0c = D 3, S 0; 01: distance 4+3+1 = 8.
	{"repeat of two after S", "\x14abc\x4b\x00xyz\x0c\x01" + end, "abcabcxyzbc", false},
	// 00 00…: 3+15+255*7+248 = 2051 literals; 05 = 0000 01 01: after many a repeat of 3 bytes, D 1, S 1; 00: distance 0+1+2049 = 2050.
	{"repeat of three", "\x00" + strings.Repeat("\x00", 7) + "\xf8" + long[:2051] + "\x05\x00x" + end,
		long[:2051] + long[1:4] + "x", false},
	// 22 = 001 00010: 2+2 = 4 bytes; fd ff = 0xfffd: D 0x3fff, S 1: distance 16384.
	{"far end of the middle", literals16384 + "\x22\xfd\xffx" + end, long[:16384] + long[:4] + "x", false},
	// 12 = 0001 0 010: 2+2 = 4 bytes, H 0; 05 00: D 1, S 1: distance 16384+1.
	{"near end of the far", literals16385 + "\x12\x05\x00x" + end, long[:16385] + long[:4] + "x", false},
	// 1a = 0001 1 010: 4 bytes, H 1; fc ff: D 0x3fff: distance 16384+16384+16383 = 49151.
	{"far end of the far", literals49151 + "\x1a\xfc\xff" + end, long[:49151] + long[:4], false},
	// 18 = 0001 1 000: H 1, a length beyond 7, 05: 2+7+5 = 14 bytes; 00 00: distance 16384+16384 = 32768.
	{"long far repeat", literals49151 + "\x18\x05\x00\x00" + end, long[:49151] + long[49151-32768:][:14], false},
}

// long does not repeat four bytes within reach.
var long = string(noise(49152, 1))

// Literals of these sizes: 3+15 and 255 for each zero, and the last byte.
var (
	literals16384 = "\x00" + strings.Repeat("\x00", 64) + "\x2e" + long[:16384]  // 18+64*255+46
	literals16385 = "\x00" + strings.Repeat("\x00", 64) + "\x2f" + long[:16385]  // 18+64*255+47
	literals49151 = "\x00" + strings.Repeat("\x00", 192) + "\xad" + long[:49151] // 18+192*255+173
)

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			got := make([]byte, len(v.want))
			n, err := Decompress(got, []byte(v.stream))
			if err != nil || n != len(v.want) || string(got) != v.want {
				t.Errorf("unpacked %d bytes %.40q, error %v; want %d bytes %.40q", n, got, err, len(v.want), v.want)
			}
			if packed := Compress(nil, []byte(v.want)); v.ours && string(packed) != v.stream {
				t.Errorf("packed as %.40x, want %.40x", packed, v.stream)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		name, stream string
		room         int
		off, out     int
		err          error
	}{
		{"nothing", "", 4, 0, 0, ErrInputOverrun},
		{"no literals", "\x14ab", 4, 0, 0, ErrInputOverrun},
		{"no end", "\x14abc", 4, 4, 3, ErrInputOverrun},
		{"half an end", "\x14abc\x11\x00", 4, 4, 3, ErrInputOverrun},
		{"half a length", "\x00\x00\x00", 4096, 0, 0, ErrInputOverrun},
		{"half a near repeat", "\x14abc\x48", 8, 4, 3, ErrInputOverrun},
		{"half a repeat of two", "\x14abc\x05", 8, 4, 3, ErrInputOverrun},
		{"no literals after S", "\x14abc\x4b\x00xy", 16, 4, 6, ErrInputOverrun},
		{"too many literals", "\x15abcd" + end, 3, 0, 0, ErrOutputOverrun},
		{"too long a repeat", "\x14abc\x48\x00" + end, 5, 4, 3, ErrOutputOverrun},
		{"too many literals after S", "\x14abc\x4b\x00xyz" + end, 8, 4, 6, ErrOutputOverrun},
		{"endless length", "\x12a\x20" + strings.Repeat("\x00", 100) + "\x01\x00\x00" + end, 4096, 2, 1, ErrOutputOverrun},
		{"before the start", "\x14abc\x4c\x00" + end, 16, 4, 3, ErrLookBehind}, // D 3: distance 4
		{"repeat of nothing", "\x11\x04\x00" + end, 16, 0, 0, ErrLookBehind},
		{"far before the start", "\x14abc\x11\x04\x00" + end, 16, 4, 3, ErrLookBehind},
		{"trailing", "\x14abc" + end + "\x00", 3, 7, 3, ErrTrailing},
		// Bitstream version 1 begins 11 01: in version 0 a repeat, here with 01 14: from distance 16384+0x1401>>2.
		{"version 1", "\x11\x01\x14abc" + end, 3, 0, 0, ErrLookBehind},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, err := Decompress(make([]byte, test.room), []byte(test.stream))
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || !errors.Is(err, ErrCorrupt) || !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if corrupt.Off != test.off || corrupt.Out != test.out || n != test.out {
				t.Errorf("%v; n %d; want it at %d with %d unpacked", err, n, test.off, test.out)
			}
		})
	}
}

// TestCut: no beginning of a stream is a stream, and a buffer one byte short
// is too short.
func TestCut(t *testing.T) {
	data := []byte(long[:500] + long[:300] + strings.Repeat("ab", 300) + long[100:1000])
	stream := Compress(nil, data)
	dst := make([]byte, len(data))
	for i := range stream {
		if _, err := Decompress(dst, stream[:i]); !errors.Is(err, ErrInputOverrun) {
			t.Errorf("cut to %d of %d bytes: %v", i, len(stream), err)
		}
	}
	for i := range data {
		n, err := Decompress(dst[:i], stream)
		if !errors.Is(err, ErrOutputOverrun) || !bytes.Equal(dst[:n], data[:n]) {
			t.Errorf("into %d of %d bytes: %v", i, len(data), err)
		}
	}
}
