package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestRefusals(t *testing.T) {
	program := func(typ elf.Type) []byte {
		b := sample(elf.ELFCLASS64, binary.LittleEndian)
		b.typ = typ
		return b.bytes()
	}
	guest := newBuilder(elf.ELFCLASS64, binary.LittleEndian)
	guest.thread(1, 0)
	kernel := newBuilder(elf.ELFCLASS64, binary.LittleEndian)
	kernel.thread(1, 0)
	kernel.note("CORE", ntPRPSInfo, make([]byte, 136))
	kernel.note("VMCOREINFO", 0, []byte("OSRELEASE=6.1\n"))
	quiet := newBuilder(elf.ELFCLASS64, binary.LittleEndian)
	quiet.note("CORE", ntPRPSInfo, make([]byte, 136))
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		is   error
		want string
	}{
		{"empty", nil, ErrEmpty, "the file is empty"},
		{"text", []byte("hello"), ErrNotCore, `not an ELF file, it begins with "hell"`},
		{"executable", exe, ErrNotCore, "is an executable, not a core: name the core file here, and the executable with --exe"},
		{"shared object", program(elf.ET_DYN), ErrNotCore, "is a shared object, not a core"},
		{"object", program(elf.ET_REL), ErrNotCore, "is a relocatable object, not a core"},
		{"guest dump", guest.bytes(), ErrGuestDump, "looks like a guest memory dump already"},
		{"kcore", kernel.bytes(), ErrGuestDump, "looks like a guest memory dump already"},
		{"kdump", []byte("KDUMP   \x06\x00"), ErrGuestDump, "looks like a guest memory dump already"},
		{"no thread", quiet.bytes(), ErrNotCore, "has no NT_PRSTATUS note"},
		{"header cut", exe[:30], nil, "cut inside its ELF header: it has 30 bytes and needs 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, c.raw, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path, Options{})
			if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                     "is a directory: name the core file in it",
		"/dev/null":             "is not a regular file",
		filepath.Join(dir, "x"): "no such file or directory",
	} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A core that claims more than it has must not cost memory.
func TestHostileSizes(t *testing.T) {
	base := sample(elf.ELFCLASS64, binary.LittleEndian)
	le := binary.LittleEndian
	const phdr0, phdr1 = 64, 64 + 56
	notesAt := 64 + 56*5
	for name, change := range map[string]func(b []byte){
		"note segment":  func(b []byte) { le.PutUint64(b[phdr0+32:], 1<<40) },
		"note offset":   func(b []byte) { le.PutUint64(b[phdr0+8:], 1<<63) },
		"note name":     func(b []byte) { le.PutUint32(b[notesAt:], 0xffffffff) },
		"note desc":     func(b []byte) { le.PutUint32(b[notesAt+4:], 0xfffffff0) },
		"header offset": func(b []byte) { le.PutUint64(b[32:], 1<<63-8) },
		"PN_XNUM": func(b []byte) { // sh_info lies in the notes
			le.PutUint16(b[56:], pnXNum)
			le.PutUint64(b[40:], uint64(notesAt))
			le.PutUint32(b[notesAt+44:], 0xffffffff)
		},
		"section offset":   func(b []byte) { le.PutUint16(b[56:], pnXNum); le.PutUint64(b[40:], 1<<63) },
		"segment wraps":    func(b []byte) { le.PutUint64(b[phdr1+40:], ^uint64(0)) },
		"segment in file":  func(b []byte) { le.PutUint64(b[phdr1+32:], 1<<62); le.PutUint64(b[phdr1+40:], 1<<62) },
		"count of NT_FILE": func(b []byte) { le.PutUint64(b[bytes.Index(b, []byte("/usr/bin"))-40:], 1<<60) },
	} {
		t.Run(name, func(t *testing.T) {
			raw := base.bytes()
			change(raw)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parse(bytes.NewReader(raw), int64(len(raw)), Options{})
			runtime.ReadMemStats(&after)
			var format *FormatError
			if !errors.As(err, &format) {
				t.Errorf("error %v", err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("took %d bytes", n)
			}
		})
	}
}
