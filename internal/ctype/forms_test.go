package ctype_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/objfile"
	"guestcore/internal/objfile/objtest"
)

// forms are the ways in which debug information comes. make changes the program exe, which lies in dir, and gives the options to find its
// debug information with.
var forms = []struct {
	name string
	make func(t *testing.T, dir, exe string) objfile.Options
}{
	{"in the executable", func(*testing.T, string, string) objfile.Options { return objfile.Options{} }},
	{"compressed", func(t *testing.T, dir, exe string) objfile.Options {
		objtest.Run(t, "objcopy", "--compress-debug-sections=zlib", exe)
		return objfile.Options{}
	}},
	{"compressed, old names", func(t *testing.T, dir, exe string) objfile.Options {
		objtest.Run(t, "objcopy", "--compress-debug-sections=zlib-gnu", exe)
		return objfile.Options{}
	}},
	{"build-id", func(t *testing.T, dir, exe string) objfile.Options {
		debug := filepath.Join(dir, "debug")
		objtest.Split(t, exe, objtest.BuildIDPath(debug, objtest.BuildID(t, exe)), false)
		return objfile.Options{DebugDirs: []string{filepath.Join(dir, "nothing"), debug}}
	}},
	{"debuglink", func(t *testing.T, dir, exe string) objfile.Options {
		objtest.Split(t, exe, filepath.Join(dir, ".debug", "prog.debug"), true)
		return objfile.Options{DebugDirs: []string{}}
	}},
	{"dwz alone", func(t *testing.T, dir, exe string) objfile.Options {
		objtest.Run(t, "dwz", exe)
		return objfile.Options{}
	}},
	{"dwz multifile", func(t *testing.T, dir, exe string) objfile.Options {
		dwz(t, dir, exe, filepath.Join(dir, "shared.debug"))
		return objfile.Options{}
	}},
	{"dwz multifile, DWARF 5 names", func(t *testing.T, dir, exe string) objfile.Options {
		dwz(t, dir, exe, filepath.Join(dir, "shared.debug"), "--dwarf-5")
		return objfile.Options{}
	}},
	{"dwz multifile of a build-id file", func(t *testing.T, dir, exe string) objfile.Options {
		shared := filepath.Join(dir, "debug", ".dwz", "shared.debug")
		dwz(t, dir, exe, shared)
		objtest.Split(t, exe, objtest.BuildIDPath(filepath.Join(dir, "debug"), objtest.BuildID(t, exe)), false)
		return objfile.Options{DebugDirs: []string{filepath.Join(dir, "debug")}}
	}},
	{"dwz multifile, moved", func(t *testing.T, dir, exe string) objfile.Options {
		shared := filepath.Join(dir, "was", ".dwz", "shared.debug")
		dwz(t, dir, exe, shared)
		if err := os.MkdirAll(filepath.Join(dir, "is", ".dwz"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(shared, filepath.Join(dir, "is", ".dwz", "shared.debug")); err != nil {
			t.Fatal(err)
		}
		return objfile.Options{DebugDirs: []string{filepath.Join(dir, "is")}}
	}},
}

// dwz moves what exe and a copy of it share into a file of its own.
func dwz(t *testing.T, dir, exe, shared string, flags ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(shared), 0o755); err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(dir, "second")
	objtest.Run(t, "cp", exe, second)
	objtest.Run(t, "dwz", append(flags, "-m", shared, "-M", shared, exe, second)...)
	if !strings.Contains(objtest.Run(t, "readelf", "-SW", exe), ".gnu_debugaltlink") &&
		!strings.Contains(objtest.Run(t, "readelf", "-SW", exe), ".debug_sup") {
		t.Fatal("dwz shared nothing")
	}
}

// Every form of debug information of every kind of program answers as gcc does.
func TestForms(t *testing.T) {
	for _, flags := range []string{
		"-gdwarf-4 -O2 -pie -fPIE",
		"-gdwarf-5 -O2 -pie -fPIE",
		"-gdwarf-5 -O0 -no-pie",
		"-gdwarf-4 -O0 -no-pie",
		"-gdwarf-5 -O2 -flto",
		"-gdwarf-3 -gstrict-dwarf -O2",
		"-gdwarf-2 -gstrict-dwarf -O1",
	} {
		t.Run(flags, func(t *testing.T) {
			compiled := compile(t, t.TempDir(), "prog", strings.Fields(flags)...)
			syms := objtest.Symbols(t, compiled)
			for _, form := range forms {
				t.Run(form.name, func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					exe := filepath.Join(dir, "prog")
					objtest.Run(t, "cp", compiled, exe)
					opts := form.make(t, dir, exe)
					check(t, exe, open(t, exe, opts), syms)
				})
			}
		})
	}
}

// Programs whose debug information has another shape, in the executable.
func TestShapes(t *testing.T) {
	for _, flags := range []string{
		"-gdwarf-4 -O2 -fdebug-types-section",
		"-gdwarf-5 -O2 -fdebug-types-section",
		"-gdwarf-4 -O2 -flto",
		"-gdwarf-5 -O2 -gdwarf64",
		"-gdwarf-5 -O2 -gno-as-loc-support -fno-merge-debug-strings",
	} {
		t.Run(flags, func(t *testing.T) {
			exe := compile(t, t.TempDir(), "prog", strings.Fields(flags)...)
			check(t, exe, open(t, exe, objfile.Options{}), objtest.Symbols(t, exe))
		})
	}
}
