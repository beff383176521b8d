package objfile

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
)

// image is one ELF file, opened: the executable, its debug file, a supplementary file, or the ELF inside .gnu_debugdata.
type image struct {
	path   string // for messages; of .gnu_debugdata that of the file that holds it
	r      io.ReaderAt
	size   int64 // bytes
	file   *os.File
	elf    *elf.File
	id     BuildID // nil: none
	phoff  uint64
	tables map[string]*symtab // by section name; nil: not there. Filled under File.mu
}

// openImage opens an ELF file.
func openImage(path string) (*image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	img, err := openRegular(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	img.file = f
	return img, nil
}

func openRegular(f *os.File, path string) (*image, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return newImage(f, st.Size(), path)
}

// newImage reads the headers of an ELF file of the given size.
func newImage(r io.ReaderAt, size int64, path string) (img *image, err error) {
	defer recovered(&err, path)
	h, err := readHeader(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e, err := elf.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	img = &image{path: path, r: r, size: size, elf: e, phoff: h.phoff, tables: map[string]*symtab{}}
	img.id = img.buildID()
	return img, nil
}

// buildID prefers the section: a debug file has program headers that describe the executable, not itself, and dwz's
// supplementary file has none. A supplementary file of DWARF 5 has a checksum in place of a build-id.
func (img *image) buildID() BuildID {
	if s := img.elf.Section(".note.gnu.build-id"); s != nil && s.Type == elf.SHT_NOTE {
		if b, err := img.raw(s); err == nil {
			if id := buildIDInNotes(b, img.elf.ByteOrder, s.Addralign); id != nil {
				return id
			}
		}
	}
	if b, err := img.bytes(".debug_sup"); err == nil && b != nil {
		if own, isSup, err := parseDebugSup(b); err == nil && isSup {
			return own.id
		}
	}
	id, err := BuildIDFrom(img.r)
	if err != nil {
		return nil
	}
	return id
}

func (img *image) close() error {
	if img == nil || img.file == nil {
		return nil
	}
	return img.file.Close()
}

// readVaddr reads bytes that the file's PT_LOAD segments hold.
func (img *image) readVaddr(p []byte, vaddr uint64) (n int, err error) {
	for n < len(p) {
		at := vaddr + uint64(n)
		seg := img.segment(at)
		if seg == nil || at < vaddr {
			return n, fmt.Errorf("%s: address %#x: %w", img.path, at, ErrNotInFile)
		}
		part := p[n:min(uint64(len(p)), uint64(n)+seg.Vaddr+seg.Filesz-at)]
		if err := readFull(img.r, part, seg.Off+(at-seg.Vaddr)); err != nil {
			return n, fmt.Errorf("%s: address %#x: %w", img.path, at, err)
		}
		n += len(part)
	}
	return n, nil
}

// segment finds the PT_LOAD whose bytes in the file cover an address.
func (img *image) segment(vaddr uint64) *elf.ProgHeader {
	for _, p := range img.elf.Progs {
		if p.Type == elf.PT_LOAD && vaddr >= p.Vaddr && vaddr-p.Vaddr < p.Filesz && p.Vaddr+p.Filesz > p.Vaddr {
			return &p.ProgHeader
		}
	}
	return nil
}

// phdrVaddr is the link-time address of the program headers, what AT_PHDR tells of a process.
func (img *image) phdrVaddr() (uint64, bool) {
	for _, p := range img.elf.Progs {
		if p.Type == elf.PT_PHDR {
			return p.Vaddr, true
		}
	}
	for _, p := range img.elf.Progs { // a static executable may have no PT_PHDR
		if p.Type == elf.PT_LOAD && img.phoff >= p.Off && img.phoff-p.Off < p.Filesz {
			return p.Vaddr + (img.phoff - p.Off), true
		}
	}
	return 0, false
}

// loadBias: see File.LoadBias.
func (img *image) loadBias(atPhdr, atEntry uint64) (uint64, error) {
	const page = 4096
	var biases []uint64
	if phdr, ok := img.phdrVaddr(); ok && atPhdr != 0 {
		biases = append(biases, atPhdr-phdr)
	}
	if atEntry != 0 {
		biases = append(biases, atEntry-img.elf.Entry)
	}
	switch {
	case len(biases) == 0:
		return 0, fmt.Errorf("%s: load address: the process tells neither AT_PHDR nor AT_ENTRY", img.path)
	case len(biases) == 2 && biases[0] != biases[1]:
		return 0, fmt.Errorf("%s: load address: AT_PHDR says bias %#x and AT_ENTRY %#x; is this the executable of that process?",
			img.path, biases[0], biases[1])
	case biases[0]%page != 0:
		return 0, fmt.Errorf("%s: load address: bias %#x is not a multiple of the page size; is this the executable of that process?",
			img.path, biases[0])
	case img.elf.Type == elf.ET_EXEC && biases[0] != 0:
		return 0, fmt.Errorf("%s: load address: bias %#x of a program that is linked for a fixed address; is this the executable of that process?",
			img.path, biases[0])
	}
	return biases[0], nil
}

// recovered turns a panic of debug/elf on a hostile file into an error.
func recovered(err *error, path string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: damaged ELF file: %v", path, r)
	}
}
