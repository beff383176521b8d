package kdumpfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// block is the size of a page in these tests, bytes.
const block = 512

// page is what a file of small has at a page.
func page(n int) []byte {
	return bytes.Repeat([]byte{byte(n), byte(n >> 8), 'x'}, 2000)[:block]
}

// small is a file with pages 1, 2, 3 and 9 of ten, made by hand: 64-bit,
// big-endian, plain.
func small() []byte {
	b := make([]byte, 5*block)
	be := binary.BigEndian
	copy(b, "KDUMP   ")
	be.PutUint32(b[8:], 6)
	copy(b[12:], "Linux")
	for i, w := range []uint32{0x1, block, 1, 2, 10, 0, 0, 0, 0, 2} {
		be.PutUint32(b[424+4*i:], w)
	}
	sub := b[block:]
	be.PutUint64(sub, 0x1234)
	be.PutUint32(sub[8:], 1)
	be.PutUint64(sub[96:], 10)
	b[2*block], b[2*block+1] = 0xff, 0xff
	b[3*block], b[3*block+1] = 0x0e, 0xfe // pages behind the last one too
	for i, n := range []int{1, 2, 3, 9} {
		d := b[4*block+24*i:]
		be.PutUint64(d, uint64(len(b)))
		be.PutUint32(d[8:], block)
		b = append(b, page(n)...)
	}
	return b
}

// flatten is a file in records of n bytes, the last ones first. Such as are
// zero are left out, as QEMU does.
func flatten(b []byte, n int) []byte {
	out := make([]byte, 4096)
	copy(out, "makedumpfile")
	binary.BigEndian.PutUint64(out[16:], 1)
	binary.BigEndian.PutUint64(out[24:], 1)
	for at := (len(b) - 1) / n * n; at >= 0; at -= n {
		part := b[at:min(at+n, len(b))]
		if len(bytes.Trim(part, "\x00")) == 0 {
			continue
		}
		out = addRecord(out, at, part)
	}
	return append(out, lastRecord...)
}

// addRecord appends a record of a flattened file.
func addRecord(out []byte, at int, part []byte) []byte {
	out = binary.BigEndian.AppendUint64(out, uint64(at))
	out = binary.BigEndian.AppendUint64(out, uint64(len(part)))
	return append(out, part...)
}

var lastRecord = bytes.Repeat([]byte{0xff}, 16)

func read(b []byte) (*File, error) { return New(bytes.NewReader(b), int64(len(b))) }

func TestSmall(t *testing.T) {
	twice := flatten(small(), 1000)
	twice = append(twice[:len(twice)-16], flatten(small(), 777)[4096:]...) // all records overlap
	for name, b := range map[string][]byte{"raw": small(), "flattened": flatten(small(), 500), "overlapping": twice} {
		t.Run(name, func(t *testing.T) {
			f, err := read(b)
			if err != nil {
				t.Fatal(err)
			}
			if f.UTS[0] != "Linux" || f.PhysBase != 0x1234 || f.CPUs != 2 || f.MaxPage != 10 || f.Pages() != 4 || f.Flattened != (name != "raw") {
				t.Errorf("%+v", f.Header)
			}
			for n := range 12 {
				got := make([]byte, block)
				_, err := f.ReadAt(got, int64(n)*block)
				switch {
				case n == 1 || n == 2 || n == 3 || n == 9:
					if err != nil || !bytes.Equal(got, page(n)) {
						t.Errorf("page %d: %v", n, err)
					}
				case !errors.Is(err, ErrAbsent):
					t.Errorf("page %d: %v", n, err)
				}
			}
			across := make([]byte, 3*block)
			if n, err := f.ReadAt(across, 2*block+100); n != 2*block-100 || !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "0x800") {
				t.Errorf("%d, %v", n, err)
			}
			want := []Range{{block, 4 * block}, {9 * block, 10 * block}}
			if got := f.Ranges(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
				t.Errorf("ranges %x", got)
			}
		})
	}
}

// edit is small with a number put somewhere.
func edit(off int, v uint64, size int) []byte {
	b := small()
	if size == 4 {
		binary.BigEndian.PutUint32(b[off:], uint32(v))
	} else {
		binary.BigEndian.PutUint64(b[off:], v)
	}
	return b
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "0 bytes only"},
		{"another file", bytes.Repeat([]byte{0x7f}, 1000), "not a kdump"},
		{"another version", edit(8, 5, 4), "version 5"},
		{"no block size", edit(428, 4095, 4), "size of blocks"},
		{"cut in the bitmaps", small()[:3*block], "has 1536 in all"},
		{"more pages than bits", edit(block+96, 1<<40, 8), "do not fit"},
		{"bitmaps behind the end", edit(436, 1<<31, 4), "bitmap 2"},
		{"notes outside", edit(block+56, 1<<62, 8), "notes of"},
		{"flattened ELF", flatten(append([]byte("\x7fELF"), page(7)...), 500), "makedumpfile -R"},
		{"flattened, no descriptors", flatten(small()[:4*block], 500), "page descriptors"},
		{"flattened, cut before its header", flatten(small(), 500)[:5000], "cut short before the 452 bytes"},
		{"flattened, without records", flatten(small(), 5*block)[:4096], "cut short before the 452 bytes"},
		{"flattened, cut before a bitmap", ordered(small()[:3*block])[:4096+5*(16+orderedRecord)], "bitmap 2: offset 0x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := read(tt.file)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want … %s …", err, tt.want)
			}
		})
	}
}

func TestBadPages(t *testing.T) {
	const desc = 4 * block
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"no data", edit(desc, 0, 8), "cannot be"},
		{"behind the end", edit(desc, 1<<62, 8), "cannot be"},
		{"plain and short", edit(desc+8, block-1, 4), "cannot be"},
		{"too long", edit(desc+8, 1<<31, 4), "cannot be"},
		{"not zlib", edit(desc+12, Zlib, 4), "page at offset"},
		{"not LZO", edit(desc+12, LZO, 4), "page at offset"},
		{"not Snappy", edit(desc+12, Snappy, 4), "page at offset"},
		{"not Zstandard", edit(desc+12, Zstd, 4), "page at offset"},
		{"unknown", edit(desc+12, 0x40, 4), "0x40"},
		{"two ways", edit(desc+12, 3, 4), "0x3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := read(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			n, err := f.ReadAt(make([]byte, 2*block), block)
			if n != 0 || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "0x200") {
				t.Errorf("%d, %v, want … %s …", n, err, tt.want)
			}
			if _, err := f.ReadAt(make([]byte, block), 2*block); err != nil {
				t.Errorf("the next page: %v", err)
			}
		})
	}
}

// failing cannot be read from a byte on.
type failing struct {
	b  []byte
	at int64
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p[:max(0, min(int64(len(p)), f.at-off))], f.b[off:])
	if n < len(p) {
		return n, errors.New("broken disk")
	}
	return n, nil
}

// TestRun reads pages that lie behind each other in the file at once, and only
// such.
func TestRun(t *testing.T) {
	const desc, data = 4 * block, 5 * block
	for _, tt := range []struct {
		name  string
		off   uint64 // where page 2 is
		pages []int  // what stands for 1, 2, 3
	}{
		{"behind each other", data + block, []int{1, 2, 3}},
		{"the same twice", data, []int{1, 1, 3}},
		{"one ahead", data + 3*block, []int{1, 9, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := read(edit(desc+24, tt.off, 8))
			if err != nil {
				t.Fatal(err)
			}
			var want []byte
			for _, n := range tt.pages {
				want = append(want, page(n)...)
			}
			for from := 0; from < len(want); from += block / 2 {
				for to := from + 1; to <= len(want); to += block/2 - 1 {
					got := make([]byte, to-from)
					if n, err := f.ReadAt(got, int64(block+from)); err != nil || !bytes.Equal(got, want[from:to]) {
						t.Fatalf("%d bytes at %d: %d, %v", to-from, from, n, err)
					}
				}
			}
		})
	}
	const good = block + 100
	b := small()
	f, err := New(failing{b, data + good}, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3*block)
	n, err := f.ReadAt(got, block)
	if n != good || err == nil || !strings.Contains(err.Error(), "guest memory at 0x464: offset 0xc64: broken disk") || !bytes.Equal(got[:n], append(page(1), page(2)...)[:n]) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzRead gives the reader any file. It must not fail otherwise than with an
// error, must not allocate much more than the file is long, and what it reads
// must be what it says it has.
func FuzzRead(f *testing.F) {
	f.Add(small())
	f.Add(flatten(small(), 3000))
	f.Add(edit(436, 1<<31, 4))
	f.Add(edit(4*block+12, Zstd, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k *File
		var err error
		if n := allocated(func() { k, err = read(b) }); n > uint64(len(b))*8+8<<20 {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(b))
		}
		if err != nil {
			return
		}
		pages := int64(0)
		n := allocated(func() {
			for _, r := range k.Ranges() {
				pages += int64(r.End-r.Addr) / k.BlockSize
				if next := int64(r.End) / k.BlockSize; k.stored.has(next) && !k.lost.has(next) {
					t.Fatalf("%x is not all that is there", r)
				}
				p := make([]byte, k.BlockSize)
				if n, err := k.ReadAt(p, int64(r.Addr)); (err == nil) != (n == len(p)) || errors.Is(err, ErrAbsent) {
					t.Fatalf("%d bytes at %#x: %v", n, r.Addr, err)
				}
				zeros, data := k.Zeros(int64(r.Addr), int64(r.End-r.Addr))
				if zeros < 0 || data < 0 || zeros+data == 0 || zeros > 0 && len(bytes.Trim(p, "\x00")) > 0 {
					t.Fatalf("%d zeros, %d others at %#x", zeros, data, r.Addr)
				}
			}
			k.Notes()
			k.VMCoreInfo()
		})
		if pages != k.Pages() {
			t.Fatalf("%d pages, ranges have %d", k.Pages(), pages)
		}
		if most := uint64(pages)*uint64(k.BlockSize+64) + uint64(len(b))*8 + 32<<20; n > most {
			t.Fatalf("%d bytes allocated to read a file of %d", n, len(b))
		}
	})
}
