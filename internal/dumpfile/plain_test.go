package dumpfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/lime"
	"guestcore/internal/dump/raw"
	"guestcore/internal/dumpfile"
	"guestcore/internal/verify"
)

// A dump that has memory alone is the guest, too.
func TestPlain(t *testing.T) {
	for name, parts := range guests {
		m := machine(t, arch.Guests[2], parts)
		core, _ := verify.OfMachine("core", m)
		f := open(t, write(t, writer{"lime", lime.Format{}, dump.Options{}}, m))
		if f.Format != "LiME" || f.Order != nil || len(f.Problems)+len(f.Lost) != 0 || fmt.Sprint(source(f).Spans()) != fmt.Sprint(core.Spans()) {
			t.Errorf("%s: %+v", name, f)
		}
		if res := check(t, core, source(f)); !res.OK() {
			t.Errorf("%s: %+v, %+v", name, res.Faults, res.Difference)
		}
		path := write(t, writer{"raw", raw.Format{}, dump.Options{}}, m)
		if _, err := dumpfile.Open(path); err == nil {
			t.Errorf("%s: a raw image is told by its bytes", name)
		}
		image, err := dumpfile.OpenRaw(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer image.Close()
		if res := check(t, core, source(image)); !res.OK() || res.Bytes != m.Image.Size()-lacks(m.Image.Size(), core) {
			t.Errorf("%s: %+v, %+v, %d bytes", name, res.Faults, res.Difference, res.Bytes)
		}
	}
}

// lacks is how much of a guest's memory a source has not.
func lacks(size uint64, s *verify.Source) uint64 {
	for _, x := range s.Spans() {
		size -= x.Size()
	}
	return size
}

// A raw image is where one says.
func TestOpenRaw(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raw")
	if _, err := dumpfile.OpenRaw(path, 0); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for text, at := range map[string]addr.GPA{"": 0, "0123": 1<<63 - 3} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := dumpfile.OpenRaw(path, at); !errors.Is(err, dumpfile.ErrNotDump) {
			t.Errorf("%q at %v: %v", text, at, err)
		}
	}
	if err := os.WriteFile(path, []byte("0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := dumpfile.OpenRaw(path, 0x1000)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 2)
	if n, err := f.ReadAt(b, 0x1001); n != 2 || err != nil || string(b) != "12" || f.Path != path || f.Size != 4 {
		t.Errorf("%q, %v, %+v", b[:n], err, f)
	}
	if f.Where(0x1002) != "offset 0x2 of "+path {
		t.Error(f.Where(0x1002))
	}
}

// A user names a raw image, and where it begins.
func TestOpenNamed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"image", "at@home", "0x10@0x20"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("0123"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, at := range map[string]addr.GPA{"image": 0, "image@4096": 4096, "image@0x40000000": 0x40000000, "at@home": 0, "0x10@0x20@0x30": 0x30} {
		f, err := dumpfile.OpenNamed("raw:" + dir + "/" + name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		defer f.Close()
		if f.Ranges[0].Addr != at || f.Ranges[0].Size != 4 {
			t.Errorf("%s: %+v", name, f.Ranges)
		}
	}
	if _, err := dumpfile.OpenNamed(dir + "/image"); !errors.Is(err, dumpfile.ErrNotDump) {
		t.Errorf("without raw: %v", err)
	}
}

// LiME's form and a raw image do not say what machine they are of, and are a
// source of guest memory once somebody does.
func TestConvertPlain(t *testing.T) {
	m := machine(t, arch.Guests[2], guests["a PC"])
	want := digest(t, open(t, write(t, writers()[0], m)))
	f := open(t, write(t, writer{"lime", lime.Format{}, dump.Options{}}, m))
	if _, err := f.Guest(""); err == nil || !strings.Contains(err.Error(), "--arch") {
		t.Errorf("of a machine that is not known: %v", err)
	}
	for _, w := range writers() {
		again, err := f.Guest("X86_64")
		if err != nil {
			t.Fatal(err)
		}
		if got := digest(t, open(t, write(t, w, again))); got != want {
			t.Errorf("%s has other memory", w.name)
		}
	}
	image, err := dumpfile.OpenRaw(write(t, writer{"raw", raw.Format{}, dump.Options{}}, m), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	again, err := image.Guest("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	core, _ := verify.OfMachine("core", m)
	if res := check(t, core, source(open(t, write(t, writers()[1], again)))); !res.OK() || res.Bytes == 0 {
		t.Errorf("%+v", res)
	}
}
