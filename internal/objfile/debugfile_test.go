package objfile_test

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/objfile"
	"guestcore/internal/objfile/objtest"
)

// Where a debug file lies, and whether it is found there: by its build-id or by its checksum.
func TestDebugFileFound(t *testing.T) {
	for _, c := range []struct {
		name string
		path string // of the debug file; in it ID/ab/cdef stands for .build-id, HOME for the program's directory
		by   string // "": not found
		opts objfile.Options
	}{
		{"build-id, first directory", "d1/ID", "build-id", objfile.Options{DebugDirs: []string{"d1", "d2"}}},
		{"build-id, second directory", "d2/ID", "build-id", objfile.Options{DebugDirs: []string{"d1", "d2"}}},
		{"build-id, under the sysroot", "sys/d/ID", "build-id", objfile.Options{DebugDirs: []string{"/d"}, Sysroot: "sys"}},
		{"build-id, no such directory", "d3/ID", "", objfile.Options{DebugDirs: []string{"d1", "d2"}}},
		{"debuglink beside", "home/prog.debug", "debuglink", objfile.Options{DebugDirs: []string{"d1"}}},
		{"debuglink in .debug", "home/.debug/prog.debug", "debuglink", objfile.Options{DebugDirs: []string{"d1"}}},
		{"debuglink under a debug directory", "d1/HOME/prog.debug", "debuglink", objfile.Options{DebugDirs: []string{"d1"}}},
		{"debuglink of the program's own name", "d1/HOME/prog", "debuglink", objfile.Options{DebugDirs: []string{"d1"}}},
		{"debuglink of another name", "home/.debug/other.debug", "", objfile.Options{DebugDirs: []string{"d1"}}},
		{"debuginfod cache", "cache/IDHEX/debuginfo", "debuginfod cache", objfile.Options{DebugDirs: []string{"d1"}, Cache: "cache"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			home := filepath.Join(root, "home")
			exe := build(t, home)
			id := objtest.BuildID(t, exe)
			path := strings.NewReplacer("IDHEX", id, "ID", objtest.BuildIDPath("", id), "HOME", home).Replace(c.path)
			path = filepath.Join(root, path)
			temp := filepath.Join(root, "temp", strings.Replace(filepath.Base(path), "other", "prog", 1)) // the link has the base name only
			objtest.Split(t, exe, temp, true)
			objtest.Write(t, path, "")
			if err := os.Rename(temp, path); err != nil {
				t.Fatal(err)
			}
			opts := c.opts
			opts.DebugDirs = nil
			for _, d := range c.opts.DebugDirs {
				if opts.Sysroot == "" {
					d = filepath.Join(root, d)
				}
				opts.DebugDirs = append(opts.DebugDirs, d)
			}
			if opts.Sysroot != "" {
				opts.Sysroot = filepath.Join(root, opts.Sysroot)
			}
			opts.Cache = filepath.Join(root, cmp.Or(opts.Cache, "nothing"))

			f := open(t, exe, opts)
			d, err := f.DebugData()
			if c.by == "" {
				if !errors.Is(err, objfile.ErrNoDebugInfo) || !strings.Contains(err.Error(), id) {
					t.Errorf("error %v; want ErrNoDebugInfo and the build-id", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p := f.Describe(); d.Path != path || p.DebugInfo != path || p.FoundBy != c.by {
				t.Errorf("found %s by %s; want %s by %s", p.DebugInfo, p.FoundBy, path, c.by)
			}
			if w := f.Warnings(); len(w) > 0 {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// A debug file that does not belong is refused, with both values named.
func TestDebugFileRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(t *testing.T, dir, exe, byID, byLink string)
		reason string
	}{
		{"wrong build-id", func(t *testing.T, dir, exe, byID, byLink string) {
			objtest.Run(t, "cp", build(t, filepath.Join(dir, "other"), "-O3"), byID)
		}, "its build-id is"},
		{"no build-id", func(t *testing.T, dir, exe, byID, byLink string) {
			objtest.Run(t, "cp", build(t, filepath.Join(dir, "other"), "-Wl,--build-id=none"), byID)
		}, "its build-id is none"},
		{"not an ELF file", func(t *testing.T, dir, exe, byID, byLink string) {
			objtest.Write(t, byID, strings.Repeat("not an ELF file ", 10))
		}, "not an ELF"},
		{"wrong checksum", func(t *testing.T, dir, exe, byID, byLink string) {
			f, err := os.OpenFile(byLink, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString("x"); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(byID); err != nil {
				t.Fatal(err)
			}
		}, "its CRC-32 is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			exe := build(t, dir)
			id := objtest.BuildID(t, exe)
			debug := filepath.Join(dir, "debug")
			byID, byLink := objtest.BuildIDPath(debug, id), filepath.Join(dir, "prog.debug")
			objtest.Split(t, exe, byLink, true)
			objtest.Write(t, byID, "")
			objtest.Run(t, "cp", byLink, byID)
			c.spoil(t, dir, exe, byID, byLink)
			if c.reason != "its CRC-32 is" {
				if err := os.Remove(byLink); err != nil {
					t.Fatal(err)
				}
			}
			f := open(t, exe, objfile.Options{DebugDirs: []string{debug}, Cache: dir})
			if _, err := f.DebugData(); !errors.Is(err, objfile.ErrNoDebugInfo) {
				t.Errorf("error %v; want ErrNoDebugInfo", err)
			}
			w := strings.Join(f.Warnings(), "\n")
			if !strings.Contains(w, c.reason) {
				t.Errorf("warnings %q; want one with %q", w, c.reason)
			}
			if strings.HasPrefix(c.reason, "its build-id") && !strings.Contains(w, "wanted "+id) {
				t.Errorf("warnings %q; want the build-id %s in one", w, id)
			}
			if p := f.Describe(); strings.Join(p.Warnings, "\n") != w || p.DebugInfo != "" {
				t.Errorf("Describe: %+v", p)
			}
		})
	}
}

// A refused file does not end the search: the next in order is used.
func TestDebugFileAfterRefusal(t *testing.T) {
	dir := t.TempDir()
	exe := build(t, dir)
	debug := filepath.Join(dir, "debug")
	byID := objtest.BuildIDPath(debug, objtest.BuildID(t, exe))
	objtest.Split(t, exe, filepath.Join(dir, ".debug", "prog.debug"), true)
	objtest.Write(t, byID, "")
	objtest.Run(t, "cp", build(t, filepath.Join(dir, "other"), "-O3"), byID)
	f := open(t, exe, objfile.Options{DebugDirs: []string{debug}, Cache: dir})
	if p := f.Describe(); p.FoundBy != "debuglink" || len(p.Warnings) != 1 {
		t.Errorf("found by %q with warnings %q; want debuglink and one warning", p.FoundBy, p.Warnings)
	}
}

// A supplementary file that is missing or another one is named, and the rest of the debug information stays.
func TestSupplementaryMissing(t *testing.T) {
	for _, spoil := range []string{"missing", "another"} {
		t.Run(spoil, func(t *testing.T) {
			dir := t.TempDir()
			exe := build(t, dir)
			second, shared := filepath.Join(dir, "second"), filepath.Join(dir, "shared.debug")
			objtest.Run(t, "cp", exe, second)
			objtest.Run(t, "dwz", "-m", shared, exe, second)
			id := objtest.BuildID(t, shared)
			if err := os.Remove(shared); err != nil {
				t.Fatal(err)
			}
			if spoil == "another" {
				objtest.Run(t, "cp", build(t, filepath.Join(dir, "other"), "-O3"), shared)
			}
			f := open(t, exe, nowhere(t))
			d, err := f.DebugData()
			if err != nil {
				t.Fatal(err)
			}
			if d.Sup != nil || d.SupErr == nil || !strings.Contains(d.SupErr.Error(), id) || !strings.Contains(d.SupErr.Error(), shared) {
				t.Errorf("SupErr = %v; want one that names %s and %s", d.SupErr, shared, id)
			}
			w := strings.Join(f.Warnings(), "\n")
			if spoil == "another" && !strings.Contains(w, "its build-id is") || !strings.Contains(w, "supplementary") {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// A stripped program keeps the link to the supplementary file; the one that counts is the debug file's.
func TestSupplementaryOfDebugFile(t *testing.T) {
	dir := t.TempDir()
	exe := build(t, dir)
	second, shared := filepath.Join(dir, "second"), filepath.Join(dir, "shared.debug")
	objtest.Run(t, "cp", exe, second)
	objtest.Run(t, "dwz", "-m", shared, "-M", "../shared.debug", exe, second)
	objtest.Split(t, exe, filepath.Join(dir, ".debug", "prog.debug"), true)
	f := open(t, exe, nowhere(t))
	if p := f.Describe(); p.Supplementary != shared || len(p.Warnings) > 0 {
		t.Errorf("supplementary file %q, warnings %q; want %s", p.Supplementary, p.Warnings, shared)
	}
}
