package objfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"guestcore/internal/objfile/objtest"
)

// A build-id that is found stands in the image, and has a length that one can have.
func FuzzBuildIDFrom(f *testing.F) {
	exe := objtest.Compile(f, f.TempDir(), "prog", map[string]string{"prog.c": "int main(void) { return 0; }"}, "-m64")
	b, err := os.ReadFile(exe)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:4096])
	f.Add(b[:64])
	f.Add([]byte("\x7fELF\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := BuildIDFrom(bytes.NewReader(b))
		switch {
		case err != nil && id != nil:
			t.Fatalf("both %s and %v", id, err)
		case err == nil && (len(id) == 0 || len(id) > maxBuildID || !bytes.Contains(b, id)):
			t.Fatalf("build-id %q is not one of this image", id)
		}
	})
}

// An ELF file of any bytes answers with errors, or with bytes and symbols that are really in it.
func FuzzImage(f *testing.F) {
	dir := f.TempDir()
	exe := objtest.Compile(f, dir, "prog", map[string]string{"prog.c": "int data = 1; int main(void) { return data; }"}, "-g", "-gz")
	whole, err := os.ReadFile(exe)
	if err != nil {
		f.Fatal(err)
	}
	objtest.MiniDebug(f, exe)
	mini, err := os.ReadFile(exe)
	if err != nil {
		f.Fatal(err)
	}
	for at := 0; at < len(mini); at += len(mini) / 32 {
		f.Add(true, at, []byte{0xff, 0, 0x80, 1})
		f.Add(false, at, []byte{0, 0, 0, 0x40, 0xff})
	}
	f.Fuzz(func(t *testing.T, stripped bool, at int, patch []byte) {
		b := bytes.Clone(whole)
		if stripped {
			b = bytes.Clone(mini)
		}
		if at >= 0 && at < len(b) {
			copy(b[at:], patch)
		}
		img, err := newImage(bytes.NewReader(b), int64(len(b)), "fuzz")
		if err != nil {
			return
		}
		if len(img.id) > 0 && !bytes.Contains(b, img.id) {
			t.Fatalf("build-id %s", img.id)
		}
		opts := Options{DebugDirs: []string{}, Cache: filepath.Join(dir, "none")}
		file := &File{opts: opts.withDefaults(), main: img}
		if s, err := file.Lookup("main"); err == nil && s.Name != "main" {
			t.Fatalf("asked for main, got %+v", s)
		} else if err != nil && !errors.Is(err, ErrNoSymbol) {
			t.Fatal(err)
		}
		for _, at := range []uint64{0, img.elf.Entry, 1<<64 - 1} {
			if s, off, ok := file.SymbolAt(at); ok && (s.Value+off != at || s.Size != 0 && off >= s.Size) {
				t.Fatalf("%#x: %+v + %d", at, s, off)
			}
			p := make([]byte, 16)
			if n, err := file.ReadVaddr(p, at); n < 0 || n > len(p) || (n < len(p)) != (err != nil) {
				t.Fatalf("%#x: %d bytes, %v", at, n, err)
			}
		}
		if d, err := file.DebugData(); err == nil {
			if b, err := d.Section(".debug_info"); err == nil && len(b) == 0 {
				t.Fatal("debug information without bytes, and no error")
			}
		}
		file.Describe()
	})
}

// What a link leads to stands in the section.
func FuzzDebugSup(f *testing.F) {
	f.Add([]byte("\x05\x00\x00../shared\x00\x04abcd"))
	f.Add([]byte("\x05\x00\x01\x00\x02ab"))
	f.Add([]byte("\x05\x00\x00x\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		link, isSup, err := parseDebugSup(b)
		if err != nil {
			return
		}
		if len(link.id) == 0 || !bytes.Contains(b, link.id) || !bytes.Contains(b, []byte(link.path)) || !isSup && link.path == "" {
			t.Fatalf("%+v out of %q", link, b)
		}
	})
}
