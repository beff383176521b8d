// Package layers holds the rule of the house: nothing points up, and only internal/qemu knows QEMU's names.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers is the house from the ground up. A package may import those of lower floors and, on its own floor, what allowed
// names. A folder stands for the packages below it too.
var floors = [][]string{
	{"internal/addr", "internal/argv", "internal/lzo", "internal/progress", "internal/rsp", "internal/version", "internal/zpage"},
	{"internal/extent", "internal/corefile"},
	{"internal/inferior", "internal/objfile"},
	{"internal/ctype", "internal/arch"},
	{"internal/cvalue", "internal/guest"},
	{"internal/qemu", "internal/dump", "internal/verify"},
	{"internal/gdbtarget", "internal/dumpfile"},
	{"internal/session"},
	{"internal/monitor"},
	{"internal/cli", "internal/capi", "internal/ingdb"},
	{"gdbstub", "cgo_ext"},
}

// alone names what some packages may import of the house at most, whatever floor it is on.
var alone = map[string][]string{
	"internal/argv":     {},
	"internal/rsp":      {},
	"internal/version":  {},
	"internal/lzo":      {},
	"internal/zpage":    {},
	"internal/extent":   {"internal/addr"},
	"internal/corefile": {"internal/progress"},
	"internal/guest":    {"internal/addr", "internal/arch", "internal/extent"},
	"internal/dump":     {"internal/addr", "internal/arch", "internal/extent", "internal/guest", "internal/lzo", "internal/progress", "internal/zpage"},
	"internal/verify":   {"internal/addr", "internal/extent", "internal/guest"},
	"internal/dumpfile": {"internal/addr", "internal/arch", "internal/dump", "internal/extent", "internal/guest"},
}

// names of QEMU's own, which are a defect in a string outside internal/qemu.
var names = []string{"ram_block", "ram_list", "current_map", "address_space_memory", "MemoryRegion", "FlatView", "RAMBlock",
	"AddressSpace", "vmcoreinfo_state", "CPUState"}

const module = "guestcore/"

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		from, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok || strings.HasPrefix(from, "test/") {
			continue
		}
		for _, path := range p.Imports {
			if to, ok := strings.CutPrefix(path, module); ok {
				if wrong := breach(from, to); wrong != "" {
					t.Errorf("%s imports %s: %s", from, to, wrong)
				}
			}
		}
		if floor(from) < 0 {
			t.Errorf("%s is on no floor: add it to the table in test/layers", from)
		}
	}
}

// breach says which rule an import breaks, "" if none.
func breach(from, to string) string {
	root := folder(from)
	switch {
	case folder(to) == root:
		return "" // within one part of the house
	case floor(to) < 0:
		return "it is on no floor"
	case floor(to) >= floor(from):
		return "it points up or sideways"
	}
	if may, ok := alone[root]; ok && !slices.Contains(may, folder(to)) {
		return root + " is not to know it"
	}
	return ""
}

// folder is the entry of floors that a package belongs to.
func folder(path string) string {
	for _, entries := range floors {
		for _, entry := range entries {
			if path == entry || strings.HasPrefix(path, entry+"/") {
				return entry
			}
		}
	}
	return path
}

func floor(path string) int {
	return slices.IndexFunc(floors, func(entries []string) bool { return slices.Contains(entries, folder(path)) })
}

func TestNames(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(relative, "test/") || strings.HasPrefix(relative, "internal/qemu/") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, name := range names {
			if strings.Contains(string(source), `"`+name+`"`) {
				t.Errorf("%s has %q: only internal/qemu knows QEMU's names", relative, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBreach(t *testing.T) {
	for _, test := range []struct {
		from, to string
		ok       bool
	}{
		{"internal/qemu", "internal/guest", true},
		{"internal/guest", "internal/qemu", false},
		{"internal/dump/vmcore", "internal/dump", true},
		{"internal/dump", "internal/qemu", false},
		{"internal/dump", "internal/objfile", false},
		{"internal/rsp", "internal/addr", false},
		{"internal/inferior/remote", "internal/rsp", true},
		{"gdbstub", "internal/cli", true},
		{"internal/cli", "gdbstub", false},
	} {
		if got := breach(test.from, test.to); (got == "") != test.ok {
			t.Errorf("%s importing %s: %q", test.from, test.to, got)
		}
	}
}
