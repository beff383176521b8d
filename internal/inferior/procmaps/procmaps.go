// Package procmaps reads the list of a process's mappings that Linux gives as
// /proc/PID/maps, here or on the machine of a gdbserver.
package procmaps

import (
	"bufio"
	"debug/elf"
	"fmt"
	"io"
	"sort"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
)

// Mapping is a line of /proc/PID/maps (proc_pid_maps(5)).
type Mapping struct {
	Start, End addr.HVA
	Prot       elf.ProgFlag
	Shared     bool
	Offset     uint64 // of Start in the file
	Dev        string
	Inode      uint64 // 0: no file
	Path       string // of the file, or what the kernel calls the mapping, like [stack]
}

// IsFile reports whether the mapping is of a file.
func (m Mapping) IsFile() bool { return m.Inode != 0 }

// Size is in bytes.
func (m Mapping) Size() uint64 { return uint64(m.End - m.Start) }

// Maps are the mappings of a process, by rising address.
type Maps []Mapping

// Read reads maps.
func Read(r io.Reader) (Maps, error) {
	var maps Maps
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m, err := parse(lines.Text())
		if err != nil {
			return nil, err
		}
		maps = append(maps, m)
	}
	return maps, lines.Err()
}

// parse reads a line like
//
//	7f0c40000000-7f0c80000000 rw-s 00000000 00:01 2067   /memfd:ram (deleted)
func parse(line string) (Mapping, error) {
	var m Mapping
	var perms string
	var start, end uint64
	n, err := fmt.Sscanf(line, "%x-%x %4s %x %s %d", &start, &end, &perms, &m.Offset, &m.Dev, &m.Inode)
	if n < 6 || len(perms) != 4 || end <= start {
		return m, fmt.Errorf("a line of maps was not understood: %q (%v)", line, err)
	}
	m.Start, m.End = addr.HVA(start), addr.HVA(end)
	for i, flag := range []elf.ProgFlag{elf.PF_R, elf.PF_W, elf.PF_X} {
		if perms[i] != '-' {
			m.Prot |= flag
		}
	}
	m.Shared = perms[3] == 's'
	rest := line
	for range 5 { // the name is what follows the inode; it may have blanks
		_, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
	}
	m.Path = unescape(strings.TrimLeft(rest, " "))
	return m, nil
}

// unescape undoes what maps does to a newline in a name.
func unescape(path string) string { return strings.ReplaceAll(path, `\012`, "\n") }

// At finds the mapping of an address.
func (maps Maps) At(a addr.HVA) (Mapping, bool) {
	i := sort.Search(len(maps), func(i int) bool { return maps[i].End > a })
	if i == len(maps) || maps[i].Start > a {
		return Mapping{}, false
	}
	return maps[i], true
}

// Regions are the mappings as a process has them.
func (maps Maps) Regions() []inferior.Region {
	regions := make([]inferior.Region, len(maps))
	for i, m := range maps {
		regions[i] = inferior.Region{Start: m.Start, End: m.End, Prot: m.Prot}
	}
	return regions
}

// Files are the mappings of files.
func (maps Maps) Files() []inferior.FileMapping {
	var files []inferior.FileMapping
	for _, m := range maps {
		if m.IsFile() {
			files = append(files, inferior.FileMapping{Start: m.Start, End: m.End, Offset: m.Offset, Path: m.Path})
		}
	}
	return files
}

// Held reads a mapped file, by its path and by file offset, out of the memory
// it is mapped in.
func (maps Maps) Held(path string, mem io.ReaderAt) io.ReaderAt { return held{maps, path, mem} }

type held struct {
	maps Maps
	path string
	mem  io.ReaderAt
}

func (h held) ReadAt(b []byte, off int64) (int, error) {
	for _, m := range h.maps {
		if m.Path != h.path || uint64(off) < m.Offset || uint64(off)-m.Offset >= m.Size() {
			continue
		}
		at := uint64(off) - m.Offset
		n, err := h.mem.ReadAt(b[:min(uint64(len(b)), m.Size()-at)], int64(m.Start)+int64(at))
		if err == nil && n < len(b) {
			err = io.EOF
		}
		return n, err
	}
	return 0, io.EOF
}
