package core

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

// ZerosAt is how many bytes of memory from a on are zeros because the core
// has a hole there, in a file system that tells; 0 if it has none or does not.
func (p *Process) ZerosAt(a addr.HVA) uint64 {
	e, ok := p.mappings.Find(a)
	if !ok || e.Kind != extent.Data || p.file == nil {
		return 0
	}
	off, left := e.Off.Offset()+int64(a-e.Addr), uint64(e.End()-a)
	data, err := unix.Seek(int(p.file.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // no data up to the end of the file
		end, err := p.file.Seek(0, io.SeekEnd)
		if err != nil {
			return 0
		}
		data = end
	case err != nil:
		return 0
	}
	return min(uint64(max(0, data-off)), left)
}
