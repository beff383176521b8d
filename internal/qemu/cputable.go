package qemu

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"guestcore/internal/ctype"
)

// cpuLayoutTable holds the structures of vCPUs, in bytes on an LP64 host. A
// structure is listed in the release where a member of it moved, and holds
// until the next release that lists it. CPUState depends on how QEMU was
// configured: "7.2.22+noplugins" is one without plugins, "+notcg" without TCG.
// X86CPU and the like are listed where the distance of their end from env
// changed. Read from the DWARF of builds of these releases; 11.1.3 is what the
// VMState tables of the stock Debian binaries tell, and what 10.2 has at the
// same distance from those members.
//
//go:embed cpulayouts.json
var cpuLayoutTable []byte

var parseCPULayoutTable = sync.OnceValues(func() (map[string]*ctype.Table, error) {
	return ctype.ParseTable(bytes.NewReader(cpuLayoutTable))
})

// cpuRecord is a structure of the table with the releases it is of.
type cpuRecord struct {
	ctype.Record
	version, end string // of [version, end) in releases; end is "": up to now
}

func (r cpuRecord) String() string { return "built-in, QEMU " + r.version }

// cpuRecords lists what the table has of a structure, likeliest first: that of
// the executable's own version, then newest to oldest. Variants of a release
// follow it.
func (vm *VM) cpuRecords(name string) ([]cpuRecord, error) {
	tables, err := parseCPULayoutTable()
	if err != nil {
		return nil, fmt.Errorf("built-in layouts of vCPUs: %w", err)
	}
	var out []cpuRecord
	for version, t := range tables {
		if r, ok := t.Record(name); ok {
			out = append(out, cpuRecord{Record: r, version: version})
		}
	}
	slices.SortFunc(out, func(a, b cpuRecord) int {
		if c := compareVersions(b.version, a.version); c != 0 {
			return c
		}
		return strings.Compare(a.version, b.version)
	})
	if own := vm.version(); own != "" {
		i := slices.IndexFunc(out, func(r cpuRecord) bool { return compareVersions(r.version, own) <= 0 })
		if i > 0 {
			out = slices.Concat(out[i:], out[:i])
		}
	}
	return out, nil
}
