package live

import (
	"debug/elf"
	"io"
	"os"
	"path/filepath"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
	"guestcore/internal/inferior/procmaps"
)

func readMaps(dir string) (procmaps.Maps, error) {
	f, err := os.Open(filepath.Join(dir, "maps"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return procmaps.Read(f)
}

// Protection is the access the process has at a.
func (p *Process) Protection(a addr.HVA) (elf.ProgFlag, bool) {
	m, ok := p.maps.At(a)
	return m.Prot, ok
}

// Regions lists the mappings.
func (p *Process) Regions() []inferior.Region { return p.maps.Regions() }

// Files lists the mapped files.
func (p *Process) Files() []inferior.FileMapping { return p.fileMaps }

// Held reads a mapped file, by its path in Files and by file offset, as far as
// the process has it in memory.
func (p *Process) Held(path string) io.ReaderAt { return p.maps.Held(path, p) }
