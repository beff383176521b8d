package core

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

var (
	// ErrEmpty is a core file of no bytes.
	ErrEmpty = errors.New("the file is empty: the kernel had no space or no permission to write the core (see ulimit -c and the disk)")
	// ErrNotCore is a file that is something other than a process's core.
	ErrNotCore = errors.New("not a process's core file")
	// ErrGuestDump is a dump of a machine, not of a process.
	ErrGuestDump = errors.New("looks like a guest memory dump already, not like the core of a QEMU process: open it with crash or drgn, or write it in another format with \"guestcore convert\"")
)

// FormatError says where a core file is damaged.
type FormatError struct {
	Off int64 // in the file
	Msg string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("damaged core file: %s (at offset %#x)", e.Msg, e.Off)
}

// notCoreError is an [ErrNotCore] that says what the file is instead.
type notCoreError struct{ msg string }

func (e *notCoreError) Error() string        { return e.msg }
func (e *notCoreError) Is(target error) bool { return target == ErrNotCore }

func notCore(format string, args ...any) error { return &notCoreError{fmt.Sprintf(format, args...)} }

// cutError is a file that ends inside the tables it begins with.
func cutError(what string, need, size int64) error {
	return &FormatError{size, fmt.Sprintf("cut inside its %s: it has %d bytes and needs %d before any memory comes; copy it again in full", what, size, need)}
}

// magics are the first bytes of files that people take for cores.
var magics = []struct {
	magic string
	err   error
}{
	{"KDUMP   ", ErrGuestDump},
	{"makedumpfile\x00", ErrGuestDump},
	{"DISKDUMP", ErrGuestDump},
	{"PAGEDU64", ErrGuestDump},
	{"PAGEDUMP", ErrGuestDump},
	{"EMiL", ErrGuestDump},
	{"QEVM", errors.New("is a saved state of QEMU (migrate or savevm), not the core of its process")},
}

// CheckMagic says what r holds when it is not ELF, by its first bytes.
func CheckMagic(r io.ReaderAt) error {
	var b [16]byte
	n, err := r.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the ELF header: %w", err)
	}
	got := b[:n]
	if bytes.HasPrefix(got, []byte("\x7fELF")) {
		return nil
	}
	for _, m := range magics {
		if strings.HasPrefix(string(got), m.magic) {
			return m.err
		}
	}
	return notCore("not an ELF file, it begins with %q: name the core file of a QEMU process", got[:min(n, 4)])
}
