package guest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

type memory = extent.Extent[addr.GPA, addr.FileOff]

// image is a guest whose memory is as the extents say, in one file that holds
// data.
func image(t *testing.T, data []byte, extents ...memory) *Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ram")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	im := &Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}, Files: []addr.Source{f}}
	for _, e := range extents {
		if err := im.Map.Insert(e); err != nil {
			t.Fatal(err)
		}
		im.Ranges = append(im.Ranges, Range{Addr: e.Addr, Size: e.Size})
	}
	return im
}

func TestReadAt(t *testing.T) {
	const size = 1 << 12
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(1 + r.UintN(255))
	}
	// Pieces of the file in a shuffled order, zeros and gaps between.
	var extents []memory
	var want []byte // bytes from 0 on; known says which there are
	var known []bool
	for len(want) < size {
		n := 1 + r.IntN(200)
		e := memory{Addr: addr.GPA(len(want)), Size: uint64(n), Off: addr.InFile(0, int64(r.IntN(size-n)))}
		part := data[e.Off.Offset():][:n]
		switch r.IntN(4) {
		case 0:
			e.Kind, part = extent.Zero, make([]byte, n)
		case 1:
			e.Kind = extent.Omitted
		}
		want = append(want, part...)
		for range n {
			known = append(known, e.Kind.Present())
		}
		extents = append(extents, e)
	}
	im := image(t, data, extents...)
	if im.Size() != uint64(len(want)) {
		t.Errorf("Size %d, want %d", im.Size(), len(want))
	}
	for range 5000 {
		off := r.IntN(len(want))
		p := bytes.Repeat([]byte{0}, r.IntN(400))
		n, err := im.ReadAt(p, int64(off))
		end := off
		for end < len(want) && known[end] && end-off < len(p) {
			end++
		}
		if n != end-off || (err == nil) != (n == len(p)) {
			t.Fatalf("ReadAt(%d bytes, %#x) = %d, %v; want %d", len(p), off, n, err, end-off)
		}
		if !bytes.Equal(p[:n], want[off:end]) {
			t.Fatalf("ReadAt(%d bytes, %#x): wrong bytes", len(p), off)
		}
	}
}

func TestReadAtErrors(t *testing.T) {
	im := image(t, make([]byte, 24),
		memory{Addr: 0x10, Size: 8, Kind: extent.Lost},
		memory{Addr: 0x20, Size: 8, Kind: extent.Omitted},
		memory{Addr: 0x30, Size: 16, Off: 16},
	)
	for _, tt := range []struct {
		name string
		off  int64
		n    int
		want string
		is   error
	}{
		{"gap", 0x8, 0, "no memory at 0x8", nil},
		{"negative", -8, 0, "no memory at 0xfffffffffffffff8", nil},
		{"lost", 0x12, 0, "0x12 is not in the source (lost)", nil},
		{"omitted", 0x20, 0, "0x20 is not in the source (omitted)", nil},
		{"file ends early", 0x34, 4, "0x38: unexpected EOF", io.ErrUnexpectedEOF},
		{"file ended before", 0x3a, 0, "0x3a: unexpected EOF", io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := im.ReadAt(make([]byte, 6), tt.off)
			if n != tt.n || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%d, %v; want %d, … %s …", n, err, tt.n, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
		})
	}
}

func TestReadAtClosedFile(t *testing.T) {
	im := image(t, make([]byte, 8), memory{Addr: 0, Size: 8})
	im.Files[0].(*os.File).Close()
	if n, err := im.ReadAt(make([]byte, 8), 0); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("%d, %v; want 0 and os.ErrClosed", n, err)
	}
}
