package windmpfile

import (
	"fmt"
	"math/bits"
)

// The summary that follows the header of a dump with a bitmap, from the first
// byte behind it on:
//
//	0     "SDMP" or "FDMP", then "DUMP"
//	0x20  offset of the first page in the file
//	0x28  number of pages in the file, which are bits that are set
//	0x30  number of bits
//	0x38  a bit for each page, the lowest of the first byte for page 0
//
// Some descriptions of it have the numbers of pages and of bits the other way
// round. The number of bits is never the smaller one, and bits that are set can
// be counted: that decides.
const (
	summaryFirst = 0x20
	summaryPages = 0x28
	summaryBits  = 0x30
	summaryMap   = 0x38
)

func (f *File) readBitmap() error {
	at := f.layout().size
	head := make([]byte, summaryMap)
	if n, err := f.r.ReadAt(head, at); n < len(head) {
		return readError("summary", at+int64(n), err)
	}
	if s := string(head[:8]); s != "SDMPDUMP" && s != "FDMPDUMP" {
		return &FormatError{at, fmt.Sprintf("the summary of a dump with a bitmap begins with %q", s)}
	}
	first, pages, count := number(head[summaryFirst:][:8]), number(head[summaryPages:][:8]), number(head[summaryBits:][:8])
	if pages > count {
		pages, count = count, pages
	}
	held := uint64(max(f.Size-at-summaryMap, 0)) // bytes behind the summary
	switch {
	case count == 0 || count > maxPage || (count+7)/8 > held:
		return &FormatError{at + summaryBits, fmt.Sprintf("a bitmap of %d pages does not fit a file of %d bytes", count, f.Size)}
	case first < uint64(at+summaryMap)+(count+7)/8 || first > maxOff-maxPage*PageSize:
		return &FormatError{at + summaryFirst, fmt.Sprintf("the first page is to be at %#x, where the bitmap of %d pages is, or no file ends", first, count)}
	}
	runs, set, err := f.scan(at+summaryMap, count, int64(first))
	if err != nil {
		return err
	}
	if set != pages {
		return &FormatError{at + summaryPages, fmt.Sprintf("the bitmap has %d pages, and %d are to be in the file", set, pages)}
	}
	f.Runs = runs
	return nil
}

// scan finds the runs of set bits; pages are in the file from off on. set is
// how many they are.
func (f *File) scan(at int64, count uint64, off int64) (runs []Run, set uint64, err error) {
	buf := make([]byte, 64<<10)
	for done := uint64(0); done < count; done += uint64(len(buf)) * 8 {
		b := buf[:min(uint64(len(buf)), (count-done+7)/8)]
		if n, err := f.r.ReadAt(b, at+int64(done/8)); n < len(b) {
			return nil, 0, readError("bitmap", at+int64(done/8)+int64(n), err)
		}
		if rest := (count - done) % 8; rest != 0 && done+uint64(len(b))*8 > count {
			b[len(b)-1] &= 1<<rest - 1
		}
		for i, x := range b {
			set += uint64(bits.OnesCount8(x))
			for x != 0 {
				bit := bits.TrailingZeros8(x)
				x &= x - 1
				a := (done + uint64(i*8+bit)) * PageSize
				if n := len(runs); n > 0 && runs[n-1].Addr+runs[n-1].Size == a {
					runs[n-1].Size += PageSize
				} else {
					runs = append(runs, Run{a, PageSize, off})
				}
				off += PageSize
			}
		}
	}
	return runs, set, nil
}
