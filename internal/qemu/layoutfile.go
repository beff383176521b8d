package qemu

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
)

// LayoutFile is a table of layouts that the user gave, in the format of the
// built-in one. It is tried before that one and held against the process like
// it; a layout that fails is not used.
type LayoutFile struct {
	Name   string // for the user
	tables map[string]*ctype.Table
}

// ReadLayoutFile reads a table of layouts as [WriteLayout] writes it. It may
// have several releases.
func ReadLayoutFile(r io.Reader, name string) (*LayoutFile, error) {
	tables, err := ctype.ParseTable(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for version, t := range tables {
		if _, err := t.Struct("AddressSpace"); err != nil {
			return nil, fmt.Errorf("%s: release %s: %w: it is no table of QEMU's structures; \"guestcore layout EXE\" prints one", name, version, err)
		}
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("%s: it has no release; \"guestcore layout EXE\" prints one", name)
	}
	return &LayoutFile{name, tables}, nil
}

// layouts are those of the file, newest first.
func (f *LayoutFile) layouts() []layout {
	if f == nil {
		return nil
	}
	var out []layout
	for _, v := range slices.SortedFunc(maps.Keys(f.tables), func(a, b string) int { return compareVersions(b, a) }) {
		out = append(out, layout{Layouts: f.tables[v], Name: f.Name + ", QEMU " + v, Table: true})
	}
	return out
}

// releases are those of the file for a target's vCPUs, newest first.
func (f *LayoutFile) releases(t cpuTarget) []cpuRelease {
	if f == nil {
		return nil
	}
	out := expandReleases(f.tables, t)
	for i := range out {
		out[i].file = f.Name
	}
	slices.Reverse(out)
	return out
}

// WriteLayout writes what the executable's debug information says of all
// structures that the built-in table has, as a table of one release. missing
// are those structures and members that this QEMU does not have.
func WriteLayout(w io.Writer, exe *objfile.File) (missing []string, err error) {
	d, err := ctype.FromDWARF(exe)
	if err != nil {
		return nil, fmt.Errorf("%w: a layout can only be read out of debug information; put the .debug file under a --debug-dir", err)
	}
	if _, err := d.Struct("AddressSpace"); err != nil {
		return nil, fmt.Errorf("%w: is this a qemu-system program?", err)
	}
	version, _, _ := strings.Cut(programVersion(exe), " ")
	if version == "" {
		return nil, fmt.Errorf("%s does not tell QEMU's version", exe.Path())
	}
	wanted, err := wantedMembers()
	if err != nil {
		return nil, err
	}
	t, missing, err := ctype.NewTable(d, version, wanted)
	if err != nil {
		return nil, err
	}
	return missing, ctype.WriteTables(w, map[string]*ctype.Table{version: t})
}

// wantedMembers is all that any release of the built-in tables has.
func wantedMembers() (ctype.Wanted, error) {
	wanted := ctype.Wanted{}
	for _, parse := range []func() (map[string]*ctype.Table, error){parseLayoutTable, parseCPULayoutTable} {
		tables, err := parse()
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			for name, paths := range t.Wanted() {
				wanted[name] = append(wanted[name], paths...)
			}
		}
	}
	for name := range wanted {
		slices.Sort(wanted[name])
		wanted[name] = slices.Compact(wanted[name])
	}
	return wanted, nil
}
