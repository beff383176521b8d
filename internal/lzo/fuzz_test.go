package lzo

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	peer "github.com/anchore/go-lzo"
)

// FuzzDecompress: whatever the stream, nothing is written behind dst, an error
// is of the kinds told, and go-lzo unpacks the same bytes.
func FuzzDecompress(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(v.stream), uint16(len(v.want)))
		f.Add([]byte(v.stream), uint16(len(v.want)/2))
	}
	for _, s := range samples {
		f.Add(Compress(nil, s.make(300)), uint16(300))
	}
	f.Fuzz(func(t *testing.T, stream []byte, room uint16) {
		buffer := bytes.Repeat([]byte{0xa5}, int(room)+64)
		n, err := Decompress(buffer[:room], stream)
		if rest := buffer[room:]; !bytes.Equal(rest, bytes.Repeat([]byte{0xa5}, len(rest))) {
			t.Fatal("bytes behind dst are changed")
		}
		var corrupt *CorruptError
		if err != nil && (!errors.As(err, &corrupt) || !errors.Is(err, ErrCorrupt) || corrupt.Out != n || corrupt.Off > len(stream)) {
			t.Fatalf("n %d, error %v", n, err)
		}
		theirs := make([]byte, room)
		m, failure := guarded(stream, theirs)
		switch {
		case err == nil && failure == nil:
			if n != m || !bytes.Equal(buffer[:n], theirs[:m]) {
				t.Fatalf("%d bytes, go-lzo has %d, or others", n, m)
			}
		case err == nil && commonEnd(stream, buffer[:room]):
			t.Fatalf("%d bytes, go-lzo says %v", n, failure)
		case err == nil: // go-lzo takes no other end marker than the common one; liblzo2 and we do, as TestVerdicts shows
		case failure == nil:
			t.Fatalf("%v, go-lzo has %d bytes", err, m)
		}
	})
}

// commonEnd reports whether the last instruction of a stream is 11 00 00.
func commonEnd(stream, dst []byte) bool {
	before, ok := bytes.CutSuffix(stream, []byte(end))
	_, err := Decompress(dst, before)
	var corrupt *CorruptError
	return ok && errors.As(err, &corrupt) && corrupt.Off == len(before)
}

// guarded is go-lzo's Decompress; its panics are errors.
func guarded(stream, dst []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return peer.Decompress(stream, dst)
}

// FuzzRoundTrip: what is packed comes back, also after other blocks.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range samples {
		f.Add(s.make(1000), uint16(3))
	}
	var e Encoder
	f.Fuzz(func(t *testing.T, data []byte, again uint16) {
		// The fuzzer's inputs are short: a second part repeats the first from further back.
		data = append(append(data[:len(data):len(data)], noise(int(again), 12)...), data...)
		stream := roundTrip(t, &e, data)
		got := make([]byte, len(data))
		if n, err := peer.Decompress(stream, got); err != nil || !bytes.Equal(got[:n], data) {
			t.Fatalf("go-lzo has %d of %d bytes: %v", n, len(data), err)
		}
	})
}
