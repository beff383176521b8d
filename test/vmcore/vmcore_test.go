package vmcore

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// piece is one PT_LOAD of a dump to write.
type piece struct {
	paddr uint64
	data  []byte
}

// write makes an ELF dump of pieces, with one note, and opens it.
func write(t *testing.T, pieces ...piece) *File {
	t.Helper()
	type header struct {
		Ident                      [16]byte
		Type, Machine              uint16
		Version                    uint32
		Entry, Phoff, Shoff        uint64
		Flags                      uint32
		Ehsize, Phentsize, Phnum   uint16
		Shentsize, Shnum, Shstrndx uint16
	}
	type program struct {
		Type, Flags                                uint32
		Offset, Vaddr, Paddr, Filesz, Memsz, Align uint64
	}
	note := []byte("\x05\x00\x00\x00\x03\x00\x00\x00\x07\x00\x00\x00NONE\x00\x00\x00\x00abc\x00")
	programs := []program{{Type: 4, Offset: 64 + 56*uint64(len(pieces)+1), Filesz: uint64(len(note))}}
	offset := programs[0].Offset + uint64(len(note))
	var memory []byte
	for _, p := range pieces {
		size := uint64(len(p.data))
		programs = append(programs, program{Type: 1, Offset: offset, Vaddr: p.paddr, Paddr: p.paddr, Filesz: size, Memsz: size})
		offset += size
		memory = append(memory, p.data...)
	}
	var out bytes.Buffer
	h := header{Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: 4, Machine: 62, Version: 1, Phoff: 64, Ehsize: 64,
		Phentsize: 56, Phnum: uint16(len(programs))}
	for _, part := range []any{h, programs, note, memory} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestCompare(t *testing.T) {
	page := func(b byte) []byte { return bytes.Repeat([]byte{b}, 0x1000) }
	two := append(page(1), page(2)...)
	zeros := make([]byte, 3*chunk)
	spot := make([]byte, 3*chunk)
	spot[2*chunk+7] = 9
	for _, test := range []struct {
		name string
		a, b []piece
		want string // in the error, "" if they are the same
	}{
		{"the same", []piece{{0, two}}, []piece{{0, two}}, ""},
		{"cut differently", []piece{{0, two}}, []piece{{0, page(1)}, {0x1000, page(2)}}, ""},
		{"in another order", []piece{{0x5000, page(5)}, {0, page(1)}}, []piece{{0, page(1)}, {0x5000, page(5)}}, ""},
		{"one byte in the third chunk", []piece{{0x4000, zeros}}, []piece{{0x4000, spot}},
			"1 bytes differ, the first at guest-physical 0x204007: 0x00 in"},
		{"elsewhere", []piece{{0, page(1)}}, []piece{{0x1000, page(1)}}, "the guest memory differs"},
		{"shorter", []piece{{0, two}}, []piece{{0, page(1)}}, "the guest memory differs"},
		{"swapped", []piece{{0, two}}, []piece{{0, page(2)}, {0x1000, page(1)}}, "8192 bytes differ"},
		{"nothing", nil, nil, "no guest memory at all"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Compare(write(t, test.a...), write(t, test.b...))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestCompareWithin(t *testing.T) {
	one, two := write(t, piece{0x1000, []byte{2}}), write(t, piece{0, append(make([]byte, 0x1000), 2)})
	if n, err := CompareWithin(one, two); n != 1 || err != nil {
		t.Errorf("a part of the whole: %d, %v", n, err)
	}
	if _, err := CompareWithin(two, one); err == nil || !strings.Contains(err.Error(), "has 0x0-0x1001, which") {
		t.Errorf("the whole in a part: %v", err)
	}
	if _, err := CompareWithin(write(t, piece{0x1000, []byte{3}}), two); err == nil {
		t.Error("another byte is no difference")
	}
}

func TestCompareHoles(t *testing.T) {
	a, b := write(t, piece{0, make([]byte, 8*chunk)}), write(t, piece{0, make([]byte, 8*chunk)})
	if err := os.Truncate(b.Path, int64(b.Loads[0].Offset)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(b.Path, b.size); err != nil {
		t.Fatal(err)
	}
	b, err := Open(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.hasData(uint64(b.size-chunk), uint64(b.size)) {
		t.Skip("this file system has no holes") // nothing to show: Compare then reads zeros
	}
	if n, err := Compare(a, b); err != nil || n != 8*chunk {
		t.Fatalf("compared %d: %v", n, err)
	}
}

func TestOpen(t *testing.T) {
	f := write(t, piece{0x1000, []byte{1}})
	if n := f.Note("NONE"); n == nil || n.Type != 7 || string(n.Desc) != "abc" {
		t.Errorf("note is %+v", n)
	}
	if f.Phoff != 64 {
		t.Errorf("program headers at %d", f.Phoff)
	}
	if !f.Has(0x1000) || f.Has(0x1001) {
		t.Error("Has is wrong")
	}
	raw, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	truncated := filepath.Join(t.TempDir(), "truncated")
	if err := os.WriteFile(truncated, raw[:len(raw)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(truncated); err == nil || !strings.Contains(err.Error(), "the file at") {
		t.Errorf("truncated: %v", err)
	}
}
