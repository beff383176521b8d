package windmpfile

import (
	"fmt"
	"io"
	"math"
)

// layout is where a header has what is read of it, in bytes (DUMP_HEADER64 and
// DUMP_HEADER32, as Volatility and rizin have them).
type layout struct {
	size       int64 // of the header
	word       int64 // of a pointer
	table      int64 // DirectoryTableBase
	processors int64
	bugcheck   int64 // code, four bytes; the parameters are pointers, from the next multiple of word
	pae        int64 // PaeEnabled, a byte; 0: there is none
	kdbg       int64
	runs       int64 // PhysicalMemoryBlock: number of runs, four bytes, and pages, runs behind word*2
	most       uint64
	kind       int64 // DumpType
}

var (
	layout64 = layout{0x2000, 8, 0x10, 0x34, 0x38, 0, 0x80, 0x88, 43, 0xf98}
	layout32 = layout{0x1000, 4, 0x10, 0x24, 0x28, 0x5c, 0x60, 0x64, 86, 0xf88}
)

func (f *File) layout() *layout {
	if f.Wide {
		return &layout64
	}
	return &layout32
}

func (f *File) readHeader() error {
	b := make([]byte, min(max(f.Size, 0), layout64.size))
	if n, err := f.r.ReadAt(b, 0); n < len(b) && err != nil && err != io.EOF {
		return readError("header", int64(n), err)
	} else {
		b = b[:n]
	}
	if len(b) < 8 || string(b[:4]) != "PAGE" {
		return fmt.Errorf("%w: it begins with %q", ErrFormat, b[:min(len(b), 4)])
	}
	switch valid := string(b[4:8]); valid {
	case "DU64":
		f.Wide = true
	case "DUMP":
	default:
		return fmt.Errorf("%w: behind PAGE is %q", ErrFormat, valid)
	}
	l := f.layout()
	if int64(len(b)) < l.size {
		return readError("header", int64(len(b)), nil)
	}
	f.Raw = b[:l.size:l.size]
	f.DirectoryTableBase = number(b[l.table:][:l.word])
	f.KDBG = number(b[l.kdbg:][:l.word])
	f.Processors = uint32(number(b[l.processors:][:4]))
	f.Type = uint32(number(b[l.kind:][:4]))
	f.PAE = f.Wide || b[l.pae] == 1
	f.Bugcheck[0] = number(b[l.bugcheck:][:4])
	for i := range int64(4) {
		f.Bugcheck[1+i] = number(b[l.bugcheck+(1+i)*l.word:][:l.word])
	}
	f.Listed = listed(b, l)
	return nil
}

// listed are the runs that a header lists, nil if they cannot be: Windows
// leaves "PAGE" all over what it does not fill in.
func listed(b []byte, l *layout) []Run {
	count := number(b[l.runs:][:4])
	if count == 0 || count > l.most {
		return nil
	}
	var runs []Run
	off := l.size
	end := uint64(0) // of the last run, pages
	for i := range int64(count) {
		slot := b[l.runs+2*l.word+2*l.word*i:]
		first, pages := number(slot[:l.word]), number(slot[l.word:][:l.word])
		if pages == 0 || first < end || first > maxPage || pages > maxPage-first {
			return nil
		}
		end = first + pages
		runs = append(runs, Run{first * PageSize, pages * PageSize, off})
		off += int64(pages * PageSize)
	}
	return runs
}

// maxPage is behind the last page that a processor can address.
const maxPage = 1 << 40

// maxOff is behind the last byte that a file can have here.
const maxOff = math.MaxInt64
