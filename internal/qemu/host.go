package qemu

import (
	"debug/elf"
	"maps"

	"guestcore/internal/ctype"
)

// hostABI is in what C on a host of 64 bits differs from C on x86-64, whose
// layouts are built in. All other types that QEMU's structures are made of have
// the same size and alignment on all of them.
type hostABI struct {
	mutex   uint64 // sizeof pthread_mutex_t, less x86-64's 40 bytes (glibc, struct_mutex.h)
	jump    uint64 // sizeof sigjmp_buf, less x86-64's 200 bytes (glibc, bits/setjmp.h)
	tight   bool   // __int128 is at a multiple of 8 bytes, not 16
	aligned bool   // sigjmp_buf is at a multiple of 16 bytes, not 8
	grown   grown
}

// grown is a structure of registers that has more in it than on other hosts,
// since QEMU has KVM for it only here: bytes behind a member.
type grown struct {
	env, behind string
	by          uint64
}

// hostABIs are the hosts that differ.
var hostABIs = map[elf.Machine]hostABI{
	elf.EM_AARCH64: {mutex: 8, jump: 112},
	elf.EM_S390:    {jump: 80, tight: true}, // s390x ELF ABI supplement
	elf.EM_PPC64: {jump: 456, aligned: true,
		grown: grown{"CPUPPCState", "spr", 1024 * 8}}, // ppc_spr_t.one_reg_id, target/ppc/cpu.h
}

// abi is that of QEMU's host.
func (vm *VM) abi() hostABI { return hostABIs[vm.src.Process.Host().Machine] }

// foreign reports whether the host differs from x86-64 at all.
func (a hostABI) foreign() bool { return a != hostABI{} }

// tables are the forms that the layouts of a release can have on the host. Which
// one it is tell the checks of every layout; sizeof(MemoryRegion) is among them.
func (a hostABI) tables(t *ctype.Table) []*ctype.Table {
	if !a.foreign() {
		return []*ctype.Table{t}
	}
	records := map[string]ctype.Record{}
	for _, name := range t.Structs() {
		records[name], _ = t.Record(name)
	}
	if list, ok := records["RAMList"]; ok { // begins with a QemuMutex
		records["RAMList"] = moved(list, 0, a.mutex)
	}
	// From 9.1 on AddressSpace has a QemuMutex behind all that is of use here.
	if as, ok := records["AddressSpace"]; ok && as.Size >= 160 {
		as.Size += a.mutex
		records["AddressSpace"] = as
	}
	if !a.tight {
		return []*ctype.Table{ctype.MakeTable(t.From, records)}
	}
	// FlatRange has two Int128 and, behind them, four or five bytes.
	ranges := records["FlatRange"]
	ranges.Size -= 8
	records["FlatRange"] = ranges
	var out []*ctype.Table
	for _, region := range tightRegions(records["MemoryRegion"]) {
		records := maps.Clone(records)
		records["MemoryRegion"] = region
		out = append(out, ctype.MakeTable(t.From, records))
	}
	return out
}

// tightRegions are the forms of a MemoryRegion (include/exec/memory.h) where
// the Int128 in it, its size, needs no multiple of 16. In front of that is a
// number of words that was even up to 6.2, odd in 7.0 (mapped_via_alias) and
// is even again since 8.1 (dev, which distributions gave to earlier ones too).
func tightRegions(r ctype.Record) []ctype.Record {
	switch size := r.Members["size"].Offset; r.Size {
	case 256: // 6.1, 6.2: padded at the end
		return []ctype.Record{moved(r, r.Size, ^uint64(7))}
	case 272: // 7.0 and newer; with an odd number it was padded at both places
		odd := moved(r, size, ^uint64(7))
		odd.Size -= 8
		return []ctype.Record{r, odd}
	}
	return []ctype.Record{r}
}

// behindJump is less than the offset in any release of those members of
// CPUState that are behind its sigjmp_buf, and more than that of the others.
const behindJump = 400

// states are the forms that CPUState can have on the host. Behind its
// sigjmp_buf is a QemuMutex. What is not told is how either end of the
// structure is padded to a multiple of 16 bytes.
func (a hostABI) states(s ctype.Record) []ctype.Record {
	if !a.foreign() {
		return []ctype.Record{s}
	}
	out := []ctype.Record{moved(s, behindJump, a.jump+a.mutex)}
	if a.aligned {
		out = append(out, moved(s, behindJump, a.jump+a.mutex+8))
	}
	return out
}

// fits holds a CPUState against its size by QOM and, on hosts where the padding
// is not known, where VMState says that a member behind the padding is.
func (a hostABI) fits(s ctype.Record, size uint64, told map[string]ctype.Place) bool {
	if !a.foreign() {
		return s.Size == size
	}
	halted, ok := told["halted"]
	return ok && halted.Offset == s.Members["halted"].Offset && size+16 > s.Size && s.Size+16 > size
}

// releases adds to the releases for a target the forms they have on the host.
func (a hostABI) releases(t cpuTarget, list []cpuRelease) []cpuRelease {
	if t.env != a.grown.env {
		return list
	}
	var out []cpuRelease
	for _, r := range list {
		if behind, ok := r.env.Members[a.grown.behind]; ok {
			more := r
			more.env = moved(r.env, behind.Offset+1, a.grown.by)
			more.cpu = moved(r.cpu, r.cpu.Members["env"].Offset+1, a.grown.by)
			out = append(out, more)
		}
		out = append(out, r) // built without KVM
	}
	return out
}

// moved is a structure in which the members from an offset on, and its end, are
// a number of bytes further on; modulo 2^64.
func moved(r ctype.Record, from, by uint64) ctype.Record {
	out := ctype.Record{Size: r.Size + by, Members: maps.Clone(r.Members)}
	for path, p := range out.Members {
		if p.Offset >= from {
			p.Offset += by
			out.Members[path] = p
		}
	}
	return out
}
