package limefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"guestcore/internal/dump/dumptest"
	"guestcore/internal/extent"
)

// ranged adds a range and its memory, by hand.
func ranged(b []byte, first, last uint64, data string) []byte {
	b = append(b, "EMiL\x01\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint64(b, last)
	return append(b, "\x00\x00\x00\x00\x00\x00\x00\x00"+data...)
}

func open2(b []byte) (*File, error) { return New(bytes.NewReader(b), int64(len(b))) }

func TestNew(t *testing.T) {
	b := ranged(ranged(nil, 0x1000, 0x1003, "abcd"), 0x1004, 0x1013, "0123")
	f, err := open2(b)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range f.Map.Extents() {
		got = append(got, fmt.Sprintf("%#x+%d %v %d", uint64(e.Addr), e.Size, e.Kind, e.Off.Offset()))
	}
	if want := "0x1000+4 data 32, 0x1004+4 data 68, 0x1008+12 lost 0"; strings.Join(got, ", ") != want || len(f.Ranges) != 2 {
		t.Errorf("%s, want %s; ranges %+v", strings.Join(got, ", "), want, f.Ranges)
	}
}

func TestDamage(t *testing.T) {
	good := ranged(nil, 0x1000, 0x1003, "abcd")
	for _, c := range []struct {
		b    []byte
		want string
		off  int64
	}{
		{append(good[:len(good):len(good)], bytes.Repeat([]byte{'x'}, 40)...), `a range begins with "xxxx", not with "EMiL"`, 36},
		{ranged(good[:len(good):len(good)], 0x1003, 0x1004, "a"), "a range begins at 0x1003, before the end of the last one, 0x1004", 44},
		{ranged(nil, 5, 4, ""), "a range from 0x5 to 0x4: no guest has that", 8},
		{ranged(nil, 0, 1<<63, ""), "no guest has that", 8},
		{ranged(nil, 0, 1<<62, ""), "no file has that", 8},
		{append([]byte("EMiL\x02"), good[5:]...), "of version 2: only 1 is known", 4},
	} {
		fe := (*FormatError)(nil)
		if _, err := open2(c.b); !errors.As(err, &fe) || fe.Off != c.off || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q at %#x", err, c.want, c.off)
		}
	}
	if _, err := open2(good[:len(good):len(good)][:36]); err != nil {
		t.Error(err)
	}
	if _, err := open2(append(good[:len(good):len(good)], good[:20]...)); err == nil || !strings.Contains(err.Error(), "offset 0x24: unexpected EOF") {
		t.Errorf("cut within a header: %v", err)
	}
	for _, b := range []string{"", "EMiL", strings.Repeat("hello", 20)} {
		if _, err := open2([]byte(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

// FuzzNew wants an image whose parts lie in the file and in the ranges,
// whatever the file says.
func FuzzNew(f *testing.F) {
	f.Add(ranged(ranged(nil, 0x1000, 0x1003, "abcd"), 0x2000, 0x2010, "0123"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v *File
		var err error
		if n := dumptest.Allocated(func() { v, err = open2(b) }); n > uint64(len(b))*64+1<<20 {
			t.Errorf("%d bytes allocated for a file of %d", n, len(b))
		}
		if err != nil {
			return
		}
		size := uint64(0)
		for _, e := range v.Map.Extents() {
			size += e.Size
			if e.Kind == extent.Data && uint64(e.Off.Offset())+e.Size > uint64(len(b)) {
				t.Errorf("%+v is not in a file of %d bytes", e, len(b))
			}
		}
		if size != v.Image.Size() || len(v.Ranges) > len(b)/headerSize {
			t.Errorf("%d bytes in the map, %d in %d ranges", size, v.Image.Size(), len(v.Ranges))
		}
	})
}
