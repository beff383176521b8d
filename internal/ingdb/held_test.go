package ingdb

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"
)

// file makes a file that looks like a core, or not.
func file(t *testing.T, name string, kind elf.Type) *os.File {
	t.Helper()
	head := make([]byte, 64)
	copy(head, elf.ELFMAG)
	head[elf.EI_DATA], head[16] = byte(elf.ELFDATA2LSB), byte(kind)
	if err := os.WriteFile(name, head, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// The core is the one that gdb names, among those that are open, whatever became of its name since.
func TestFindCore(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	find := func(name string) os.FileInfo {
		t.Helper()
		h, err := findCore(inferior{core: name})
		if err != nil {
			t.Fatal(err)
		}
		defer h.file.Close()
		st, err := h.file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	file(t, path("program"), elf.ET_EXEC)
	one, two := file(t, path("one"), elf.ET_CORE), file(t, path("two"), elf.ET_CORE)
	if !same(one, find(path("one"))) || !same(two, find(path("two"))) || !same(one, find(filepath.Join(link, "one"))) {
		t.Error("a core that is open is not found by its name")
	}
	if err := os.Remove(path("one")); err != nil {
		t.Fatal(err)
	}
	if !same(one, find(path("one"))) {
		t.Error("a deleted core is not found")
	}
	if err := os.Link(path("two"), path("three")); err != nil {
		t.Fatal(err)
	}
	if !same(two, find(path("three"))) {
		t.Error("a core is not found by its second name")
	}
	for _, name := range []string{path("program"), path("none")} {
		if h, err := findCore(inferior{core: name}); err == nil {
			t.Errorf("%s: %s is found", name, h.name)
		}
	}
	if h, err := findCore(inferior{}); err == nil {
		t.Errorf("of two cores, none of which gdb names, %s is taken", h.name)
	}
}
