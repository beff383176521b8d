package ingdb

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"guestcore/internal/session"
)

// held is a core file that gdb has open, kept open for when gdb closes it.
type held struct{ file *os.File }

// path names the file whatever became of its name.
func (h *held) path() string { return fmt.Sprintf("/proc/self/fd/%d", h.file.Fd()) }

// look looks for the core that gdb has open, and keeps it for later.
func (s *Server) look() {
	cores := openCores(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(cores) == 0 {
		return
	}
	newest := cores[len(cores)-1]
	for _, c := range cores[:len(cores)-1] {
		c.file.Close()
	}
	if s.last != nil {
		s.last.file.Close()
	}
	s.last = newest
}

// openCores opens the core files that this process has open, in the order of
// their descriptors. want, if there, says which of them.
func openCores(want func(*os.File) bool) []*held {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var fds []int
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd < SocketFD {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	var cores []*held
	for _, fd := range fds {
		name := fmt.Sprintf("/proc/self/fd/%d", fd)
		st, err := os.Stat(name)
		if err != nil || !st.Mode().IsRegular() || slices.ContainsFunc(cores, func(h *held) bool { return same(h.file, st) }) {
			continue
		}
		f, err := os.Open(name) // with an offset of its own
		if err != nil {
			continue
		}
		if !isCore(f) || want != nil && !want(f) {
			f.Close()
			continue
		}
		cores = append(cores, &held{f})
	}
	return cores
}

func same(f *os.File, st os.FileInfo) bool {
	have, err := f.Stat()
	return err == nil && os.SameFile(have, st)
}

// isCore reports whether a file is an ELF core file.
func isCore(r io.ReaderAt) bool {
	head := make([]byte, 18) // to the end of e_type
	if _, err := r.ReadAt(head, 0); err != nil || string(head[:4]) != elf.ELFMAG {
		return false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	return elf.Type(order.Uint16(head[16:])) == elf.ET_CORE
}

// open opens a core as the program does.
func (s *Server) open(ctx context.Context, core string) (*session.Session, error) {
	return session.Open(ctx, session.Options{Core: core, Log: s.log})
}
