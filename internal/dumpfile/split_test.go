package dumpfile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dumpfile"
)

// split cuts a kdump file of a 64-bit little-endian guest with pages of 4 KiB
// into parts, which end before the pages that ends names, and returns their
// paths. A part has the headers and bitmaps of the whole, and the descriptors of
// its own pages in the place of all.
func split(t *testing.T, path string, ends ...uint64) []string {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	const block = 4096
	bitmaps := block * (1 + int(le.Uint32(whole[432:])))
	half := block * int(le.Uint32(whole[436:])) / 2
	stored, descs := whole[bitmaps+half:][:half], bitmaps+2*half
	var paths []string
	start := uint64(0)
	for i, end := range ends {
		b := bytes.Clone(whole)
		le.PutUint32(b[block+12:], 1)
		le.PutUint64(b[block+80:], start)
		le.PutUint64(b[block+88:], end)
		first, all := 0, 0
		var own []byte
		for page := range uint64(half * 8) {
			if stored[page/8]>>(page%8)&1 == 0 {
				continue
			}
			if page < start {
				first++
			}
			if page >= start && page < end {
				own = append(own, whole[descs+24*all:][:24]...)
			}
			all++
		}
		clear(b[descs:][:24*all])
		copy(b[descs:], own)
		paths = append(paths, filepath.Join(t.TempDir(), fmt.Sprintf("part%d", i)))
		if err := os.WriteFile(paths[i], b, 0o600); err != nil {
			t.Fatal(err)
		}
		start = end
	}
	return paths
}

// The parts of a split file, in whatever order, are the whole; without one of
// them what that has is absent.
func TestSplit(t *testing.T) {
	m := machine(t, arch.Guests[2], append([]dumptest.Part{{Addr: 0, Size: 0x13000}}, guests["with gaps"]...))
	path := write(t, writers()[2], m)
	whole := open(t, path)
	end := uint64(0x40033)
	parts := split(t, path, 3, 0x40005, 0x4002b, end)
	f, err := dumpfile.OpenParts([]string{parts[2], parts[0], parts[3], parts[1]})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if digest(t, f) != digest(t, whole) || fmt.Sprint(f.Absent) != fmt.Sprint(whole.Absent) || fmt.Sprint(f.Ranges) != fmt.Sprint(whole.Ranges) {
		t.Errorf("the parts have %v, the whole %v", f.Ranges, whole.Ranges)
	}
	if !strings.HasSuffix(f.Where(0x2000), "of "+parts[0]) || !strings.HasSuffix(f.Where(0x40005000), "of "+parts[2]) {
		t.Errorf("%s, %s", f.Where(0x2000), f.Where(0x40005000))
	}
	less, err := dumpfile.OpenParts([]string{parts[0], parts[2], parts[3]})
	if err != nil {
		t.Fatal(err)
	}
	defer less.Close()
	given := func(f *dumpfile.File) (n uint64) {
		for _, x := range f.Absent {
			if strings.Contains(x.Reason, "was not given") {
				n += x.Size
			}
		}
		return n
	}
	if given(f) != 0 || given(less) != 0x10000+0x5000 {
		t.Errorf("without the second part %#x bytes are missing: %+v", given(less), less.Absent)
	}
	if n, err := less.ReadAt(make([]byte, 0x4000), 0x1000); n != 0x2000 || err == nil {
		t.Errorf("reading into what the part has: %d, %v", n, err)
	}
	one := open(t, parts[1])
	if given(one) == 0 || len(one.Ranges) != 2 {
		t.Errorf("a part alone has %v and lacks %v", one.Ranges, one.Absent)
	}
	for want, paths := range map[string][]string{
		"hold the same pages":       {parts[0], parts[1], parts[0]},
		"is a whole dump":           {parts[1], path},
		"parts of different dumps":  {parts[0], split(t, write(t, writers()[2], machine(t, arch.Guests[2], guests["a PC"])), 3, 5)[1]},
		"no such file":              {parts[0], path + "x"},
		"that makedumpfile has spl": {parts[0], write(t, writers()[0], m)},
	} {
		if _, err := dumpfile.OpenParts(paths); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}
