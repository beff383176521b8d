package gdbtarget

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
)

// Entries of the auxiliary vector that tell a mapping apart.
const (
	atSysInfoEHdr = 33
	vsyscall      = addr.HVA(0xffffffffff600000) // x86-64, fixed
)

// procName is what follows /proc/PID/ in a name, or /proc/PID/task/TID/,
// since all threads share what is shown there.
func (t *Target) procName(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, fmt.Sprintf("/proc/%d/", t.p.PID()))
	if !ok {
		return "", strings.HasPrefix(name, "/proc/")
	}
	if task, ok := strings.CutPrefix(rest, "task/"); ok {
		for id := range t.threads {
			if own, ok := strings.CutPrefix(task, fmt.Sprintf("%d/", id)); ok {
				return own, true
			}
		}
		return "", true
	}
	return rest, true
}

// procFile is the content of a file below /proc/PID.
func (t *Target) procFile(name string) ([]byte, bool) {
	switch name {
	case "maps":
		return t.procMaps(), true
	case "cmdline":
		return []byte(strings.Join(append(t.p.Command(), ""), "\x00")), true
	case "status":
		return t.procStatus(), true
	}
	return nil, false
}

// procStatus has the lines of /proc/PID/status that a core can fill.
func (t *Target) procStatus() []byte {
	const commLength = 15 // TASK_COMM_LEN without the NUL
	name := filepath.Base(t.exePath())
	if argv := t.p.Command(); t.exePath() == "" && len(argv) > 0 {
		name = filepath.Base(argv[0])
	}
	state := "X (dead)"
	if t.opt.Live {
		state = "t (tracing stop)"
	}
	return fmt.Appendf(nil, "Name:\t%s\nState:\t%s\nTgid:\t%d\nPid:\t%d\nThreads:\t%d\n",
		name[:min(len(name), commLength)], state, t.p.PID(), t.p.PID(), len(t.ids))
}

// procMaps lists the mappings as /proc/PID/maps does (proc_pid_maps(5)). A
// core does not tell devices and inodes, which are 0, nor shared mappings,
// which are shown as private. Files without a segment have no known access.
func (t *Target) procMaps() []byte {
	var out []byte
	files := t.p.Files()
	at := addr.HVA(0)
	line := func(start, end addr.HVA, perms string, offset uint64, name string) {
		l := fmt.Sprintf("%08x-%08x %s %08x 00:00 0", uint64(start), uint64(end), perms, offset)
		if name != "" {
			l = fmt.Sprintf("%-72s %s", l, name)
		}
		out = append(append(out, l...), '\n')
		at = end
	}
	// upTo writes the files that lie before a region.
	upTo := func(start addr.HVA) {
		for ; len(files) > 0 && files[0].Start < start; files = files[1:] {
			if f := files[0]; f.Start >= at {
				line(f.Start, f.End, "----", f.Offset, f.Path)
			}
		}
	}
	for _, r := range t.regions() {
		upTo(r.Start)
		if len(files) > 0 && files[0].Start == r.Start {
			line(r.Start, r.End, perms(r.Prot), files[0].Offset, files[0].Path)
			files = files[1:]
			continue
		}
		line(r.Start, r.End, perms(r.Prot), 0, t.label(r))
	}
	upTo(^addr.HVA(0))
	return out
}

// regions are the process's mappings, made of its memory if it cannot tell.
func (t *Target) regions() []inferior.Region {
	if r, ok := t.p.(inferior.Regioner); ok {
		return r.Regions()
	}
	var regions []inferior.Region
	for _, e := range t.p.Mappings().Extents() {
		prot, _ := t.p.Protection(e.Addr)
		if n := len(regions) - 1; n >= 0 && regions[n].End == e.Addr && regions[n].Prot == prot {
			regions[n].End = e.End()
			continue
		}
		regions = append(regions, inferior.Region{Start: e.Addr, End: e.End(), Prot: prot})
	}
	return regions
}

// label is the kernel's name of a mapping that is no file.
func (t *Target) label(r inferior.Region) string {
	holds := func(entry uint64) bool {
		a, ok := inferior.AuxValue(t.p, entry)
		return ok && r.Start <= addr.HVA(a) && addr.HVA(a) < r.End
	}
	switch {
	case holds(atSysInfoEHdr):
		return "[vdso]"
	case holds(inferior.AT_EXECFN): // lies at the top of the first stack
		return "[stack]"
	case r.Start == vsyscall && t.p.Host().Machine == elf.EM_X86_64:
		return "[vsyscall]"
	}
	return ""
}

// perms is the access column of maps.
func perms(prot elf.ProgFlag) string {
	b := []byte("---p")
	for i, flag := range []elf.ProgFlag{elf.PF_R, elf.PF_W, elf.PF_X} {
		if prot&flag != 0 {
			b[i] = "rwx"[i]
		}
	}
	return string(b)
}
