package qemu

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
)

// layoutTable holds the members that a walk of guest memory needs, by QEMU
// release, in bytes on an LP64 host. A release is listed where a member moved;
// the entry stands for all releases up to the next one. Read from the DWARF of
// builds of these releases, 11.1.3 from the stock Debian binary.
//
//go:embed layouts.json
var layoutTable []byte

var parseLayoutTable = sync.OnceValues(func() (map[string]*ctype.Table, error) {
	return ctype.ParseTable(bytes.NewReader(layoutTable))
})

// layout is a source of struct layouts with a name for the user.
type layout struct {
	ctype.Layouts
	Name  string
	Table bool // of a table, so that it has to be proven first
}

// record is what the layout's table has of a structure, and of which release.
func (l layout) record(name string) (r ctype.Record, release string, ok bool) {
	t, ok := l.Layouts.(*ctype.Table)
	if !ok {
		return r, "", false
	}
	r, ok = t.Record(name)
	return r, t.From, ok
}

// candidates lists the layouts to try: those the user gave, then those that are
// known without. addressSpaceSize is sizeof(AddressSpace) as the symbol table
// has it, 0 if unknown.
func (vm *VM) candidates(addressSpaceSize uint64) ([]layout, error) {
	var given []layout
	for _, l := range vm.src.Layout.layouts() {
		if as, err := l.Struct("AddressSpace"); err != nil || addressSpaceSize != 0 && as.Size != addressSpaceSize {
			vm.notes = append(vm.notes, fmt.Sprintf("layout %s is not used: in this QEMU sizeof(AddressSpace) is %d", l.Name, addressSpaceSize))
			continue
		}
		given = append(given, l)
	}
	known, err := vm.knownLayouts(addressSpaceSize)
	if err != nil && len(given) == 0 {
		return nil, err
	}
	return slices.Concat(given, known), nil
}

// knownLayouts lists the debug information's layout alone where there is any,
// else the built-in ones, likeliest first.
func (vm *VM) knownLayouts(addressSpaceSize uint64) ([]layout, error) {
	if vm.src.Exe != nil {
		d, err := ctype.FromDWARF(vm.src.Exe)
		if err == nil {
			if _, err = d.Struct("AddressSpace"); err == nil {
				return []layout{{Layouts: d, Name: "DWARF of " + vm.src.Exe.Describe().DebugInfo}}, nil
			}
		}
		if !errors.Is(err, objfile.ErrNoDebugInfo) {
			vm.src.Log.Warn("debug information not used", "reason", err)
			vm.notes = append(vm.notes, fmt.Sprintf("QEMU's debug information is not used: %v", err))
		}
	}
	if vm.src.Process.Host().PointerSize() != 8 {
		return nil, fmt.Errorf("%w: the built-in layouts are those of 64-bit hosts; QEMU's debug information is needed: put its .debug file under a --debug-dir", ErrNoLayout)
	}
	tables, err := parseLayoutTable()
	if err != nil {
		return nil, fmt.Errorf("built-in layouts: %w", err)
	}
	var out []layout
	names := familyNames(tables)
	for _, version := range vm.versionsByLikelihood(tables) {
		for _, t := range vm.abi().tables(tables[version]) {
			as, err := t.Struct("AddressSpace")
			if err != nil {
				return nil, fmt.Errorf("built-in layouts: %w", err)
			}
			if addressSpaceSize != 0 && as.Size != addressSpaceSize {
				continue
			}
			out = append(out, layout{Layouts: t, Name: names[version], Table: true})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: sizeof(AddressSpace) is %d, none of the built-in ones; QEMU's debug information is needed: put its .debug file under a --debug-dir",
			ErrNoLayout, addressSpaceSize)
	}
	return out, nil
}

// walkStructs are the structures a memory walk goes through, besides those of
// QOM.
var walkStructs = []string{"AddressSpace", "FlatView", "FlatRange", "MemoryRegion", "RAMBlock"}

// familyNames names each release's layouts by all releases that a memory walk
// cannot tell from it: "built-in, QEMU 7.0.0 to 11.1.3".
func familyNames(tables map[string]*ctype.Table) map[string]string {
	families := map[string][]string{}
	key := func(t *ctype.Table) string {
		var b strings.Builder
		for _, name := range walkStructs {
			s, err := t.Struct(name)
			if err != nil {
				continue
			}
			if name == "MemoryRegion" { // its size is told apart by QOM
				fmt.Fprintf(&b, "%s=%d ", name, s.Size)
			}
			for _, path := range t.Fields(name) {
				if f, err := s.Field(path); err == nil {
					fmt.Fprintf(&b, "%s.%s=%d ", name, path, f.Offset)
				}
			}
		}
		return b.String()
	}
	for v, t := range tables {
		families[key(t)] = append(families[key(t)], v)
	}
	names := map[string]string{}
	for _, versions := range families {
		slices.SortFunc(versions, compareVersions)
		name := "built-in, QEMU " + versions[0]
		if last := versions[len(versions)-1]; last != versions[0] {
			name += " to " + last
		}
		for _, v := range versions {
			names[v] = name
		}
	}
	return names
}

// versionsByLikelihood orders the table's releases: the one that stands for
// the executable's own version first, then newest to oldest.
func (vm *VM) versionsByLikelihood(tables map[string]*ctype.Table) []string {
	var versions []string
	for v := range tables {
		versions = append(versions, v)
	}
	slices.SortFunc(versions, func(a, b string) int { return compareVersions(b, a) })
	if own := vm.version(); own != "" {
		i := slices.IndexFunc(versions, func(v string) bool { return compareVersions(v, own) <= 0 })
		if i > 0 {
			v := versions[i]
			versions = slices.Insert(slices.Delete(versions, i, i+1), 0, v)
		}
	}
	return versions
}

// compareVersions compares dotted numbers; what follows them does not count.
func compareVersions(a, b string) int { return slices.Compare(numbers(a), numbers(b)) }

func numbers(v string) []int {
	var out []int
	for part := range strings.SplitSeq(v, ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n, err := strconv.Atoi(part[:end])
		if err != nil {
			break
		}
		out = append(out, n)
		if end < len(part) {
			break
		}
	}
	return out
}
