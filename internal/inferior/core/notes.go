package core

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
)

// Note types (include/uapi/linux/elf.h). All others between a thread's
// NT_PRSTATUS and the next one are kept with the thread as they are.
const (
	ntPRStatus   = 1
	ntPRPSInfo   = 3
	ntAuxv       = 6
	ntFile       = 0x46494c45 // "FILE"
	ntXSaveAreas = 0x205      // NT_X86_XSAVE_LAYOUT, Linux 6.12; once a core, for all threads
)

// maxNotes bounds the memory the notes may take. A thread has 12 KiB of them
// on x86 with AMX; QEMU has a few hundred threads.
const maxNotes = 1 << 28

// notes is what the notes of a core say.
type notes struct {
	threads []inferior.Thread
	files   []inferior.FileMapping
	auxv    []byte
	pid     int
	psargs  string
}

// readNotes reads all PT_NOTE segments.
func readNotes(r io.ReaderAt, size int64, h header, progs []prog) (notes, error) {
	var n notes
	var shared []inferior.Note // of all threads
	var seen []placedNote
	left := uint64(min(size, maxNotes))
	for _, p := range progs {
		if p.typ != elf.PT_NOTE {
			continue
		}
		if p.off > uint64(size) || uint64(size)-p.off < p.filesz {
			return n, cutError("notes", int64(min(p.off, 1<<61)+min(p.filesz, 1<<61)), size)
		}
		if p.filesz > left {
			return n, &FormatError{int64(p.off), fmt.Sprintf("%d bytes of notes are more than any kernel writes", p.filesz)}
		}
		left -= p.filesz
		b := make([]byte, p.filesz)
		if err := readFull(r, b, int64(p.off)); err != nil {
			return n, err
		}
		list, err := splitNotes(h, b, int64(p.off))
		if err != nil {
			return n, err
		}
		seen = append(seen, list...)
	}
	ofProcess := false
	for _, note := range seen {
		var err error
		switch {
		case note.Name == "CORE" && note.Type == ntPRStatus:
			err = n.addThread(h, note)
		case note.Name == "CORE" && note.Type == ntPRPSInfo:
			ofProcess = true
			n.readPSInfo(h, note.Desc)
		case note.Name == "CORE" && note.Type == ntAuxv:
			ofProcess = true
			n.auxv = note.Desc
		case note.Name == "CORE" && note.Type == ntFile:
			ofProcess = true
			err = n.readFiles(h, note)
		case note.Name == "LINUX" && note.Type == ntXSaveAreas:
			shared = append(shared, note.Note)
		case note.Name == "VMCOREINFO":
			return n, ErrGuestDump
		case len(n.threads) > 0:
			t := &n.threads[len(n.threads)-1]
			t.Notes = append(t.Notes, note.Note)
		}
		if err != nil {
			return n, err
		}
	}
	switch {
	case len(n.threads) == 0:
		return n, notCore("has no NT_PRSTATUS note, so no thread of a process: name the core file of a QEMU process")
	case !ofProcess:
		return n, fmt.Errorf("has none of the notes the kernel writes for a process (NT_AUXV, NT_FILE, NT_PRPSINFO): %w", ErrGuestDump)
	}
	for i := range n.threads {
		n.threads[i].Notes = append(n.threads[i].Notes, shared...)
	}
	if n.pid == 0 {
		n.pid = n.threads[0].TID
	}
	return n, nil
}

// placedNote is a note and where it lies in the file.
type placedNote struct {
	inferior.Note
	off int64
}

// splitNotes cuts a note segment, which lies at off, into notes: three words
// of 32 bits (name size, descriptor size, type), the name, the descriptor,
// both padded to 4 bytes. The descriptors stay part of b.
func splitNotes(h header, b []byte, off int64) ([]placedNote, error) {
	var list []placedNote
	for at := uint64(0); uint64(len(b))-at >= 12; {
		namesz := uint64(h.order.Uint32(b[at:]))
		descsz := uint64(h.order.Uint32(b[at+4:]))
		name := at + 12
		desc := name + align4(namesz)
		end := desc + descsz
		if end > uint64(len(b)) {
			return nil, &FormatError{off + int64(at), fmt.Sprintf("a note of %d + %d bytes passes the end of its segment", namesz, descsz)}
		}
		list = append(list, placedNote{inferior.Note{
			Name: string(bytes.TrimRight(b[name:name+namesz], "\x00")),
			Type: h.order.Uint32(b[at+8:]),
			Desc: b[desc:end:end],
		}, off + int64(at)})
		at = min(align4(end), uint64(len(b)))
	}
	return list, nil
}

func align4(n uint64) uint64 { return (n + 3) &^ 3 }

// addThread starts a thread with its NT_PRSTATUS (struct elf_prstatus,
// include/linux/elfcore.h):
//
//	               64-bit  32-bit
//	si_signo       0       0
//	pr_cursig (16) 12      12
//	pr_pid         32      24
//	registers      112     72
func (n *notes) addThread(h header, note placedNote) error {
	pid := 32
	if !h.wide() {
		pid = 24
	}
	if len(note.Desc) < pid+4 {
		return &FormatError{note.off, fmt.Sprintf("NT_PRSTATUS of thread %d has only %d bytes", len(n.threads)+1, len(note.Desc))}
	}
	n.threads = append(n.threads, inferior.Thread{
		TID:    int(int32(h.order.Uint32(note.Desc[pid:]))),
		Signal: int(h.order.Uint16(note.Desc[12:])),
		Notes:  []inferior.Note{note.Note},
	})
	return nil
}

// readPSInfo reads NT_PRPSINFO (struct elf_prpsinfo, include/linux/elfcore.h).
// 32-bit hosts have user ids of 16 or of 32 bits.
//
//	          64-bit  32-bit  32-bit, wide ids
//	pr_pid    24      12      16
//	pr_psargs 56      44      48   (80 bytes)
//	size      136     124     128
func (n *notes) readPSInfo(h header, desc []byte) {
	pid, args := 24, 56
	if !h.wide() {
		pid, args = 12, 44
		if len(desc) >= 128 {
			pid, args = 16, 48
		}
	}
	if len(desc) < args+80 {
		return // pid and command line are known in other ways
	}
	n.pid = int(int32(h.order.Uint32(desc[pid:])))
	n.psargs = cString(desc[args : args+80])
}

// readFiles reads NT_FILE: the count, the unit of the offsets, for each
// mapping start, end and offset, each a word; then the names, NUL-terminated.
// (fill_files_note, fs/binfmt_elf.c; gdb's gcore writes unit 1.)
func (n *notes) readFiles(h header, note placedNote) error {
	w, desc := h.wordSize(), note.Desc
	bad := func(msg string) error {
		return &FormatError{note.off, "NT_FILE " + msg}
	}
	if uint64(len(desc)) < 2*w {
		return bad("is too short")
	}
	count, unit := h.word(desc), h.word(desc[w:])
	body := desc[2*w:]
	if count > uint64(len(body))/(3*w) {
		return bad(fmt.Sprintf("claims %d mappings in %d bytes", count, len(desc)))
	}
	names := body[3*w*count:]
	files := make([]inferior.FileMapping, 0, count)
	for i := range count {
		e := body[3*w*i:]
		end := bytes.IndexByte(names, 0)
		if end < 0 {
			return bad(fmt.Sprintf("lacks the name of mapping %d of %d", i+1, count))
		}
		m := inferior.FileMapping{
			Start: addr.HVA(h.word(e)), End: addr.HVA(h.word(e[w:])),
			Offset: h.word(e[2*w:]) * unit,
			Path:   string(names[:end]),
		}
		names = names[end+1:]
		if m.Start >= m.End || unit != 0 && m.Offset/unit != h.word(e[2*w:]) || m.Offset >= 1<<63 {
			return bad(fmt.Sprintf("mapping %d (%#x-%#x) makes no sense", i+1, uint64(m.Start), uint64(m.End)))
		}
		files = append(files, m)
	}
	slices.SortStableFunc(files, func(a, b inferior.FileMapping) int { return compare(a.Start, b.Start) })
	n.files = files
	return nil
}

// cString is b up to its first NUL.
func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
