package core

import (
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"testing"

	"guestcore/internal/inferior"
	"guestcore/test/crashed"
)

// The kernel's own core of a program we know.
func TestRealCore(t *testing.T) {
	program := crashed.Run(t)
	p, err := Open(program.Core, Options{OpenFile: func(path string, _ io.ReaderAt) (*os.File, error) { return os.Open(path) }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.PID() != program.PID {
		t.Errorf("pid %d, it was %d", p.PID(), program.PID)
	}
	if got := p.Command(); !slices.Equal(got, program.Args) {
		t.Errorf("command %q, it was %q", got, program.Args)
	}
	threads := p.Threads()
	if len(threads) != 4 || threads[0].Signal != 11 || threads[0].TID == p.PID() {
		t.Errorf("%d threads, the first one %d with signal %d", len(threads), threads[0].TID, threads[0].Signal)
	}
	for _, th := range threads {
		for _, typ := range []uint32{1, 2} {
			if th.Note(typ) == nil {
				t.Errorf("thread %d has no note %#x", th.TID, typ)
			}
		}
	}
	const sigInfo = 0x53494749
	if si := threads[0].Note(sigInfo); len(si) != 128 || binary.NativeEndian.Uint32(si) != 11 {
		t.Errorf("siginfo of the crash: % x", si)
	}
	if want, have := p.Truncated(); have < want {
		t.Errorf("%d of %d bytes", have, want)
	}
	checkText(t, p, program.Exe)
}

// checkText compares the executable's mappings that cannot be written with
// the file.
func checkText(t *testing.T, p *Process, exe string) {
	t.Helper()
	file, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	entry, _ := inferior.AuxValue(p, inferior.AT_ENTRY)
	found := false
	for _, m := range p.Files() {
		prot, ok := p.Protection(m.Start)
		if !ok {
			t.Errorf("no segment for %+v", m)
		}
		if m.Path != exe || prot&elf.PF_X == 0 {
			continue
		}
		found = found || uint64(m.Start) <= entry && entry < uint64(m.End)
		size := min(uint64(m.End-m.Start), uint64(len(file))-m.Offset)
		got := make([]byte, size)
		if _, err := p.ReadAt(got, int64(m.Start)); err != nil {
			t.Error(err)
		}
		if string(got) != string(file[m.Offset:m.Offset+size]) {
			t.Errorf("text at %#x is not that of the file", uint64(m.Start))
		}
	}
	if !found {
		t.Errorf("no text mapping of %s holds the entry point %#x", exe, entry)
	}
}
