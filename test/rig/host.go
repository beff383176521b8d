package rig

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The emulators of other hosts are Debian's own for these, and run under QEMU's user mode emulation. When that sees a program
// die it writes the program's core, with the program's byte order and structures; but not, as Linux does, a note NT_FILE.
var hosts = map[Build]struct {
	debian string // Debian's name of the architecture
	user   string // what emulates it
}{
	ARM64Host:   {"arm64", "qemu-aarch64-static"},
	S390XHost:   {"s390x", "qemu-s390x-static"},
	PPC64ELHost: {"ppc64el", "qemu-ppc64le-static"},
}

// hostEmulator is the emulator of a build for guests of one architecture that was built for another host. The cache folder has
// the host's files at hosts/ARCH/root, and what emulates it at hosts/bin.
func hostEmulator(build Build, name, what string) (q QEMU, err error) {
	h := hosts[build]
	if q.Exe, err = cached(what, setupTest, "hosts", h.debian, "root", "usr", "bin", name); err != nil {
		return q, err
	}
	q.sysroot = strings.TrimSuffix(q.Exe, "/usr/bin/"+name)
	q.Args = []string{"-accel", "tcg,tb-size=8"} // MiB; all of it is in the core
	q.user, err = cached(what, setupTest, "hosts", "bin", h.user)
	return q, err
}

// abort kills a process that unlimited started, as assert() would, and leaves its core as "core" in its folder.
func (q QEMU) abort(g *guest) error {
	if q.user == "" {
		return abort(g.cmd)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", g.cmd.Process.Pid))
	if err != nil {
		return err
	}
	if err := abort(g.cmd); err != nil { // leaves the core of what emulates it
		return err
	}
	found, err := filepath.Glob(filepath.Join(g.dir, "qemu_*.core"))
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%s left %d cores of the program: is there space on the disk?", q.user, len(found))
	}
	core := filepath.Join(g.dir, "core")
	if err := os.Rename(found[0], core); err != nil {
		return err
	}
	return addFiles(core, mappedFiles(string(maps), q.sysroot))
}

// mapping is a file that a process has mapped.
type mapping struct {
	start, end, offset uint64 // bytes
	path               string
}

// mappedFiles are those of /proc/PID/maps whose files are below root. User mode emulation maps them for the program, at the
// program's own addresses.
func mappedFiles(maps, root string) []mapping {
	var out []mapping
	for line := range strings.Lines(maps) {
		f := strings.Fields(line)
		if len(f) != 6 || !strings.HasPrefix(f[5], root+"/") {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		m := mapping{path: f[5]}
		for text, to := range map[string]*uint64{from: &m.start, to: &m.end, f[2]: &m.offset} {
			*to, _ = strconv.ParseUint(text, 16, 64) // the kernel's own
		}
		out = append(out, m)
	}
	return out
}

// addFiles gives a 64-bit core a note NT_FILE (fill_files_note, fs/binfmt_elf.c). The note and a new table of program headers
// go to the end of the file.
func addFiles(core string, files []mapping) error {
	f, err := os.OpenFile(core, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	e, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("%s: %w", core, err)
	}
	order := e.ByteOrder
	var desc, names, out bytes.Buffer
	write := func(to *bytes.Buffer, v any) { binary.Write(to, order, v) } // a buffer takes all there is
	write(&desc, []uint64{uint64(len(files)), 1})
	for _, m := range files {
		write(&desc, []uint64{m.start, m.end, m.offset})
		names.WriteString(m.path + "\x00")
	}
	desc.Write(names.Bytes())
	desc.Write(make([]byte, -desc.Len()&3))
	write(&out, []uint32{5, uint32(desc.Len()), 0x46494c45})
	out.WriteString("CORE\x00\x00\x00\x00")
	out.Write(desc.Bytes())
	note := elf.Prog64{Type: uint32(elf.PT_NOTE), Filesz: uint64(out.Len())}
	end, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	note.Off = uint64(end)
	out.Write(make([]byte, -out.Len()&7))
	table := note.Off + uint64(out.Len())
	for _, p := range e.Progs {
		write(&out, elf.Prog64{Type: uint32(p.Type), Flags: uint32(p.Flags), Off: p.Off, Vaddr: p.Vaddr, Paddr: p.Paddr,
			Filesz: p.Filesz, Memsz: p.Memsz, Align: p.Align})
	}
	write(&out, note)
	if _, err := f.Write(out.Bytes()); err != nil {
		return err
	}
	header := make([]byte, 8)
	order.PutUint64(header, table)
	if _, err := f.WriteAt(header, 32); err != nil { // e_phoff
		return err
	}
	order.PutUint16(header, uint16(len(e.Progs)+1))
	_, err = f.WriteAt(header[:2], 56) // e_phnum
	return err
}
