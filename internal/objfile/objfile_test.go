package objfile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/objfile"
	"guestcore/internal/objfile/objtest"
)

const progC = `
const char version[] = "version 7.2.22";
int exported = 42;
static int hidden = 43;
int zeroed[100];
static int local_one(int x) { return x + hidden; }
int cxx(int) __asm__("_ZN4qemu4coreEi");
int cxx(int x) { static int counter; counter += x; return local_one(counter); }
int rust(void) __asm__("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE");
int rust(void) { return zeroed[3]; }
int main(void) { return cxx(1) + rust() + version[0]; }
`

// build makes the program. Its .dynsym has exported, version, main and the others that are not static.
func build(t testing.TB, dir string, flags ...string) string {
	t.Helper()
	return objtest.Compile(t, dir, "prog", map[string]string{"prog.c": progC}, append([]string{"-g", "-rdynamic", "-fno-inline"}, flags...)...)
}

func open(t testing.TB, path string, opts objfile.Options) *objfile.File {
	t.Helper()
	f, err := objfile.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := f.Close(); err != nil {
				t.Errorf("closing %s: %v", path, err)
			}
		}
	})
	return f
}

// nowhere finds no debug file.
func nowhere(t testing.TB) objfile.Options {
	return objfile.Options{DebugDirs: []string{}, Cache: filepath.Join(t.TempDir(), "cache")}
}

func TestIdentity(t *testing.T) {
	exe := build(t, t.TempDir())
	f := open(t, exe, nowhere(t))
	want := objtest.BuildID(t, exe)
	if got := f.BuildID().String(); got != want {
		t.Errorf("BuildID = %s, readelf says %s", got, want)
	}
	image, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	page := make([]byte, 4096)
	if _, err := image.ReadAt(page, 0); err != nil {
		t.Fatal(err)
	}
	if id, err := objfile.BuildIDFrom(bytes.NewReader(page)); err != nil || id.String() != want {
		t.Errorf("build-id from the first page: %v, %v; want %s", id, err, want)
	}
	if f.Path() != exe {
		t.Errorf("Path = %s", f.Path())
	}
}

func TestNoBuildID(t *testing.T) {
	f := open(t, build(t, t.TempDir(), "-Wl,--build-id=none"), nowhere(t))
	if f.BuildID() != nil {
		t.Errorf("BuildID = %v, want none", f.BuildID())
	}
}

func TestReadVaddr(t *testing.T) {
	for _, flags := range [][]string{{"-pie", "-fPIE"}, {"-no-pie"}} {
		exe := build(t, t.TempDir(), flags...)
		f := open(t, exe, nowhere(t))
		sym, err := f.Lookup("version")
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, sym.Size)
		if n, err := f.ReadVaddr(b, sym.Value); err != nil || string(b) != "version 7.2.22\x00" {
			t.Errorf("%v: version reads %q, %d, %v", flags, b, n, err)
		}
		bss, err := f.Lookup("zeroed")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.ReadVaddr(b, bss.Value); n != 0 || !errors.Is(err, objfile.ErrNotInFile) {
			t.Errorf("%v: .bss reads %d bytes, %v; want ErrNotInFile", flags, n, err)
		}
		if n, err := f.ReadVaddr(b, 1<<64-4); n != 0 || !errors.Is(err, objfile.ErrNotInFile) {
			t.Errorf("%v: the last address reads %d bytes, %v", flags, n, err)
		}
		data, _ := f.Section(".data")
		if n, err := f.ReadVaddr(make([]byte, 1<<20), data.Addr); n < int(data.Size) || n > int(data.Size)+4096 || !errors.Is(err, objfile.ErrNotInFile) {
			t.Errorf("%v: reading over the end of .data: %d of %d bytes, %v", flags, n, data.Size, err)
		}
	}
}

func TestLoadBias(t *testing.T) {
	pie := open(t, build(t, t.TempDir(), "-pie", "-fPIE"), nowhere(t))
	fixed := open(t, build(t, t.TempDir(), "-no-pie"), nowhere(t))
	const base = 0x555555554000
	phdr := func(f *objfile.File) uint64 {
		v, ok := f.PhdrVaddr()
		if !ok {
			t.Fatalf("%s: no program headers in memory", f.Path())
		}
		return v
	}
	for _, c := range []struct {
		name        string
		f           *objfile.File
		phdr, entry uint64
		want        uint64
		err         string
	}{
		{"pie by both", pie, base + phdr(pie), base + pie.Header().Entry, base, ""},
		{"pie by phdr", pie, base + phdr(pie), 0, base, ""},
		{"pie by entry", pie, 0, base + pie.Header().Entry, base, ""},
		{"fixed", fixed, phdr(fixed), fixed.Header().Entry, 0, ""},
		{"they disagree", pie, base + phdr(pie), base + 4096 + pie.Header().Entry, 0, "is this the executable"},
		{"not a page", pie, base + 8 + phdr(pie), 0, 0, "page size"},
		{"fixed, moved", fixed, 0, 4096 + fixed.Header().Entry, 0, "fixed address"},
		{"nothing known", pie, 0, 0, 0, "neither"},
	} {
		got, err := c.f.LoadBias(c.phdr, c.entry)
		switch {
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%s: %#x, %v; want %#x", c.name, got, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v; want one with %q", c.name, err, c.err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	object := filepath.Join(dir, "o.o")
	objtest.Run(t, "gcc", "-c", "-o", object, objtest.Write(t, filepath.Join(dir, "o.c"), "int x;"))
	exe, err := os.ReadFile(build(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "missing"), "no such file"},
		{"directory", dir, "not a regular file"},
		{"device", "/dev/null", "not a regular file"},
		{"empty", objtest.Write(t, filepath.Join(dir, "empty"), ""), "0 bytes"},
		{"text", objtest.Write(t, filepath.Join(dir, "text"), strings.Repeat("#!/bin/sh\n", 100)), "not an ELF"},
		{"object file", object, "ET_REL"},
		{"cut in the section headers", objtest.Write(t, filepath.Join(dir, "cut"), string(exe[:len(exe)-100])), "cut"},
	} {
		f, err := objfile.Open(c.path, objfile.Options{})
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one with %q", c.name, err, c.want)
		}
	}
}

func TestFindExecutable(t *testing.T) {
	dir := t.TempDir()
	exe := build(t, dir)
	id := open(t, exe, nowhere(t)).BuildID()
	root := filepath.Join(dir, "root")
	at := strings.TrimSuffix(objtest.BuildIDPath(root, id.String()), ".debug")
	cache := filepath.Join(dir, "cache")

	opts := objfile.Options{DebugDirs: []string{root}, Cache: cache}
	if _, err := objfile.FindExecutable(id, opts); !errors.Is(err, objfile.ErrNoExecutable) || !strings.Contains(err.Error(), at) {
		t.Errorf("nothing there: error %v; want ErrNoExecutable and the places", err)
	}
	cached := filepath.Join(cache, id.String(), "executable")
	objtest.Write(t, cached, "")
	objtest.Run(t, "cp", exe, cached)
	if got, err := objfile.FindExecutable(id, opts); got != cached || err != nil {
		t.Errorf("in the cache: %s, %v", got, err)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, at); err != nil {
		t.Fatal(err)
	}
	if got, err := objfile.FindExecutable(id, opts); got != at || err != nil {
		t.Errorf("by build-id: %s, %v", got, err)
	}
	other := build(t, filepath.Join(dir), "-DOTHER", "-O2") // the link now leads to a program with another build-id
	if got, err := objfile.FindExecutable(id, opts); got != cached || err != nil {
		t.Errorf("%s is another program: %s, %v; want %s", other, got, err, cached)
	}
}

// The zero Options and a library of the system itself.
func TestSystemLibrary(t *testing.T) {
	f := open(t, strings.TrimSpace(objtest.Run(t, "gcc", "-print-file-name=libc.so.6")), objfile.Options{})
	if _, err := f.Lookup("no such symbol at all"); !errors.Is(err, objfile.ErrNoSymbol) {
		t.Errorf("error %v, want ErrNoSymbol", err)
	}
	if s, err := f.Lookup("malloc"); err != nil || s.Size == 0 || s.Value == 0 {
		t.Errorf("malloc: %+v, %v", s, err)
	}
}
