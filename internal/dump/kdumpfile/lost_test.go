package kdumpfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// TestCut cuts a file at each byte behind its bitmaps: what is behind the end is
// lost, and the rest is there.
func TestCut(t *testing.T) {
	for size := 4 * block; size <= len(small()); size++ {
		f, err := read(small()[:size])
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		holdsFirst(t, f, size)
	}
}

// holdsFirst holds f to have of small what the first bytes of that have, so
// many.
func holdsFirst(t *testing.T, f *File, size int) {
	t.Helper()
	var has, lost int64
	for i, n := range []int{1, 2, 3, 9} {
		got := make([]byte, block)
		_, err := f.ReadAt(got, int64(n)*block)
		if size < 5*block+(i+1)*block {
			lost++
			if !errors.Is(err, ErrAbsent) {
				t.Errorf("%d bytes, page %d: %v", size, n, err)
			}
		} else if has++; err != nil || !bytes.Equal(got, page(n)) {
			t.Errorf("%d bytes, page %d: %v", size, n, err)
		}
	}
	if f.Pages() != has || count(f.Ranges()) != has || count(f.Lost()) != lost || count(f.Stored()) != 4 || count(f.Exist()) < 4 {
		t.Fatalf("%d bytes: %d pages in %x, lost %x", size, f.Pages(), f.Ranges(), f.Lost())
	}
}

// TestCutFlattened cuts a flattened file, written in order, at each byte: where
// the bitmaps are, the pages that came are there.
func TestCutFlattened(t *testing.T) {
	flat := ordered(small())
	for size := 4096; size <= len(flat); size++ {
		f, err := read(flat[:size])
		came := unflattened(size)
		if came < 3*block+2 {
			if err == nil {
				t.Fatalf("%d bytes: no error, and the bitmaps are not there", size)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if f.Cut != (size < len(flat)) {
			t.Errorf("%d bytes: cut is %v", size, f.Cut)
		}
		holdsFirst(t, f, came)
	}
}

// orderedRecord is how much of a file goes into each record of ordered, bytes.
const orderedRecord = 300

// ordered is a file in records, the first ones first, zeros and all.
func ordered(b []byte) []byte {
	out := flatten(nil, 1)[:4096]
	for at := 0; at < len(b); at += orderedRecord {
		out = addRecord(out, at, b[at:min(at+orderedRecord, len(b))])
	}
	return append(out, lastRecord...)
}

// unflattened is how much of small comes in the first bytes of what ordered
// makes of it.
func unflattened(size int) int {
	records, rest := (size-4096)/(16+orderedRecord), (size-4096)%(16+orderedRecord)
	return min(records*orderedRecord+max(0, rest-16), len(small()))
}

// TestCutAnywhere takes a flattened file whose first page came last.
func TestCutAnywhere(t *testing.T) {
	flat := ordered(small()[:5*block])
	flat = flat[:len(flat)-len(lastRecord)]
	for n := 4; n > 0; n-- {
		flat = addRecord(flat, (4+n)*block, small()[(4+n)*block:][:block])
	}
	f, err := read(flat[:len(flat)-1])
	if err != nil {
		t.Fatal(err)
	}
	if want := []Range{{block, 2 * block}}; !slices.Equal(f.Lost(), want) || f.Pages() != 3 {
		t.Errorf("lost %x, %d pages are there", f.Lost(), f.Pages())
	}
}

// count is how many pages are in ranges.
func count(ranges []Range) (n int64) {
	for _, r := range ranges {
		n += int64(r.End-r.Addr) / block
	}
	return n
}

// TestCutBehindZeros cuts a file whose last pages share one that is whole.
func TestCutBehindZeros(t *testing.T) {
	b := small()
	for i := 2; i < 4; i++ { // pages 3 and 9 are page 1
		copy(b[4*block+i*descSize:][:descSize], b[4*block:])
	}
	f, err := read(b[:6*block+block/2])
	if err != nil {
		t.Fatal(err)
	}
	if want := []Range{{2 * block, 3 * block}}; !slices.Equal(f.Lost(), want) || f.Pages() != 3 {
		t.Errorf("lost %x, %d pages are there", f.Lost(), f.Pages())
	}
}

// TestIncomplete takes a file whose writer ran out of space, and said so.
func TestIncomplete(t *testing.T) {
	b := small()
	clear(b[4*block+2*descSize:][:2*descSize])
	if f, err := read(b); err != nil || f.Incomplete || len(f.Lost()) != 0 {
		t.Errorf("without the flag: %v", err) // who reads the pages is told
	}
	binary.BigEndian.PutUint32(b[424:], 1|incomplete)
	f, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Range{{3 * block, 4 * block}, {9 * block, 10 * block}}; !f.Incomplete || !slices.Equal(f.Lost(), want) || f.Pages() != 2 {
		t.Errorf("lost %x, %d pages are there", f.Lost(), f.Pages())
	}
}
