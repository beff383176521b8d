package qemu

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/inferior"
	"guestcore/test/rig"
)

// A wrong layout is refused, or reads what the right one reads: the offsets of
// the built-in table are changed at random, and real cores of guests of all
// architectures in three QEMUs read with them, with QEMU's executable at hand
// and without.
func TestWrongLayouts(t *testing.T) {
	tries := 3000 // of each of 36 subjects
	if testing.Short() {
		tries = 300
	}
	for target, program := range map[string]rig.Program{
		"x86_64": rig.X86Program(), "aarch64": rig.AArch64Program(false), "arm": rig.ARMProgram(false),
		"s390x": rig.S390XProgram(), "ppc64": rig.PPC64Program(true), "riscv64": rig.RISCVProgram("riscv64"),
	} {
		for _, build := range []rig.Build{rig.Stock, rig.Trixie, rig.Sid} {
			for name, exe := range map[string]bool{"executable": true, "no executable": false} {
				t.Run(fmt.Sprint(target, "/", build, "/", name), func(t *testing.T) {
					s := newSubject(t, programGuest(t, build, target, "registers", program), exe)
					s.tryMutants(t, tries)
				})
			}
		}
	}
}

// subject is a real process, and what is read of it with the right layout.
type subject struct {
	src     Source
	space   addr.HVA // of the AddressSpace
	release string
	table   map[string]ctype.Record // the built-in one for it

	// What does not depend on layouts and takes time to find.
	version string
	data    []segment
	globals map[string]Global
	infos   map[string][][]uint64

	right reading
}

// reading is what is read with a layout, a line each.
type reading struct{ walk, cpus string }

func newSubject(t *testing.T, f *rig.Fixture, exe bool) *subject {
	t.Helper()
	s := &subject{src: realSource(t, f, f.QEMU.Exe), globals: map[string]Global{}}
	process := &paged{Process: s.src.Process, pages: map[int64]*[fakePage]byte{}}
	s.src.Process = process
	vm, err := Open(s.src)
	if err != nil {
		t.Fatal(err)
	}
	l, err := vm.cpuLayout()
	if err != nil {
		t.Fatal(err)
	}
	s.space, s.data, s.version = vm.addressSpace, vm.programData(), vm.version()
	s.table = s.builtin(t, vm, l)
	for name, g := range vm.globals {
		if exe || slices.Contains(WantedSymbols, name) {
			s.globals[name] = g
		}
	}
	if exe {
		s.infos = vm.armInfos()
	} else {
		s.src.Exe, s.version = nil, ""
		for _, m := range process.Files() {
			if m.Path == s.src.ExePath && !writable(process, m.Start) {
				process.hidden = append(process.hidden, m)
			}
		}
	}
	if s.right, err = s.read(s.table); err != nil {
		t.Fatalf("with the right layout: %v", err)
	}
	// Without the executable only x86's registers prove themselves.
	if want := exe || strings.HasSuffix(f.QEMU.Exe, "x86_64"); (s.right.cpus != "") != want {
		t.Fatalf("registers read: %t, want %t", !want, want)
	}
	return s
}

// builtin is what the built-in tables have for a process.
func (s *subject) builtin(t *testing.T, vm *VM, l cpuLayout) map[string]ctype.Record {
	t.Helper()
	table := map[string]ctype.Record{}
	walk := vm.layouts[slices.IndexFunc(vm.layouts, func(l layout) bool { return l.Name == vm.layout.Name })].Layouts.(*ctype.Table)
	for _, name := range walk.Structs() {
		table[name], _ = walk.Record(name)
	}
	cpus, err := vm.cpus()
	if err != nil {
		t.Fatal(err)
	}
	target, err := cpuTargetOf(cpus[0].Type)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := vm.cpuFacts(target, cpus[0])
	if err != nil {
		t.Fatal(err)
	}
	releases, err := vm.cpuReleases(target)
	if err != nil {
		t.Fatal(err)
	}
	facts.env = l.Env
	r, _ := facts.closest(releases, facts.regs)
	table[target.env], table[target.cpu] = r.env, r.cpu
	for _, r := range releases {
		i := slices.IndexFunc(r.states, func(state ctype.Record) bool { return state.Size == facts.common })
		if i >= 0 {
			s.release, table["CPUState"] = r.version, r.states[i]
			break
		}
	}
	return table
}

// read reads what there is to read. An error means that the layout was refused.
func (s *subject) read(records map[string]ctype.Record) (reading, error) {
	table := ctype.MakeTable(s.release, records)
	vm := newVM(s.src)
	vm.data, vm.globals = s.data, maps.Clone(s.globals)
	vm.version = func() string { return s.version }
	vm.armInfos = func() map[string][][]uint64 { return s.infos }
	vm.layouts = []layout{{Layouts: table, Name: "mutant", Table: true}}
	vm.use(vm.layouts[0])
	if err := vm.try(s.space); err != nil {
		return reading{}, err
	}
	vm.findDiscards()
	if err := vm.placeBlocks(); err != nil {
		return reading{}, err
	}
	cpus, err := s.readCPUs(vm, table)
	return reading{readWalk(vm), cpus}, err
}

func readWalk(vm *VM) string {
	var b strings.Builder
	for _, r := range vm.view {
		fmt.Fprintf(&b, "%#x+%#x %#x %t %t %s %+v\n", r.Start, r.Size, r.OffsetInRegion, r.ReadOnly, r.Nonvolatile, r.Kind(), *r.Region)
	}
	for _, block := range vm.blocks {
		fmt.Fprintf(&b, "%s %#x %#x %#x %#x %#x %#x %d\n", block.Name, uint64(block.Region), uint64(block.Host), block.Offset,
			block.UsedLength, block.MaxLength, block.Flags, block.Data)
		if block.Zero > 0 { // unless that is not known
			fmt.Fprintf(&b, "%s has %d bytes of zeros\n", block.Name, block.Zero)
		}
	}
	if machine, err := vm.machine(); err == nil {
		if ram, err := machine.ramSize(); err == nil {
			fmt.Fprintln(&b, "ram", ram)
		}
		if dump, err := machine.dumpGuestCore(); err == nil {
			fmt.Fprintln(&b, "dump", dump)
		}
	}
	return b.String()
}

// readCPUs reads all members of the vCPUs that the table has, "" if they are
// not to be read.
func (s *subject) readCPUs(vm *VM, table *ctype.Table) (string, error) {
	list, err := vm.cpus()
	if err != nil {
		return "", err
	}
	target, err := cpuTargetOf(list[0].Type)
	if err != nil {
		return "", err
	}
	l, err := vm.composeCPULayout(target, list[0], expandReleases(map[string]*ctype.Table{s.release: table}, target))
	if err == nil {
		err = vm.checkCPUs(l, target)
	}
	if err != nil {
		return "", nil
	}
	var b strings.Builder
	for _, c := range list {
		for _, part := range []struct {
			typ string
			at  uint64
		}{{"CPUState", 0}, {target.env, l.Env}, {target.cpu, 0}} {
			o, err := vm.cpuObject(l, c.Addr+addr.HVA(part.at), part.typ)
			if err != nil {
				return "", err
			}
			for _, path := range slices.Sorted(maps.Keys(s.table[part.typ].Members)) {
				// The elements' members are read as part of the array.
				if path == "env" || path == "env_ptr" || strings.Contains(path, "[]") || !o.Has(path) {
					continue
				}
				f, _ := o.Field(path)
				fmt.Fprintf(&b, "%d %s.%s %x\n", c.Addr, part.typ, path, o.Bytes(path, f.Size))
			}
		}
	}
	return b.String(), nil
}

// tryMutants reads the process with wrong layouts.
func (s *subject) tryMutants(t *testing.T, tries int) {
	rng := rand.New(rand.NewPCG(1, 2))
	refused, withCPUs := 0, 0
	for range tries {
		m := mutate(rng, s.table)
		if !m.valid() {
			refused++
			continue
		}
		got, err := s.read(m.table)
		if err != nil {
			refused++
			continue
		}
		if got.cpus != "" {
			withCPUs++
		}
		for _, line := range slices.Concat(lies(s.right.walk, got.walk), lies(s.right.cpus, got.cpus)) {
			t.Errorf("%s: read %.200s", m.what, line)
		}
	}
	t.Logf("%d tries, %d refused, the registers read in %d", tries, refused, withCPUs)
	if refused == 0 || refused == tries {
		t.Error("the changes are all alike")
	}
}

// lies are the lines that are read and are not right. A layout may know less
// than the right one, but not otherwise.
func lies(right, read string) []string {
	left := map[string]int{}
	for line := range strings.Lines(right) {
		left[line]++
	}
	var wrong []string
	for line := range strings.Lines(read) {
		if left[line]--; left[line] < 0 {
			wrong = append(wrong, line)
		}
	}
	return wrong
}

// paged is a process whose memory is kept once read.
type paged struct {
	inferior.Process
	pages  map[int64]*[fakePage]byte
	hidden []inferior.FileMapping // cannot be read, as where the file is not at hand
}

func (p *paged) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		at := off + int64(n)
		if slices.ContainsFunc(p.hidden, func(m inferior.FileMapping) bool { return addr.HVA(at) >= m.Start && addr.HVA(at) < m.End }) {
			return n, &inferior.FaultError{Addr: addr.HVA(at)}
		}
		page, ok := p.pages[at/fakePage]
		if !ok {
			page = new([fakePage]byte)
			if _, err := p.Process.ReadAt(page[:], at&^(fakePage-1)); err != nil {
				m, err := p.Process.ReadAt(b[n:], at)
				return n + m, err
			}
			p.pages[at/fakePage] = page
		}
		n += copy(b[n:], page[at%fakePage:])
	}
	return n, nil
}
