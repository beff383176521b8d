package qemu

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/inferior"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// paged is a process whose memory is kept once read.
type paged struct {
	inferior.Process
	pages map[int64]*[fakePage]byte
}

func (p *paged) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		at := off + int64(n)
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

// mutant is a table of which one release is changed.
type mutant struct {
	what  string // was changed
	table map[string]ctype.Record
}

// mutate moves up to three members of one structure, all from one on, or says
// that the structure is of another size.
func mutate(rng *rand.Rand, table map[string]ctype.Record, structs []string) mutant {
	name := structs[rng.IntN(len(structs))]
	out := maps.Clone(table)
	r := out[name]
	r.Members = maps.Clone(r.Members)
	var what []string
	paths := slices.Sorted(maps.Keys(r.Members))
	switch kind := rng.IntN(10); {
	case kind == 0 && r.Size > 0:
		r.Size = moved(rng, r.Size, 2*r.Size)
		what = append(what, fmt.Sprint("size ", r.Size))
	case kind == 1: // as when a member came before them
		from := r.Members[paths[rng.IntN(len(paths))]].Offset
		by := moved(rng, 0, 64)
		for path, p := range r.Members {
			if p.Offset >= from {
				p.Offset += by
				r.Members[path] = p
			}
		}
		what = append(what, fmt.Sprint("from ", from, " by ", int64(by)))
	default:
		for range 1 + rng.IntN(3) {
			path := paths[rng.IntN(len(paths))]
			p := r.Members[path]
			was := p.Offset
			p.Offset = moved(rng, was, r.Size)
			r.Members[path] = p
			what = append(what, fmt.Sprint(path, " from ", was, " to ", p.Offset))
		}
	}
	out[name] = r
	return mutant{name + ": " + strings.Join(what, ", "), out}
}

// moved is another offset: near, or anywhere.
func moved(rng *rand.Rand, offset, size uint64) uint64 {
	for {
		to := offset + uint64([]int{1, 2, 4, 8, 16, 24, 32, 40, 64, 128}[rng.IntN(10)])*uint64(1-2*rng.IntN(2))
		if rng.IntN(3) == 0 && size > 0 {
			to = rng.Uint64N(size)
		}
		if to != offset {
			return to
		}
	}
}

// subject is a real process and what is read of it with the right layout.
type subject struct {
	src     Source
	space   addr.HVA // of the AddressSpace
	release string
	table   map[string]ctype.Record
	data    []segment
	rodata  map[uint64][]byte
	version string // of QEMU
	walk    string // what is read
	cpus    string
}

func newSubject(t *testing.T, f *rig.Fixture, exe bool) *subject {
	t.Helper()
	s := &subject{src: realSource(t, f, f.QEMU.Exe)}
	s.src.Process = &paged{s.src.Process, map[int64]*[fakePage]byte{}}
	vm, err := Open(s.src)
	if err != nil {
		t.Fatal(err)
	}
	s.space = vm.addressSpace
	s.table = map[string]ctype.Record{}
	base := vm.layouts[slices.IndexFunc(vm.layouts, func(l layout) bool { return l.Name == vm.layout.Name })].Layouts.(*ctype.Table)
	for _, name := range base.Structs() {
		s.table[name], _ = base.Record(name)
	}
	cpus, err := vm.cpus()
	if err != nil {
		t.Fatal(err)
	}
	target, err := cpuTargetOf(cpus[0].Type)
	if err != nil {
		t.Fatal(err)
	}
	l, err := vm.cpuLayout()
	if err != nil {
		t.Fatal(err)
	}
	// The built-in table's own, not what was found.
	releases, err := vm.cpuReleases(target)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := vm.cpuFacts(target, cpus[0])
	if err != nil {
		t.Fatal(err)
	}
	r := releases[0]
	s.release = r.version
	i := slices.IndexFunc(r.states, func(state ctype.Record) bool { return state.Size == facts.common })
	if i < 0 {
		t.Fatalf("%s: no CPUState of %d bytes", r.version, facts.common)
	}
	s.table["CPUState"], s.table[target.env], s.table[target.cpu] = r.states[i], r.env, r.cpu
	if !exe {
		for name := range vm.globals {
			g, _ := vm.global(name)
			if s.src.Symbols == nil {
				s.src.Symbols = map[string]addr.HVA{}
			}
			s.src.Symbols[name] = g.Addr
		}
		s.src.Exe = nil
	}
	_ = l
	if exe {
		s.version = vm.version()
	}
	s.data, s.rodata = vm.programData(), vm.rodata
	walk, cpu, err := s.read(mutant{table: s.table})
	if err != nil {
		t.Fatalf("the right layout: %v", err)
	}
	s.walk, s.cpus = walk, cpu
	return s
}

// read reads what there is to read with a layout. An error means that it was
// refused.
func (s *subject) read(m mutant) (walk, cpus string, err error) {
	for name, r := range m.table {
		for path, p := range r.Members {
			if r.Size > 0 && (p.Offset >= r.Size || end(p) > r.Size || end(p) > 0 && end(p) < p.Offset) {
				return "", "", fmt.Errorf("%s.%s is outside", name, path) // as ParseTable says
			}
		}
	}
	table := ctype.MakeTable(s.release, m.table)
	vm := newVM(s.src)
	vm.data, vm.rodata = s.data, s.rodata
	vm.version = func() string { return s.version }
	l := layout{Layouts: table, Name: "mutant", Table: true}
	vm.layouts = []layout{l}
	vm.use(l)
	if err := vm.try(s.space); err != nil {
		return "", "", err
	}
	vm.findDiscards()
	if err := vm.placeBlocks(); err != nil {
		return "", "", err
	}
	var b strings.Builder
	for _, r := range vm.view {
		region := *r.Region
		fmt.Fprintf(&b, "%#x+%#x %#x %t %t %s %+v\n", r.Start, r.Size, r.OffsetInRegion, r.ReadOnly, r.Nonvolatile, r.Kind(), region)
	}
	for _, block := range vm.blocks {
		fmt.Fprintf(&b, "%s %#x %#x %#x %#x %#x %#x %d\n", block.Name, block.Region, block.Host, block.Offset, block.UsedLength, block.MaxLength,
			block.Flags, block.Data)
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
	cpus, err = s.readCPUs(vm, table)
	return b.String(), cpus, err
}

// readCPUs reads all members of the vCPUs that the table has.
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
		return "", nil // the registers are not read then
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
				if path == "env" || path == "env_ptr" || strings.Contains(path, "[]") || !o.Has(path) {
					continue
				}
				f, _ := o.Field(path)
				fmt.Fprintf(&b, "%s.%s %x\n", part.typ, path, o.Bytes(path, f.Size))
			}
		}
	}
	return b.String(), nil
}

// lies reports what of b is not in a: a layout may know less, but not otherwise.
func lies(right, read string) string {
	if read == "" {
		return ""
	}
	have := map[string]int{}
	for line := range strings.Lines(right) {
		have[line]++
	}
	for line := range strings.Lines(read) {
		if have[line]--; have[line] < 0 {
			return line
		}
	}
	return ""
}

// A wrong layout is refused, or reads what the right one reads: the table's
// offsets are changed at random and real cores read with them.
func TestWrongLayouts(t *testing.T) {
	tries := 2000
	if v, err := strconv.Atoi(os.Getenv("GUESTCORE_TRIES")); err == nil {
		tries = v
	}
	for _, q := range []rig.QEMU{testkit.StockQEMU(t), testkit.SuiteQEMU(t, "trixie"), testkit.SuiteQEMU(t, "sid")} {
		for _, exe := range []bool{true, false} {
			t.Run(fmt.Sprint(q.Name, " exe ", exe), func(t *testing.T) {
				s := newSubject(t, testkit.Boot(t, q, rig.PC), exe)
				rng := rand.New(rand.NewPCG(1, 2))
				structs := slices.Sorted(maps.Keys(s.table))
				refused, bad := 0, map[string]int{}
				for range tries {
					m := mutate(rng, s.table, structs)
					walk, cpus, err := s.read(m)
					if err != nil {
						refused++
						continue
					}
					if line := lies(s.walk, walk); line != "" {
						bad[strings.SplitN(m.what, " from", 2)[0]]++
						if len(bad) < 40 {
							t.Logf("walk: %s: %.80s", m.what, line)
						}
					} else if line := lies(s.cpus, cpus); line != "" {
						bad[line[:min(len(line), 40)]]++
						if len(bad) < 40 {
							t.Logf("cpu: %s: %.60s", m.what, line)
						}
					}
				}
				t.Logf("%d tries, %d refused, %d lies", tries, refused, len(bad))
				if len(bad) > 0 {
					t.Fail()
				}
			})
		}
	}
}
