// Package objtest builds small real programs for tests of package objfile and of those above it: with gcc, and with objcopy, strip, dwz
// and xz to give their debug information the forms that distributions give it. A tool that is missing fails the test.
package objtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Run runs a tool and gives its standard output.
func Run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("%v; install it: apt-get install gcc binutils dwz xz-utils", err)
	}
	var stderr strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// Write writes a file and the directories above it.
func Write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Compile makes the program dir/name of C sources (name to text) and gives its path.
func Compile(t testing.TB, dir, name string, sources map[string]string, flags ...string) string {
	t.Helper()
	exe := filepath.Join(dir, name)
	args := append([]string{"-o", exe, "-Wl,--build-id=sha1"}, flags...)
	for file, text := range sources {
		args = append(args, Write(t, filepath.Join(dir, name+".src", file), text))
	}
	Run(t, "gcc", args...)
	return exe
}

// Assemble makes the program dir/name of assembler source that need not run: debug information as no compiler at hand writes it.
func Assemble(t testing.TB, dir, name, source string) string {
	t.Helper()
	exe := filepath.Join(dir, name)
	Run(t, "gcc", "-nostdlib", "-static", "-Wl,-e,0", "-o", exe, Write(t, exe+".s", source))
	return exe
}

// Split moves the debug information of exe into the file debug, as distributions do before they strip. The executable's .gnu_debuglink
// names it if link is set.
func Split(t testing.TB, exe, debug string, link bool) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(debug), 0o755); err != nil {
		t.Fatal(err)
	}
	Run(t, "objcopy", "--only-keep-debug", "--compress-debug-sections", exe, debug)
	args := []string{"--strip-all"}
	if link {
		args = append(args, "--add-gnu-debuglink="+debug)
	}
	Run(t, "objcopy", append(args, exe)...)
}

// BuildIDPath is where a debug file lies under a debug directory.
func BuildIDPath(dir, buildID string) string {
	return filepath.Join(dir, ".build-id", buildID[:2], buildID[2:]+".debug")
}

// BuildID reads a file's build-id in hex with readelf.
func BuildID(t testing.TB, path string) string {
	t.Helper()
	_, after, ok := strings.Cut(Run(t, "readelf", "-nW", path), "Build ID: ")
	if !ok {
		t.Fatalf("%s has no build-id", path)
	}
	id, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(id)
}

// Symbols reads the addresses of a program's symbols with nm. Of several of one name the last stands.
func Symbols(t testing.TB, exe string, flags ...string) map[string]uint64 {
	t.Helper()
	syms := map[string]uint64{}
	for line := range strings.Lines(Run(t, "nm", append(flags, exe)...)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue // undefined
		}
		var v uint64
		for _, c := range f[0] {
			v = v<<4 | uint64(strings.IndexRune("0123456789abcdef", c))
		}
		syms[f[2]] = v
	}
	return syms
}

// MiniDebug puts the symbols of exe into its .gnu_debugdata, as Fedora does: an xz stream of an ELF file with only a .symtab. Then it
// strips exe.
func MiniDebug(t testing.TB, exe string) {
	t.Helper()
	mini := exe + ".mini"
	Run(t, "objcopy", "--only-keep-debug", "--strip-debug", exe, mini)
	Run(t, "xz", "-f", mini)
	Run(t, "strip", exe)
	Run(t, "objcopy", "--add-section=.gnu_debugdata="+mini+".xz", exe)
}
