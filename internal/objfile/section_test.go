package objfile

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	content := []byte(strings.Repeat("debug information ", 1000))
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(content)
	z.Close()
	size := uint64(len(content))
	for _, c := range []struct {
		name string
		how  elf.CompressionType
		in   []byte
		size uint64
		err  string // "": expands to content
	}{
		{"right", elf.COMPRESS_ZLIB, b.Bytes(), size, ""},
		{"longer than it says", elf.COMPRESS_ZLIB, b.Bytes(), size - 1, "its header says"},
		{"shorter than it says", elf.COMPRESS_ZLIB, b.Bytes(), size + 1, "its header says"},
		{"says more than any file has", elf.COMPRESS_ZLIB, b.Bytes(), 1 << 60, "claims"},
		{"cut", elf.COMPRESS_ZLIB, b.Bytes()[:b.Len()/2], size, "expanding"},
		{"of another kind", elf.COMPRESS_ZSTD, b.Bytes(), size, "expanding"},
		{"of no kind", 99, b.Bytes(), size, "unknown compression"},
	} {
		got, err := expand(c.how, c.in, c.size)
		if c.err == "" && (err != nil || !bytes.Equal(got, content)) {
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v; want one with %q", c.name, err, c.err)
		}
	}
}

// Notes before the build-id have names and contents of any length, padded to 4 bytes or to 8.
func TestBuildIDInNotes(t *testing.T) {
	const gnu = "04000000 14000000 03000000 474e5500 00112233445566778899aabbccddeeff00112233"
	for _, c := range []struct {
		name, hex string
		align     uint64
		want      string
	}{
		{"alone", gnu, 4, "00112233445566778899aabbccddeeff00112233"},
		{"after a name and content of odd lengths", "05000000 03000000 01000000 41424344 00000000 01020300" + gnu, 4, "00112233445566778899aabbccddeeff00112233"},
		{"padded to 8", "04000000 04000000 05000000 474e5500 01020304 00000000" + gnu, 8, "00112233445566778899aabbccddeeff00112233"},
		{"of another owner", "04000000 02000000 03000000 474f5500 0102", 4, ""},
		{"of another type", "04000000 02000000 01000000 474e5500 0102", 4, ""},
		{"empty", "04000000 00000000 03000000 474e5500", 4, ""},
		{"cut", "04000000 14000000 03000000 474e5500 0011", 4, ""},
		{"name beyond the end", "ffffffff 14000000 03000000 474e5500 0011", 4, ""},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := buildIDInNotes(b, binary.LittleEndian, c.align); got.String() != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
