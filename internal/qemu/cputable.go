package qemu

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"guestcore/internal/ctype"
)

// cpuLayoutTable holds the structures of vCPUs, in bytes on an LP64 host. A
// structure is listed in the release where a member of it moved, and holds
// until the next release that lists it. CPUState depends on how QEMU was
// configured: "7.2.22+noplugins" is one without plugins, "+notcg" without TCG.
// "+arm" is the emulator qemu-system-arm, which has no room for SVE before 11.
// X86CPU and the like are listed where the distance of env from their end or
// from a member changed. Read from the DWARF of builds of these releases;
// 11.1.3 and 10.0.13+arm are what stock Debian binaries tell: their VMState
// tables, the tables of Arm's system registers, the code of exported functions
// such as vfp_get_fpsr and sve_vqm1_for_el_sm; the rest is as far from those
// members as in the release before.
//
//go:embed cpulayouts.json
var cpuLayoutTable []byte

var parseCPULayoutTable = sync.OnceValues(func() (map[string]*ctype.Table, error) {
	return ctype.ParseTable(bytes.NewReader(cpuLayoutTable))
})

// cpuRelease is what a table has of one release for a target.
type cpuRelease struct {
	version string
	file    string // that it is of; "": built in
	own     bool   // stands for the version that QEMU itself is
	// states are the CPUState of this release, and of its variants.
	states []ctype.Record
	env    ctype.Record // the registers; without members if they are not in the table
	// listed is the release that the table lists env in.
	listed string
	cpu    ctype.Record // the vCPU, of the release itself
}

// tail is how many bytes of the vCPU there are from env on. A variant's vCPU
// has as many.
func (r cpuRelease) tail() uint64 { return r.cpu.Size - r.cpu.Members["env"].Offset }

func (r cpuRelease) String() string { return cmp.Or(r.file, "built-in") + ", QEMU " + r.version }

// cpuReleases lists the releases for a target, likeliest first: those that the
// user gave; of the built-in ones the executable's own version and those before
// it, newest to oldest, then newer ones.
func (vm *VM) cpuReleases(t cpuTarget) ([]cpuRelease, error) {
	tables, err := parseCPULayoutTable()
	if err != nil {
		return nil, fmt.Errorf("built-in layouts of vCPUs: %w", err)
	}
	out := expandReleases(tables, t)
	slices.Reverse(out)
	own := vm.version()
	later := func(r cpuRelease) int { return max(compareVersions(r.version, own), 0) }
	if own != "" {
		slices.SortStableFunc(out, func(a, b cpuRelease) int { return later(a) - later(b) })
	}
	if len(out) > 0 && own != "" && compareVersions(out[0].version, own) <= 0 {
		// A release that is newer than all of the table's stands for none of them.
		out[0].own = slices.ContainsFunc(out, func(r cpuRelease) bool { return compareVersions(r.version, own) > 0 })
	}
	return slices.Concat(vm.src.Layout.releases(t), vm.abi().releases(t, out)), nil
}

// expandReleases gives each release, oldest first, the structures it has from
// the ones before it.
func expandReleases(tables map[string]*ctype.Table, t cpuTarget) []cpuRelease {
	versions := slices.SortedFunc(maps.Keys(tables), func(a, b string) int {
		return cmp.Or(compareVersions(a, b), strings.Compare(a, b)) // a variant follows its release
	})
	var out []cpuRelease
	var last cpuRelease
	narrow := map[string]cpuRelease{}   // of an emulator of its own for narrower processors, by variant
	states := map[string]ctype.Record{} // CPUState by variant, "" is the release itself
	for i, v := range versions {
		release, variant, _ := strings.Cut(v, "+")
		if r, ok := tables[v].Record("CPUState"); ok {
			if variant == "" {
				clear(states)
			}
			states[variant] = r
		}
		env, hasEnv := tables[v].Record(t.env)
		cpu, hasCPU := tables[v].Record(t.cpu)
		switch {
		case variant != "" && hasEnv && hasCPU:
			narrow[variant] = cpuRelease{env: env, cpu: cpu, listed: release}
		case variant == "":
			if hasEnv {
				last.env, last.listed = env, release
			}
			if hasCPU {
				last.cpu = cpu
			}
		}
		if i+1 < len(versions) && strings.HasPrefix(versions[i+1], release+"+") {
			continue
		}
		last.version, last.states = release, nil
		for _, variant := range slices.Sorted(maps.Keys(states)) {
			last.states = append(last.states, states[variant])
		}
		for _, variant := range slices.Sorted(maps.Keys(narrow)) {
			n := narrow[variant]
			out = append(out, cpuRelease{version: release, states: last.states, env: n.env, cpu: n.cpu, listed: n.listed})
		}
		out = append(out, last)
	}
	return out
}
