package live

import (
	"bufio"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
)

// mapping is a line of /proc/PID/maps (proc_pid_maps(5)).
type mapping struct {
	start, end addr.HVA
	prot       elf.ProgFlag
	shared     bool
	offset     uint64 // of start in the file
	dev        string
	inode      uint64 // 0: no file
	path       string // of the file, or what the kernel calls the mapping, like [stack]
}

// isFile reports whether the mapping is of a file.
func (m mapping) isFile() bool { return m.inode != 0 }

func readMaps(dir string) ([]mapping, error) {
	f, err := os.Open(filepath.Join(dir, "maps"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var maps []mapping
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m, err := parseMapping(lines.Text())
		if err != nil {
			return nil, err
		}
		maps = append(maps, m)
	}
	return maps, lines.Err()
}

// parseMapping reads a line like
//
//	7f0c40000000-7f0c80000000 rw-s 00000000 00:01 2067   /memfd:ram (deleted)
func parseMapping(line string) (mapping, error) {
	var m mapping
	var perms string
	var start, end uint64
	n, err := fmt.Sscanf(line, "%x-%x %4s %x %s %d", &start, &end, &perms, &m.offset, &m.dev, &m.inode)
	if n < 6 || len(perms) != 4 || end <= start {
		return m, fmt.Errorf("a line of maps was not understood: %q (%v)", line, err)
	}
	m.start, m.end = addr.HVA(start), addr.HVA(end)
	for i, flag := range []elf.ProgFlag{elf.PF_R, elf.PF_W, elf.PF_X} {
		if perms[i] != '-' {
			m.prot |= flag
		}
	}
	m.shared = perms[3] == 's'
	rest := line
	for range 5 { // the name is what follows the fifth field; it may have blanks
		_, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
	}
	m.path = unescape(strings.TrimLeft(rest, " "))
	return m, nil
}

// unescape undoes what maps does to a newline in a name.
func unescape(path string) string { return strings.ReplaceAll(path, `\012`, "\n") }

// mappingAt finds the mapping of an address.
func (p *Process) mappingAt(a addr.HVA) (mapping, bool) {
	i := sort.Search(len(p.maps), func(i int) bool { return p.maps[i].end > a })
	if i == len(p.maps) || p.maps[i].start > a {
		return mapping{}, false
	}
	return p.maps[i], true
}

// Protection is the access the process has at a.
func (p *Process) Protection(a addr.HVA) (elf.ProgFlag, bool) {
	m, ok := p.mappingAt(a)
	return m.prot, ok
}

// Regions lists the mappings.
func (p *Process) Regions() []inferior.Region {
	regions := make([]inferior.Region, len(p.maps))
	for i, m := range p.maps {
		regions[i] = inferior.Region{Start: m.start, End: m.end, Prot: m.prot}
	}
	return regions
}

// Files lists the mapped files.
func (p *Process) Files() []inferior.FileMapping {
	var files []inferior.FileMapping
	for _, m := range p.maps {
		if m.isFile() {
			files = append(files, inferior.FileMapping{Start: m.start, End: m.end, Offset: m.offset, Path: m.path})
		}
	}
	return files
}
