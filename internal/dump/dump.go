// Package dump writes a stopped machine's memory to a file: a [Format] plans,
// which can refuse before a byte is written and knows what the file will be;
// the [Job] it returns does the I/O, into a [Sink]. [ToFile] is the whole way,
// from the check of the destination to the final rename.
//
// It knows of guest memory what package guest says, and of core files, QEMU
// and terminals nothing. The formats are the packages below this folder.
package dump

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
	"guestcore/internal/guest/mapping"
)

// Format is a kind of dump file.
type Format interface {
	// Name is what users call it, for instance "elf".
	Name() string
	// HoldsKernel reports whether the file says what kernel the machine runs:
	// it has the kernel's VMCOREINFO.
	HoldsKernel() bool
	// Check refuses options that mean nothing to the format. It asks for no
	// machine: a core may take long to open.
	Check(Options) error
	// Plan lays the file out, if Check finds nothing to refuse. It writes
	// nothing and reads no guest memory.
	Plan(*guest.Machine, Options) (Job, error)
}

// Options are what a user may ask of every format.
type Options struct {
	// Partial writes what the source holds and labels the rest, where a
	// source that lacks memory is otherwise refused with [*MissingError].
	Partial bool
	// IncludePMEM also writes nonvolatile memory that the hypervisor's own
	// dump leaves out, ExcludePMEM leaves all of it out.
	IncludePMEM, ExcludePMEM bool
	// StaleRegisters writes registers of processors that ran on with newer
	// ones, too.
	StaleRegisters bool
	// Window limits the dump to a range of addresses.
	Window Window
	// Paging shows memory at the virtual addresses where the processors have
	// it mapped, for formats that have such.
	Paging bool
	// Mappings are what Paging shows, nil without it; package mapping finds
	// them.
	Mappings []mapping.Mapping
	// Creator is the program's name and version, for formats that note it.
	Creator string
	// Align is the alignment of memory in the file, in bytes, a power of two;
	// 0 means [DefaultAlign]. The block size of the file system lets more of
	// it be shared instead of copied.
	Align int64
	// Level is how hard a format with levels compresses, from 1, fast, to
	// what the format has; 0 is its default.
	Level int
	// Flattened asks for the flattened form where a format has one: it can be
	// written in order, and few programs read it. A pipe gets it anyway.
	Flattened bool
}

// Plain refuses options that have no meaning for a format which does not
// compress.
func (o Options) Plain(format string) error {
	switch {
	case o.Level != 0:
		return fmt.Errorf("%s is not compressed and has no level: leave --level out or use one of the kdump formats", format)
	case o.Flattened:
		return fmt.Errorf("%s has no flattened form, any pipe takes it as it is: leave --flattened out", format)
	}
	return nil
}

// All refuses a window and virtual addresses for a format that holds all of
// guest memory as it lies.
func (o Options) All(format string) error {
	if !o.Window.IsZero() {
		return fmt.Errorf("%s holds all of guest memory, with QEMU too: leave begin and length out or use the elf format", format)
	}
	return o.Physical(format)
}

// Physical refuses virtual addresses for a format that has physical ones only.
func (o Options) Physical(format string) error {
	if o.Paging {
		return fmt.Errorf("%s has no virtual addresses: leave paging out or use the elf format", format)
	}
	return nil
}

// DefaultAlign is the alignment of memory in a file: the page of most
// guests and the block of most file systems.
const DefaultAlign = 4096

// Job is one dump, planned and not yet written.
type Job interface {
	Plan() Plan
	// Run writes the file, in the order of its offsets unless the sink can
	// seek. It may be called once for each of several sinks, by one goroutine
	// at a time.
	Run(context.Context, Sink, Progress) error
}

// Plan says what a [Job] will write.
type Plan struct {
	Format  string
	Size    int64           // length of the file, bytes; at most, if Packed
	Memory  int64           // guest memory in it, bytes; what Progress counts
	Space   int64           // bytes of it that need room on the disk; holes do not. At least, if Packed
	Packed  bool            // memory is compressed: only writing it tells the length
	Absent  []guest.Missing // memory the file leaves out, since the source lacks it
	Remarks []string        // what the user should know about the file, a sentence each
	Sources []addr.Source   // what the memory is copied from
}

// Progress is told how far a job is, in bytes of guest memory. Both methods
// may be called by any goroutine.
type Progress interface {
	Start(total int64)
	Add(n int64)
}

// NoProgress is the Progress of a job nobody watches.
type NoProgress struct{}

func (NoProgress) Start(int64) {}
func (NoProgress) Add(int64)   {}

// Table is the formats a program offers, the default one first.
type Table []Format

// aliased is a Format with more than one name.
type aliased interface{ Aliases() []string }

// Find returns the format of that name; the empty name is the default.
func (t Table) Find(name string) (Format, error) {
	if name == "" {
		return t[0], nil
	}
	for _, f := range t {
		known := []string{f.Name()}
		if a, ok := f.(aliased); ok {
			known = append(known, a.Aliases()...)
		}
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("unknown dump format %q: use one of %s", name, strings.Join(t.Names(), ", "))
}

// Names lists the names of the formats.
func (t Table) Names() []string {
	var names []string
	for _, f := range t {
		names = append(names, f.Name())
	}
	return names
}
