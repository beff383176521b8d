package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestcore/internal/dump/dumptest"
	"guestcore/test/crashed"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// guestcore runs the program in this process.
func guestcore(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	files := make([]*os.File, 2)
	for i := range files {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	status = Main(args, null, files[0], files[1])
	texts := make([]string, 2)
	for i, f := range files {
		b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<24))
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	return status, texts[0], texts[1]
}

// Mistakes in what was typed end with status 2 and one line, which says what
// to do; nothing is opened before.
func TestUsage(t *testing.T) {
	for line, want := range map[string]string{
		"hlep":                             `unknown command "hlep", did you mean help? "guestcore help" lists`,
		"frobnicate":                       `unknown command "frobnicate": "guestcore help" lists`,
		"dump":                             "too few arguments: guestcore dump [flags] CORE FILE [ARCH] [BEGIN LENGTH]",
		"dump core":                        "too few arguments",
		"dump core file X86_64 0 1 more":   `too many arguments, "more"`,
		"dump core file X86_64 more":       `BEGIN and LENGTH go together, and there is only "more"`,
		"dump core X86_64":                 "X86_64 is an architecture, and FILE is missing",
		"dump core file 0x1000":            "there is only",
		"dump core file -d":                "unknown flag -d",
		"dump core file pdp11":             `unknown architecture "pdp11": use one of aarch64-be`,
		"dump core file -z --level 99":     "kdump-zlib has no level 99",
		"dump core file -z 0 4096":         "kdump-zlib holds all of guest memory",
		"convert --arch pdp11 dump file":   `unknown architecture "pdp11"`,
		"convert --flattened dump file":    "elf has no flattened form",
		"info --arch pdp11 dump":           `unknown architecture "pdp11"`,
		"dump -z core file --begin 0":      "--begin comes with --length",
		"info":                             "too few arguments: guestcore info [flags] CORE",
		"version now":                      `too many arguments, "now": guestcore version` + "\n",
		"help dump info":                   `too many arguments, "info"`,
		"help frobnicate":                  `unknown command "frobnicate"`,
		"dump --partail core file":         "unknown flag --partail, did you mean --partial?",
		"dump core file --partail":         "unknown flag --partail",
		"dump core file -x":                `unknown flag -x: "guestcore help dump" lists the flags`,
		"dump --ram core file":             `"core" is not BLOCK=FILE`,
		"dump --ram =x core file":          `"=x" is not BLOCK=FILE`,
		"info core --exe":                  "flag needs an argument: --exe",
		"info --json=perhaps core":         "invalid boolean value",
		"info -- --json":                   "", // the name of a file
		"serve --stdio --pty no-such":      "--stdio and --pty exclude each other",
		"serve --stdio --listen :1 core":   "--stdio and --listen exclude each other",
		"serve --listen :1 --pty core":     "--pty and --listen exclude each other",
		"serve --listen":                   "flag needs an argument",
		"dump --partial -- core a b c d e": "too many arguments",
		"info --pid 1 core":                `too many arguments, "core": with --pid or --upstream there is no CORE`,
		"info --pid 0":                     "--pid 0 is no process id",
		"info --pid -4":                    "--pid -4 is no process id",
		"info --pid 1 --upstream :1":       "--pid and --upstream exclude each other",
		"serve --upstream nonsense":        `--upstream: "nonsense" is no server: give HOST:PORT`,
		"info --no-stop core":              "--no-stop is for a QEMU that runs: give it with --pid",
		"info --no-stop pid:x":             "", // such a source is read by session
		"verify":                           "too few arguments: guestcore verify [flags] DUMP [CORE]",
		"verify a b c":                     `too many arguments, "c"`,
		"verify dump --range 5":            `"5" is not START-END`,
		"verify dump --range 0x20-0x10":    `"0x20-0x10" is not START-END`,
	} {
		status, stdout, stderr := guestcore(t, strings.Fields(line)...)
		if want == "" {
			if status != exitFailure {
				t.Errorf("%s: status %d: %s", line, status, stderr)
			}
			continue
		}
		if status != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "guestcore: ") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, %q, %q; want %q", line, status, stdout, stderr, want)
		}
	}
	if status, _, stderr := guestcore(t); status != exitUsage || !strings.Contains(stderr, "guestcore dump [flags] CORE FILE [ARCH] [BEGIN LENGTH]") {
		t.Errorf("no arguments: status %d, %q", status, stderr)
	}
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello, world\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "diskdump")
	if err := os.WriteFile(old, []byte("DISKDUMP and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	packed, lime := filepath.Join(dir, "vmcore.gz"), filepath.Join(dir, "lime")
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, "KDUMP   and more")
	w.Close()
	if err := os.WriteFile(packed, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lime, []byte("EMiL"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"info", text}, text + `: not an ELF file, it begins with "hell": name the core file of a QEMU process` + "\n"},
		{[]string{"info", os.Args[0]}, "is an executable, not a core: name the core file here, and the executable with --exe\n"},
		{[]string{"info", dir}, "is a directory: name the core file in it\n"},
		{[]string{"dump", text + "2", "out"}, "no such file"},
		{[]string{"dump", text, dir}, dir + " is a directory: add a file name"}, // said before the core is opened
		{[]string{"convert", old, dir}, dir + " is a directory: add a file name"},
		{[]string{"dump", "--exe", text + "2", text, "out"}, "--exe: stat " + text + "2: no such file"},
		{[]string{"dump", "--ram", "pc.ram=" + text + "2", text, "out"}, "--ram pc.ram: stat " + text + "2: no such file"},
		{[]string{"serve", text}, "not an ELF file"},
		{[]string{"verify", text}, "neither a dump of a guest nor a core: " + text + ": not an ELF file"},
		{[]string{"verify", old}, old + ": is a dump, but none that can be read here"},
		{[]string{"convert", old, "out"}, old + ": not a dump of a guest's memory: it begins like none of the formats"},
		{[]string{"convert", os.Args[0], "out"}, "not a dump of a guest's memory"},
		{[]string{"convert", packed, "out"}, packed + " is compressed, with gzip: decompress a dump first"},
		{[]string{"verify", packed}, packed + ": is a dump, compressed with gzip: decompress it first"},
		{[]string{"convert", dir, "out"}, dir + ": not a dump of a guest's memory: it is no regular file: name a file"},
		{[]string{"verify", lime}, lime + ": is a dump, but none that can be read here"},
		{[]string{"dump", lime, "out"}, "write it in another format with \"guestcore convert\""},
		{[]string{"verify", text + "2"}, "no such file"},
		{[]string{"verify", os.Args[0]}, "is an executable, not a core"},
	} {
		status, stdout, stderr := guestcore(t, c.args...)
		if status != exitFailure || stdout != "" || !strings.HasPrefix(stderr, "guestcore: ") || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q; want %q", c.args, status, stdout, stderr, c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		status, stdout, stderr := guestcore(t, args...)
		if status != exitOK || stderr != "" {
			t.Errorf("%q: status %d, %q", args, status, stderr)
		}
		for _, c := range commands {
			if !strings.Contains(stdout, "guestcore "+c.synopsis()) || !strings.Contains(stdout, c.summary) {
				t.Errorf("%q says nothing of %s:\n%s", args, c.name, stdout)
			}
		}
	}
	for _, c := range commands {
		_, first, _ := guestcore(t, "help", c.name)
		for _, args := range [][]string{{c.name, "--help"}, {c.name, "core", "-h"}} {
			if status, stdout, stderr := guestcore(t, args...); status != exitOK || stdout != first || stderr != "" || !strings.HasPrefix(stdout, "guestcore "+c.name) {
				t.Errorf("%q: status %d, %q, %q", args, status, stdout, stderr)
			}
		}
	}
	if _, stdout, _ := guestcore(t, "help", "dump"); !regexp.MustCompile(`(?m)^  --ram BLOCK=FILE +the file`).MatchString(stdout) || !strings.Contains(stdout, "--partial") {
		t.Errorf("help dump:\n%s", stdout)
	}
	for _, args := range [][]string{{"version"}, {"--version"}} {
		if status, stdout, _ := guestcore(t, args...); status != exitOK || !strings.HasPrefix(stdout, "guestcore 0.") {
			t.Errorf("%q: status %d, %q", args, status, stdout)
		}
	}
}

// The name of the file is taken as the kernel takes it: it may lead through
// links, and one that ends in / is none.
func TestConvertFile(t *testing.T) {
	dump, dir := writeDump(t, dumptest.Part{Addr: 0, Size: 0x3000}), t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a/b", "here"} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "a/b"), "here/link"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"out": "out", "./out2": "out2", "here/../out3": "out3", "here/link/../out4": "a/out4"} {
		if status, stdout, stderr := guestcore(t, "convert", dump, name); status != exitOK || strings.Contains(stdout, "/./") {
			t.Errorf("%s: status %d: %s%s", name, status, stdout, stderr)
		}
		if info, err := os.Stat(filepath.Join(dir, want)); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{"new/": "new/ is no file name: add one", "a/": "is a directory: add a file name"} {
		if status, _, stderr := guestcore(t, "convert", dump, name); status != exitFailure || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d: %s", name, status, stderr)
		}
	}
	if status, _, stderr := guestcore(t, "convert", dump, ""); status != exitUsage || !strings.Contains(stderr, "FILE is missing") {
		t.Errorf("no name: status %d: %s", status, stderr)
	}
}

// Flags stand anywhere among the arguments, up to a "--".
func TestFlagsAnywhere(t *testing.T) {
	type parsed struct {
		args      string
		exe       string
		json      bool
		debugDirs string
	}
	for line, want := range map[string]parsed{
		"a b c":                               {args: "a b c"},
		"--json a b":                          {args: "a b", json: true},
		"a --json b":                          {args: "a b", json: true},
		"a b --json --exe x":                  {args: "a b", json: true, exe: "x"},
		"a -exe=x b":                          {args: "a b", exe: "x"},
		"--debug-dir d a --debug-dir=e b":     {args: "a b", debugDirs: "d,e"},
		"a -- --json b":                       {args: "a --json b"},
		"--exe x -- --json -- b":              {args: "--json -- b", exe: "x"},
		"--exe -- a b":                        {args: "a b", exe: "--"},
		"a --exe -- b -- --json":              {args: "a b --json", exe: "--"},
		"- a":                                 {args: "- a"},
		"--json=false --json=true a --exe= b": {args: "a b", json: true},
	} {
		f := newFlags(dumpCommand)
		src := f.source()
		asJSON := f.Bool("json", false, "")
		done, err := f.parse(&env{}, strings.Fields(line), 2, 3)
		got := parsed{strings.Join(f.args, " "), src.exe, *asJSON, src.debugDirs.String()}
		if done || err != nil || got != want {
			t.Errorf("%q: %+v, %v, %v; want %+v", line, got, done, err, want)
		}
	}
}

// A process that is no QEMU is told so, and no file is left.
func TestNotQEMU(t *testing.T) {
	p := crashed.Run(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"info", p.Core}, {"dump", p.Core, out}, {"serve", p.Core}} {
		status, _, stderr := guestcore(t, args...)
		if status != exitFailure || !strings.Contains(stderr, "is this a qemu-system process?") {
			t.Errorf("%q: status %d, %q", args, status, stderr)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was left")
	}
}

var snake = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// object decodes JSON and checks that all its names are in snake case.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	var check func(any)
	check = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, x := range v {
				if !snake.MatchString(name) {
					t.Errorf("name %q", name)
				}
				check(x)
			}
		case []any:
			for _, x := range v {
				check(x)
			}
		}
	}
	check(v)
	return v
}

func TestJSON(t *testing.T) {
	core := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare).Core
	out := filepath.Join(t.TempDir(), "out")

	status, stdout, stderr := guestcore(t, "dump", core, "--json", out, "auto")
	if status != exitOK || stderr != "" {
		t.Fatalf("dump: status %d, %q", status, stderr)
	}
	d := object(t, stdout)
	st, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if d["path"] != out || d["format"] != "elf" || d["arch"] != "386" || d["size"] != float64(st.Size()) || d["memory"].(float64) <= 0 {
		t.Errorf("dump: %v", d)
	}
	if d["copied"].(float64)+d["reflinked"].(float64)+d["holes"].(float64)+d["zeros"].(float64) > float64(st.Size()) || d["seconds"].(float64) <= 0 {
		t.Errorf("dump: %v", d)
	}
	if absent, ok := d["absent"].([]any); !ok || len(absent) != 0 {
		t.Errorf("absent is %v", d["absent"])
	}
	if cpus, ok := d["cpus"].([]any); !ok || len(cpus) != 2 || cpus[1].(map[string]any)["trust"] != "valid" {
		t.Errorf("cpus are %v", d["cpus"])
	}
	if _, ok := d["begin"]; ok {
		t.Errorf("all of memory begins at %v", d["begin"])
	}

	status, stdout, stderr = guestcore(t, "dump", core, "--json", out, "0", "0x2000")
	if status != exitOK || stderr != "" {
		t.Fatalf("dump: status %d, %q", status, stderr)
	}
	if d := object(t, stdout); d["begin"] != 0.0 || d["length"] != 8192.0 || d["memory"] != 8192.0 {
		t.Errorf("dump of two pages: %v", d)
	}

	status, stdout, stderr = guestcore(t, "info", "--json", core)
	if status != exitOK || stderr != "" {
		t.Fatalf("info: status %d, %q", status, stderr)
	}
	i := object(t, stdout)
	for _, list := range []string{"flatview", "ramblocks"} {
		if l, ok := i[list].([]any); !ok || len(l) == 0 {
			t.Errorf("%s is %v", list, i[list])
		}
	}
	if g := i["symbols"].(map[string]any)["globals"].([]any)[0].(map[string]any); g["name"] != "address_space_memory" || g["address"].(float64) <= 0 {
		t.Errorf("first global %v", g)
	}
}

// A signal ends a dump with its own status and leaves no file; here one that
// waits for the reader of a FIFO.
func TestInterrupt(t *testing.T) {
	core := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare).Core
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr strings.Builder
		cmd := exec.Command(testkit.Program(t), "dump", core, fifo)
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		defer kill.Stop()
		var first [1]byte
		if _, err := out.Read(first[:]); err != nil { // the table: what follows is the dump
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, out)
		cmd.Wait()
		if status := cmd.ProcessState.ExitCode(); status != 128+int(signal) || !strings.HasPrefix(stderr.String(), "guestcore: ") || !strings.HasSuffix(stderr.String(), "interrupted\n") {
			t.Errorf("%v: status %d, %q", signal, status, stderr.String())
		}
	}
}

// Nobody reading what is printed is no reason to end a dump.
func TestNobodyReads(t *testing.T) {
	core := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare).Core
	dir := t.TempDir()
	cmd := exec.Command(testkit.Program(t), "dump", core, filepath.Join(dir, "out"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	w.Close()
	if found, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(found) != 1 {
		t.Errorf("%q, %v", found, err)
	}
}
