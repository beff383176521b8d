package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// installed installs everything in a folder of its own, under the prefix that is that folder's.
func installed(t *testing.T, destdir, prefix string) {
	t.Helper()
	testkit.Program(t)
	testkit.Library(t)
	root, err := testkit.Root()
	must(t, err)
	if out, err := exec.Command(filepath.Join(root, "scripts", "install"), destdir, prefix).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestInstall runs what is installed: gdb's script finds the library, a C program the header.
func TestInstall(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	prefix := filepath.Join(t.TempDir(), "usr")
	installed(t, "", prefix)
	out := filepath.Join(t.TempDir(), "vmcore")
	r := testkit.GDB(t, testkit.MinimalGDB(t), commands("core-file "+fixture.Core,
		"source "+filepath.Join(prefix, "share/guestcore/dump-guest-memory.gdb"), "dump-guest-memory "+out+" X86_64")...)
	if r.Status != 0 {
		t.Fatalf("status %d:\n%s", r.Status, r.Output)
	}
	testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, fixture.QMPDump))
	program := filepath.Join(t.TempDir(), "example")
	lib := filepath.Join(prefix, "lib/guestcore")
	if text, err := exec.Command("gcc", "-I", filepath.Join(prefix, "include"), "-o", program, "../capi/example.c", "-L", lib, "-lguestcore",
		"-Wl,-rpath,"+lib).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if r := testkit.Run(t, program, fixture.Core, out+".c"); r.Status != 0 {
		t.Errorf("status %d:\n%s", r.Status, r.Output)
	}
	if r := testkit.Run(t, filepath.Join(prefix, "bin/guestcore"), "version"); r.Status != 0 {
		t.Errorf("status %d:\n%s", r.Status, r.Output)
	}
}

// TestInstallDestdir holds what a package is made of to name the place where it will lie, not the one where it is made.
func TestInstallDestdir(t *testing.T) {
	dest := t.TempDir()
	installed(t, dest, "/usr")
	for name, want := range map[string]string{
		"share/guestcore/dump-guest-memory.gdb": "jit-reader-load /usr/lib/guestcore/libguestcore.so",
		"share/man/man1/guestcore.1":            "/usr/share/guestcore/dump-guest-memory.gdb",
	} {
		text, err := os.ReadFile(filepath.Join(dest, "usr", name))
		must(t, err)
		if !strings.Contains(string(text), want) || strings.Contains(string(text), dest) || strings.Contains(string(text), "@") {
			t.Errorf("%s: does not name %s, or not only that:\n%s", name, want, text)
		}
	}
}

// TestScriptHelp holds what gdb says of the command to name every architecture.
func TestScriptHelp(t *testing.T) {
	root, err := testkit.Root()
	must(t, err)
	help := testkit.GDB(t, testkit.MinimalGDB(t), "-ex", "source "+filepath.Join(root, "scripts", "dump-guest-memory.gdb"), "-ex", "help dump-guest-memory").Output
	_, list, _ := strings.Cut(help, "ARCH is one of ")
	list, _, _ = strings.Cut(list, ", or auto")
	if got := strings.Fields(strings.ReplaceAll(list, ",", "")); !slices.Equal(got, arch.GuestNames()) {
		t.Errorf("%q, want %q", got, arch.GuestNames())
	}
}

// TestManPage holds the man page to have every flag of every command, and to be one that man can show.
func TestManPage(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "usr")
	installed(t, "", prefix)
	path := filepath.Join(prefix, "share/man/man1/guestcore.1")
	text, err := os.ReadFile(path)
	must(t, err)
	flag := regexp.MustCompile(`(?m)^  (-\S+)`)
	for _, command := range []string{"serve", "dump", "info", "convert", "verify", "layout"} {
		_, section, found := strings.Cut(string(text), ".SS "+command+"\n")
		section, _, _ = strings.Cut(section, "\n.S")
		flags := flag.FindAllStringSubmatch(testkit.Guestcore(t, "help", command).Output, -1)
		if !found || len(flags) == 0 {
			t.Errorf("%s: no section, or no flags: %d", command, len(flags))
		}
		for _, f := range flags {
			if !strings.Contains(section+"\n", "\n.B "+strings.ReplaceAll(f[1], "-", `\-`)) {
				t.Errorf("%s: %s is not in the man page", command, f[1])
			}
		}
	}
}

// TestCompletion completes words in bash and in zsh: what the program's help lists is what may come.
func TestCompletion(t *testing.T) {
	program := testkit.Program(t)
	for _, test := range []struct {
		words string
		want  []string
	}{
		{"", []string{"serve", "dump", "convert", "info", "verify", "layout", "version", "help"}},
		{"ver", []string{"verify", "version"}},
		{"help la", []string{"layout"}},
		{"dump --form", []string{"--format"}},
		{"dump --format ", []string{"elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "kdump-zstd", "win-dmp", "vbox", "vbox-6.0", "vbox-4.0", "vbox-2010", "lime", "raw"}},
		{"dump --sparse ", []string{"auto", "always", "never"}},
		{"dump --direct o", []string{"on", "off"}},
		{"serve --li", []string{"--listen"}},
		{"dump /nonexistent/core /nonexistent/file ", append([]string{"auto"}, arch.GuestNames()...)},
	} {
		words := strings.Split(test.words, " ")
		slices.Sort(test.want)
		for shell, script := range map[string]string{"bash": inBash, "zsh": inZsh} {
			args := append([]string{"-c", fmt.Sprintf(script, len(words)), shell, t.TempDir(), program}, words...)
			out, err := exec.Command(shell, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s (make setup installs it): %v\n%s", shell, err, out)
			}
			got := strings.Fields(string(out))
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("%s: %q: %q, want %q", shell, test.words, got, test.want)
			}
		}
	}
}

// What completes the words behind a folder and the program, the last one of %d: and prints what may come.
const (
	inBash = `. ../../scripts/share/guestcore.bash; cd "$1"; COMP_WORDS=(guestcore "${@:3}"); COMP_CWORD=%d
		_guestcore "$2"; printf '%%s\n' "${COMPREPLY[@]}"`
	// zsh's own compadd and _files work only where somebody types: these stand for them.
	inZsh = `compadd() { shift; print -rl -- ${(M)@:#$PREFIX*}; }; _files() { compadd -- *(N); }
		complete=$PWD/../../scripts/share/_guestcore; cd "$1"; words=("${@:2}") CURRENT=%d+1 PREFIX=${@[-1]}
		_guestcore() { . $complete; }; _guestcore; true`
)
