package vbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/dump/note"
)

// register is a register or a group of them, by the name the GUESTCORE note
// has for it, and whether a processor's is of the kind in question.
type register struct {
	name string
	is   func(*arch.X86) bool
}

// unknown are the registers that may not be known.
var unknown = []register{
	{"dr", func(s *arch.X86) bool { return s.DR == nil }},
	{"fpu", func(s *arch.X86) bool { return s.FPU == nil }},
	{"syscall", func(s *arch.X86) bool { return s.Syscall == nil }},
	{"sysenter", func(s *arch.X86) bool { return s.Sysenter == nil }},
	{"pat", func(s *arch.X86) bool { return s.PAT == nil }},
	{"tsc_aux", func(s *arch.X86) bool { return s.TSCAux == nil }},
	{"xcr0", func(s *arch.X86) bool { return s.XCR0 == nil }},
	{"apic_base", func(s *arch.X86) bool { return s.APICBase == nil }},
	// Of these nothing is ever known but that there are some.
	{"opmask", func(s *arch.X86) bool { return value(s.XCR0)&compOpmask != 0 }},
	{"pkru", func(s *arch.X86) bool { return value(s.XCR0)&compPKRU != 0 }},
}

// lost5 are the registers that format 0x00010005 has no place for, lost40
// those of 4.0.
var (
	lost5  = []register{{"tsc_aux", func(s *arch.X86) bool { return s.TSCAux != nil }}}
	lost40 = append(lost5,
		register{"xcr0", func(s *arch.X86) bool { return s.XCR0 != nil }},
		register{"apic_base", func(s *arch.X86) bool { return s.APICBase != nil }},
		register{"ymm", func(s *arch.X86) bool { return s.FPU != nil && used(s.FPU.Vectors, 16, 64) }},
	)
)

// unknownOf names the registers of a processor that are not known.
func unknownOf(s *arch.X86) string { return names(unknown, s) }

// lostOf names the registers of a processor that are known and not written.
func (v version) lostOf(s *arch.X86) string { return names(v.lost, s) }

func names(registers []register, s *arch.X86) string {
	var out []string
	for _, r := range registers {
		if r.is(s) {
			out = append(out, r.name)
		}
	}
	return strings.Join(out, " ")
}

// tally is the processors of which the same registers are concerned.
type tally map[string][]int

func (t tally) add(cpu int, names string) {
	if names != "" {
		t[names] = append(t[names], cpu)
	}
}

// remarks are sentences by a format for the registers and the processors.
func (t tally) remarks(format string) []string {
	var out []string
	for _, names := range slices.Sorted(maps.Keys(t)) {
		out = append(out, fmt.Sprintf(format, strings.ReplaceAll(names, " ", ", "), note.Numbers(t[names])))
	}
	return out
}
