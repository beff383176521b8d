package ingdb

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"guestcore/internal/inferior/core"
)

// held is a core file that gdb has open, kept open for when gdb closes it.
type held struct {
	file *os.File
	name string // as the kernel has it: with " (deleted)" behind that of a file that is gone
}

// path names the file whatever became of its name.
func (h *held) path() string { return fmt.Sprintf("/proc/self/fd/%d", h.file.Fd()) }

// again is the same file, opened once more.
func (h *held) again() (*held, error) { return hold(h.path()) }

func hold(path string) (*held, error) {
	f, err := os.Open(path) // with an offset of its own
	if err != nil {
		return nil, err
	}
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err == nil && !isCore(f) {
		err = fmt.Errorf("%s is no core file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &held{f, name}, nil
}

// pid is the process the core is of, 0 if it does not say.
func (h *held) pid() int {
	p, err := core.Open(h.path(), core.Options{})
	if err != nil {
		return 0
	}
	defer p.Close()
	return p.PID()
}

// findCore finds the core file of an inferior, which gdb has open, or had: it
// closes files that it has not used for long when it has too many.
func findCore(i inferior) (*held, error) {
	cores := openCores()
	chosen := choose(cores, i)
	for _, c := range cores {
		if c != chosen {
			c.file.Close()
		}
	}
	switch {
	case chosen != nil:
		return chosen, nil
	case i.core == "":
		return nil, errors.New("the core file of this gdb was not found among its open files: use core-file again")
	}
	return hold(i.core)
}

// choose chooses the core file of an inferior, nil if it is not among them. A
// file that has taken the name of gdb's is not gdb's.
func choose(cores []*held, i inferior) *held {
	if i.core == "" {
		if n := slices.IndexFunc(cores, func(h *held) bool { return i.pid != 0 && h.pid() == i.pid }); n >= 0 {
			return cores[n]
		}
		if len(cores) == 1 {
			return cores[0]
		}
		return nil
	}
	if st, err := os.Stat(i.core); err == nil {
		if n := slices.IndexFunc(cores, func(h *held) bool { return same(h.file, st) }); n >= 0 {
			return cores[n]
		}
	}
	name := i.core
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		name = filepath.Join(dir, filepath.Base(name))
	}
	for _, h := range slices.Backward(cores) { // the newest
		if h.name == name+" (deleted)" {
			return h
		}
	}
	return nil
}

// openCores opens the core files that this process has open, in the order of
// their descriptors.
func openCores() []*held {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var fds []int
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
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
		if h, err := hold(name); err == nil {
			cores = append(cores, h)
		}
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
